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
    let fail = |reason: String| Failure::new(format!("template parsing error: {reason}"));
    // Parsed even when there is nothing to show.
    let parse = |order| Template::parse(format, order).map_err(|reason| fail(reason).with_code(64));
    parse(KeyOrder::default())?;
    let mut out = String::new();
    for object in objects {
        let template = parse(KeyOrder::of(object.get()))?;
        let shown = over_document(&template, serde_json::from_str(object.get())?).map_err(fail);
        match shown {
            Ok(text) => out.push_str(&text),
            Err(failure) => {
                output::print(if out.is_empty() { "\n" } else { &out })?;
                return Err(failure);
            }
        }
        out.push('\n');
    }
    if objects.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

/// A template over an engine's document, where fields that Docker's types have may be absent.
///
/// # Errors
/// A field that is none, in Go's words.
fn over_document(template: &Template, mut data: serde_json::Value) -> Result<String, String> {
    let shown = template.execute(&value_of(&data));
    if shown.as_ref().is_ok_and(|text| !text.contains(NO_VALUE)) {
        return shown.map_err(|error| template.located(&error));
    }
    supply_absent(&mut data);
    let mut nothing = "<nil>";
    loop {
        match template.execute(&value_of(&data)) {
            Ok(text) => return Ok(text.replace(NO_VALUE, nothing)),
            // A key that a map of strings lacks is nothing, and no mistake.
            Err(error) if supply_key(&mut data, template.missing_chain(&error)) => nothing = NO_VALUE,
            Err(error) => return Err(template.located(&error)),
        }
    }
}

/// Adds the key that ends `chain` (`.Config.Labels.x`) to its map of strings; whether there is such a map.
pub fn supply_key(data: &mut serde_json::Value, chain: Option<String>) -> bool {
    const MAPS: &[&str] = &[
        "Labels",
        "Annotations",
        "Attributes",
        "Options",
        "DriverOpts",
        "Sysctls",
        "StorageOpt",
        "Tmpfs",
        "Volumes",
        "ExposedPorts",
    ];
    let Some((parent, key)) = chain.as_deref().and_then(|chain| chain.rsplit_once('.')) else { return false };
    if !parent.rsplit('.').next().is_some_and(|name| MAPS.contains(&name)) {
        return false;
    }
    let map = data.pointer_mut(&parent.replace('.', "/")).and_then(serde_json::Value::as_object_mut);
    map.is_some_and(|map| map.insert(key.to_owned(), serde_json::Value::Null).is_none())
}

/// What templates show for nothing.
const NO_VALUE: &str = "<no value>";

/// Fields that engines leave out or send as null when empty, and that templates ask for all
/// the same: as lists, maps, or nothing.
fn supply_absent(data: &mut serde_json::Value) {
    use serde_json::{Value, json};
    const LISTS: &[&str] = &[
        "Cmd",
        "Entrypoint",
        "Env",
        "OnBuild",
        "Shell",
        "Binds",
        "CapAdd",
        "CapDrop",
        "VolumesFrom",
        "ExtraHosts",
        "GroupAdd",
        "Links",
        "SecurityOpt",
        "Mounts",
        "Devices",
        "DeviceRequests",
        "Ulimits",
        "DeviceCgroupRules",
    ];
    const MAPS: &[&str] = &["Labels", "Volumes", "ExposedPorts", "Tmpfs", "Sysctls", "StorageOpt"];
    const POINTERS: &[&str] = &["Health", "Healthcheck", "StopTimeout", "Init"];
    let mut supply = |parent: &str, names: &[&str], value: &Value| supply_fields(data, parent, names, value);
    for parent in ["/Config", "/HostConfig"] {
        supply(parent, LISTS, &json!([]));
        supply(parent, MAPS, &json!({}));
        supply(parent, POINTERS, &Value::Null);
    }
    supply("/State", POINTERS, &Value::Null);
    supply("", &["ExecIDs", "RepoTags", "RepoDigests"], &json!([]));
    if data.get("HostConfig").is_some() {
        supply_missing(data, &[("SizeRw", Value::Null), ("SizeRootFs", Value::Null)]);
    }
    let mut supply = |parent: &str, names: &[&str], value: &Value| supply_fields(data, parent, names, value);
    supply("", &["Labels", "Options"], &json!({}));
    let has = |names: &[&str]| names.iter().all(|name| data.get(name).is_some());
    if has(&["IPAM", "Scope"]) {
        supply_missing(data, &[("Peers", json!([])), ("Services", json!({}))]);
    } else if has(&["Mountpoint", "Scope"]) {
        supply_missing(
            data,
            &[("Status", json!({})), ("UsageData", Value::Null), ("ClusterVolume", Value::Null)],
        );
    }
    // Go's field is ID where the document says Id.
    if let Some(id) = data.get("Id").cloned() {
        data["ID"] = id;
    }
}

/// Fields of the object at `parent` that are absent or null.
fn supply_fields(data: &mut serde_json::Value, parent: &str, names: &[&str], value: &serde_json::Value) {
    let Some(object) = data.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) else { return };
    for name in names {
        let field = object.entry(*name).or_insert(serde_json::Value::Null);
        if field.is_null() {
            *field = value.clone();
        }
    }
}

/// Fields that are absent.
fn supply_missing(data: &mut serde_json::Value, fields: &[(&str, serde_json::Value)]) {
    let Some(object) = data.as_object_mut() else { return };
    for (name, value) in fields {
        object.entry(*name).or_insert_with(|| value.clone());
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
        serde_json::Value::Object(map) => Value::Map(Arc::new(
            map.iter().map(|(key, value)| (key.as_str().into(), value_of(value))).collect(),
        )),
    }
}
