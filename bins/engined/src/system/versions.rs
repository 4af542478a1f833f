//! What answers about the engine as a whole were in older versions of the API: written here alone.

use engine_api::event::Event;
use engine_api::system::Info;
use errdefs::{Error, Result};
use serde::Serialize;
use serde_json::value::RawValue;

use super::df::Usage;
use crate::api::fields::Fields;
use crate::api::versions::Version;

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
    let mut shown = Fields::of(&info).map_err(failed)?;
    let add = |registries: &mut Fields| {
        registries.put_first("AllowNondistributableArtifactsHostnames", &())?;
        registries.put_first("AllowNondistributableArtifactsCIDRs", &())
    };
    shown.within("RegistryConfig", add).map_err(failed)?;
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
pub fn usage(version: Version, is_verbose: bool, usage: Usage) -> Result<Box<RawValue>> {
    if version < Version(1, 52) {
        return written(&usage.listed());
    }
    let mut shown = Fields::default();
    if !is_verbose {
        shown = Fields::of(&usage.listed()).map_err(failed)?;
        shown.retain(|_, value| value.get() != "null");
    }
    shown.append(Fields::of(&usage.summed(is_verbose)).map_err(failed)?);
    written(&shown)
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
    use serde_json::Value;

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
