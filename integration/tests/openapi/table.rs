//! The facts of Docker's published API document: operations, statuses, the shapes of bodies and answers.
//!
//! A shape is a word (`string`, `integer`, `any`), `#Name` of a type, `[shape]`, `{"*": shape}` for a map,
//! `{"=": [..]}` for one of several words, or an object of fields; `!` after a field's name means that it is
//! always there, `?` that it may be null.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Table {
    pub version: String,
    types: BTreeMap<String, Value>,
    pub operations: Vec<Operation>,
}

#[derive(Deserialize)]
pub struct Operation {
    /// As in `GET /containers/{id}/json`.
    pub call: String,
    pub statuses: Vec<u16>,
    /// Shapes by status.
    #[serde(default)]
    pub answers: BTreeMap<String, Value>,
    /// Types of the words after the question mark.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    pub body: Option<Value>,
}

impl Table {
    /// What stands beside this file.
    pub fn read() -> Table {
        serde_json::from_str(include_str!("operations.json")).expect("the table is JSON")
    }

    /// A shape without its name.
    pub fn shape<'a>(&'a self, shape: &'a Value) -> &'a Value {
        let name = shape.as_str().and_then(|word| word.strip_prefix('#'));
        name.and_then(|name| self.types.get(name)).unwrap_or(shape)
    }

    /// What about `value` is not as `shape` says.
    pub fn faults(&self, shape: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let shape = self.shape(shape);
        let mut expect = |is_so: bool, wanted: &str| {
            if !is_so {
                found.push(format!("{at}: {} is no {wanted}", short(value)));
            }
        };
        match shape {
            Value::String(word) => match word.as_str() {
                "string" => expect(value.is_string(), word),
                "integer" => expect(value.is_i64() || value.is_u64(), word),
                "number" => expect(value.is_number(), word),
                "boolean" => expect(value.is_boolean(), word),
                "object" => expect(value.is_object(), word),
                _ => {}
            },
            Value::Array(items) => match value.as_array() {
                Some(list) => {
                    for (index, item) in list.iter().enumerate() {
                        self.faults(&items[0], item, &format!("{at}[{index}]"), found);
                    }
                }
                None => expect(false, "array"),
            },
            Value::Object(fields) => match (fields.get("="), fields.get("*")) {
                (Some(words), _) => {
                    expect(words.as_array().is_some_and(|all| all.contains(value)), &short(words))
                }
                (_, Some(of)) => match value.as_object() {
                    Some(map) => {
                        for (key, item) in map {
                            self.faults(of, item, &format!("{at}.{key}"), found);
                        }
                    }
                    None => expect(false, "map"),
                },
                _ => match value.as_object() {
                    Some(object) => self.object(fields, object, at, found),
                    None => expect(false, "object"),
                },
            },
            _ => {}
        }
    }

    fn object(
        &self,
        fields: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
        found: &mut Vec<String>,
    ) {
        for (field, shape) in fields {
            let name = field.trim_end_matches(['!', '?']);
            match object.get(name) {
                None if field.contains('!') => found.push(format!("{at}.{name} is not there")),
                None => {}
                Some(Value::Null) if field.ends_with('?') => {}
                Some(value) => self.faults(shape, value, &format!("{at}.{name}"), found),
            }
        }
    }
}

fn short(value: &Value) -> String {
    let mut text = value.to_string();
    text.truncate(text.floor_char_boundary(80));
    text
}
