//! What answers about the engine as a whole were in older versions of the API: written here alone.

use engine_api::event::Event;
use engine_api::system::Info;
use errdefs::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::df::Usage;
use crate::api::versions::Version;

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(failed)
}

/// As it is written: its fields in their own order, which clients show.
fn written(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(failed)
}

fn failed(cause: serde_json::Error) -> Error {
    Error::internal("cannot encode an answer").with_source(cause)
}

/// The state of the engine as a client of this version knows it.
///
/// # Errors
/// It cannot be encoded.
pub fn info(version: Version, mut info: Info) -> Result<Box<RawValue>> {
    if version < Version(1, 46) {
        info.containerd = None;
    }
    if version < Version(1, 50) {
        // The kernel's module has been loaded on demand since 1.48: until then clients warn of its absence.
        let was_loaded = Some(version < Version(1, 48));
        (info.bridge_nf_iptables, info.bridge_nf_ip6tables) = (was_loaded, was_loaded);
        info.discovered_devices.clear();
    }
    if version < Version(1, 49) {
        info.firewall_backend = None;
        for commit in [&mut info.containerd_commit, &mut info.runc_commit, &mut info.init_commit] {
            commit.expected.clone_from(&commit.id);
        }
    }
    if version >= Version(1, 49) {
        return written(&info);
    }
    let mut shown = json(&info)?;
    if let Some(registries) = shown.get_mut("RegistryConfig").and_then(Value::as_object_mut) {
        for field in ["AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"] {
            registries.insert(field.to_owned(), Value::Null);
        }
    }
    written(&shown)
}

/// Whether a client of this version may ask for some kinds alone.
pub fn has_kinds_of_usage(version: Version) -> bool {
    version >= Version(1, 42)
}

/// What takes how much space: lists until 1.52, sums since. Clients without a version get both, unless they
/// ask for the sums' own details, which only who knows them does.
///
/// # Errors
/// It cannot be encoded.
pub fn usage(version: Version, is_verbose: bool, usage: Usage) -> Result<Value> {
    if version < Version(1, 52) {
        return json(&usage.listed());
    }
    let listed = if is_verbose { None } else { Some(usage.listed()) };
    let mut shown = json(&usage.summed(is_verbose))?;
    if let (Some(listed), Some(all)) = (listed, shown.as_object_mut())
        && let Value::Object(fields) = json(&listed)?
    {
        all.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Ok(shown)
}

/// An event as a client of this version knows it; `None` when it knows no such thing.
pub fn event(version: Version, event: &Event) -> Option<Event> {
    if version < Version(1, 46) && event.kind == "image" && event.action == "create" {
        return None;
    }
    let mut event = event.clone();
    if version >= Version(1, 52) {
        event.status.clear();
        event.id.clear();
        event.from.clear();
    }
    Some(event)
}

/// The type of a stream of events that a client of this version expects when it names none.
pub fn type_of_events(version: Version) -> &'static str {
    if version < Version(1, 52) { "application/json" } else { "application/jsonl" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_and_go_with_their_versions() {
        let engine = Info {
            containerd: Some(engine_api::system::Containerd::default()),
            registry_config: Some(engine_api::system::RegistryConfig::default()),
            ..Info::default()
        };
        let shown = |version| -> Value {
            serde_json::from_str(info(version, engine.clone()).unwrap().get()).unwrap()
        };
        assert_eq!(shown(Version(1, 49))["BridgeNfIptables"], false);
        assert!(shown(Version(1, 50)).get("BridgeNfIptables").is_none());
        assert!(shown(Version(1, 45)).get("Containerd").is_none());
        assert!(shown(Version(1, 46)).get("Containerd").is_some());
        let registries = |version| shown(version)["RegistryConfig"].as_object().unwrap().len();
        assert_eq!(registries(Version(1, 48)), registries(Version(1, 49)) + 2);
    }

    #[test]
    fn twins_of_fields_are_told_to_old_clients() {
        let told =
            Event { status: "start".into(), id: "x".into(), action: "start".into(), ..Event::default() };
        assert_eq!(event(Version(1, 51), &told), Some(told.clone()));
        let bare = Event { action: "start".into(), ..Event::default() };
        assert_eq!(event(Version(1, 52), &told), Some(bare));
    }
}
