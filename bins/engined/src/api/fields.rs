//! The fields of a JSON object in the order in which they are written, which clients show: to leave some out, or to
//! put some in, for one version of the API.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// An object's fields.
#[derive(Default)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Those of a record.
    ///
    /// # Errors
    /// It cannot be encoded, or is no object.
    pub fn of(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Fields> {
        serde_json::from_str(&serde_json::to_string(value)?)
    }

    /// Leaves out what `is_kept` does not want.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&str, &RawValue) -> bool) {
        self.0.retain(|(name, value)| is_kept(name, value));
    }

    /// Puts a field before all others.
    ///
    /// # Errors
    /// The value cannot be encoded.
    pub fn put_first(&mut self, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
        self.0.insert(0, (name.to_owned(), to_raw_value(value)?));
        Ok(())
    }

    /// Puts the fields of another object after these.
    pub fn append(&mut self, mut more: Fields) {
        self.0.append(&mut more.0);
    }

    /// Changes the fields of the object that a field holds; does nothing where it holds none.
    ///
    /// # Errors
    /// The change fails, or what it leaves cannot be encoded.
    pub fn within(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Fields) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        let Some((_, value)) = self.0.iter_mut().find(|(own, _)| own == name) else { return Ok(()) };
        let Ok(mut inner) = serde_json::from_str::<Fields>(value.get()) else { return Ok(()) };
        change(&mut inner)?;
        *value = to_raw_value(&inner)?;
        Ok(())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(field) = map.next_entry()? {
                    fields.0.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        let mut fields: Fields =
            serde_json::from_str(r#"{"z":1,"a":{"y":null,"b":[2, 3]},"m":"q"}"#).unwrap();
        fields
            .within("a", |inner| {
                inner.retain(|name, _| name != "y");
                inner.put_first("first", &true)
            })
            .unwrap();
        fields.within("m", |_| panic!("it is no object")).unwrap();
        fields.append(serde_json::from_str(r#"{"end":0}"#).unwrap());
        let written = serde_json::to_string(&fields).unwrap();
        assert_eq!(written, r#"{"z":1,"a":{"first":true,"b":[2, 3]},"m":"q","end":0}"#);
    }
}
