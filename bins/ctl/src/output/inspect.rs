//! `inspect` output: raw JSON re-indented, or a template over it.

use std::sync::Arc;

use gotmpl::Value;
use serde_json::value::RawValue;

use crate::grammar::{Exit, Failure};
use crate::output::{self, KeyOrder, Template, indent};

/// Objects as they came, in the order asked for.
pub type Objects = Vec<Box<RawValue>>;

/// Prints objects, then the errors of those that were not found.
///
/// # Errors
/// A bad template; or, silently, some object was not found.
pub fn show(objects: &Objects, errors: &[String], format: Option<&str>) -> Result<Exit, Failure> {
    match format {
        None | Some("" | "json") => output::print(as_json(objects, format == Some("json")))?,
        Some(format) => output::print(as_template(objects, format)?)?,
    }
    if errors.is_empty() {
        return Ok(Exit::OK);
    }
    for error in errors {
        output::note(error);
    }
    Err(Failure::silent(1))
}

fn as_json(objects: &Objects, compact: bool) -> String {
    let texts: Vec<&str> = objects.iter().map(|object| object.get()).collect();
    let json = format!("[{}]", texts.join(","));
    if compact { json + "\n" } else { indent(&json, "    ") + "\n" }
}

fn as_template(objects: &Objects, format: &str) -> Result<String, Failure> {
    // Parsed even when there is nothing to show.
    let parse = |order| Template::parse(format, order).map_err(|failure| {
        Failure::new(failure.message.replace("failed to parse template", "template parsing error")).with_code(64)
    });
    parse(KeyOrder::default())?;
    let mut out = String::new();
    for object in objects {
        let template = parse(KeyOrder::of(object.get()))?;
        let mut data: serde_json::Value = serde_json::from_str(object.get())?;
        supply_absent(&mut data);
        let shown = template.execute(&value_of(&data));
        out.push_str(&shown.map_err(|error| Failure::new(format!("\ntemplate parsing error: {error}")))?);
        out.push('\n');
    }
    if objects.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

/// Fields that engines leave out when empty, and that templates test with `{{if}}`.
fn supply_absent(data: &mut serde_json::Value) {
    for (parent, field) in [
        ("/State", "Health"),
        ("/Config", "Healthcheck"),
        ("/Config", "ExposedPorts"),
        ("/Config", "StopTimeout"),
        ("/HostConfig", "Mounts"),
        ("/HostConfig", "Tmpfs"),
        ("/HostConfig", "Sysctls"),
        ("/HostConfig", "Init"),
    ] {
        if let Some(object) = data.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) {
            object.entry(field).or_insert(serde_json::Value::Null);
        }
    }
}

/// JSON as template data.
pub fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Uint(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::String(text.as_str().into()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value_of).collect()),
        serde_json::Value::Object(map) => {
            Value::Map(Arc::new(map.iter().map(|(key, value)| (key.as_str().into(), value_of(value))).collect()))
        }
    }
}
