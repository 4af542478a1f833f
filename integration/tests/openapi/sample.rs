//! Values of documented types, at random.

use crate::table::{Operation, Table};
use serde_json::{Map, Value, json};

/// Numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// A word for a query.
    pub fn word(&mut self, kind: &str) -> &'static str {
        let words: &[&str] = match kind {
            "boolean" => &["1", "0", "true", "false"],
            "integer" => &["0", "1", "10", "-1"],
            _ => &["x", "a%20b", "1", "%00", "busybox", "%7B%7D"],
        };
        words[self.roll(words.len())]
    }

    /// A value of a shape; optional fields come and go.
    pub fn value(&mut self, table: &Table, shape: &Value, depth: usize) -> Value {
        let shape = table.shape(shape).clone();
        match &shape {
            Value::String(word) => match word.as_str() {
                "integer" => json!([0, 1, -1, 64, 1_i64 << 30][self.roll(5)]),
                "number" => json!(1.5),
                "boolean" => json!(self.roll(2) == 0),
                "string" => {
                    json!(["", "x", "busybox", "/tmp", "10.1.2.3", "80/tcp", "a=b", "0-1"][self.roll(8)])
                }
                _ => json!({}),
            },
            Value::Array(items) => {
                let count = if depth > 6 { 0 } else { self.roll(3) };
                (0..count).map(|_| self.value(table, &items[0], depth + 1)).collect()
            }
            Value::Object(fields) => match (fields.get("="), fields.get("*")) {
                (Some(words), _) => {
                    let words = words.as_array().expect("words");
                    words[self.roll(words.len())].clone()
                }
                (_, Some(of)) => match self.roll(2) {
                    0 => json!({}),
                    _ => json!({"80/tcp": self.value(table, of, depth + 1)}),
                },
                _ => Value::Object(self.object(table, fields, depth)),
            },
            _ => Value::Null,
        }
    }

    fn object(&mut self, table: &Table, fields: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut object = Map::new();
        for (field, shape) in fields {
            if depth < 7 && self.roll(8) == 0 {
                let name = field.trim_end_matches(['!', '?']).to_owned();
                object.insert(name, self.value(table, shape, depth + 1));
            }
        }
        object
    }
}

/// The least body that an operation can do something with.
pub fn minimal(operation: &Operation) -> Option<Vec<u8>> {
    let body = match operation.call.as_str() {
        "POST /containers/create" => json!({"Image": "busybox", "Cmd": ["true"]}),
        "POST /containers/{id}/exec" => json!({"Cmd": ["true"], "AttachStdout": true}),
        "POST /exec/{id}/start" => json!({"Detach": true}),
        "POST /containers/{id}/update" => json!({"Memory": 67_108_864}),
        "POST /networks/create" => json!({"Name": "crew2", "Driver": "bridge"}),
        "POST /networks/{id}/connect" | "POST /networks/{id}/disconnect" => json!({"Container": "box"}),
        "POST /volumes/create" => json!({"Name": "shelf"}),
        "POST /auth" => json!({"username": "a", "password": "b", "serveraddress": "127.0.0.1:1"}),
        "POST /commit" => json!({}),
        _ => return Some(Vec::new()),
    };
    Some(body.to_string().into_bytes())
}
