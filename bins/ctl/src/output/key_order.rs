//! The order in which a JSON document writes its keys.
//!
//! Templates see objects as sorted maps; `{{json .State}}` must still print the fields in the
//! engine's order. Objects are recognised by their set of keys.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Orders of all key sets of a document.
#[derive(Clone, Debug, Default)]
pub struct KeyOrder(HashMap<BTreeSet<String>, Vec<String>>);

impl KeyOrder {
    /// Reads the orders of a document; one that is not JSON has none.
    pub fn of(json: &str) -> Self {
        let mut order = Self::default();
        let mut reader = serde_json::Deserializer::from_str(json);
        // The caller has parsed the document already and reported what is wrong with it.
        let _ = Seed(&mut order).deserialize(&mut reader);
        order
    }

    /// The keys in the document's order, sorted when it has no such object.
    pub fn sort<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Vec<String> {
        let set: BTreeSet<String> = keys.map(str::to_owned).collect();
        if let Some(known) = self.0.get(&set) {
            return known.clone();
        }
        // An object that fields were added to: those it had first, the others after them.
        let had =
            self.0.iter().filter(|(known, _)| known.is_subset(&set)).max_by_key(|(known, _)| known.len());
        let mut keys = had.map(|(_, keys)| keys.clone()).unwrap_or_default();
        keys.extend(set.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        keys
    }
}

struct Seed<'a>(&'a mut KeyOrder);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Seed(self.0))?;
            keys.push(key);
        }
        self.0.0.entry(keys.iter().cloned().collect()).or_insert(keys);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Seed(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
