//! Objects as Go prints its structs: `{running true 0}`, their fields in the type's order and without names.
//!
//! The stock client executes templates over Go's types, and prints maps as `map[a:b]` but structs as `{a b}`. Types are
//! recognised here by the fields that only they have. Those that hold pointers to further structs stay as they are:
//! Go prints addresses there, which nobody reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

use super::check::{self, is_printing};

/// The function that a template's values go through before they are printed.
pub const PRINT: &str = "printed";

/// A struct: its fields in Go's order, each with what Go prints for its zero value, and those that make it known.
struct Struct {
    marks: &'static [&'static str],
    fields: &'static [(&'static str, &'static str)],
}

const S: &str = "";
const LIST: &str = "[]";
const MAP: &str = "map[]";
const NUMBER: &str = "0";
const TRUTH: &str = "false";
const POINTER: &str = "<nil>";

/// Those of the Engine API's types that templates print (github.com/docker/docker/api/types, 28.2).
const STRUCTS: &[Struct] = &[
    Struct { marks: &["HostIp", "HostPort"], fields: &[("HostIp", S), ("HostPort", S)] },
    Struct {
        marks: &["Destination", "RW"],
        fields: &[
            ("Type", S),
            ("Name", S),
            ("Source", S),
            ("Destination", S),
            ("Driver", S),
            ("Mode", S),
            ("RW", TRUTH),
            ("Propagation", S),
        ],
    },
    Struct {
        marks: &["OOMKilled", "Restarting"],
        fields: &[
            ("Status", S),
            ("Running", TRUTH),
            ("Paused", TRUTH),
            ("Restarting", TRUTH),
            ("OOMKilled", TRUTH),
            ("Dead", TRUTH),
            ("Pid", NUMBER),
            ("ExitCode", NUMBER),
            ("Error", S),
            ("StartedAt", S),
            ("FinishedAt", S),
            ("Health", POINTER),
        ],
    },
    Struct { marks: &["MaximumRetryCount"], fields: &[("Name", S), ("MaximumRetryCount", NUMBER)] },
    Struct { marks: &["Type", "Config"], fields: &[("Type", S), ("Config", MAP)] },
    Struct { marks: &["Type", "Layers"], fields: &[("Type", S), ("Layers", LIST)] },
    Struct { marks: &["Data", "Name"], fields: &[("Data", MAP), ("Name", S)] },
    Struct {
        marks: &["Driver", "Config", "Options"],
        fields: &[("Driver", S), ("Options", MAP), ("Config", LIST)],
    },
    Struct {
        marks: &["Subnet"],
        fields: &[("Subnet", S), ("IPRange", S), ("Gateway", S), ("AuxiliaryAddresses", MAP)],
    },
    Struct {
        marks: &["EndpointID", "IPv4Address"],
        fields: &[("Name", S), ("EndpointID", S), ("MacAddress", S), ("IPv4Address", S), ("IPv6Address", S)],
    },
    Struct {
        marks: &["Volume", "Network", "Log"],
        fields: &[("Volume", LIST), ("Network", LIST), ("Authorization", LIST), ("Log", LIST)],
    },
    Struct { marks: &["Host", "SkipTLSVerify"], fields: &[("Host", S), ("SkipTLSVerify", TRUTH)] },
    Struct {
        marks: &["Mountpoint", "Scope"],
        fields: &[
            ("ClusterVolume", POINTER),
            ("CreatedAt", S),
            ("Driver", S),
            ("Labels", MAP),
            ("Mountpoint", S),
            ("Name", S),
            ("Options", MAP),
            ("Scope", S),
            ("Status", MAP),
            ("UsageData", POINTER),
        ],
    },
];

impl Struct {
    /// The type of an object, if its keys are those of one.
    fn of(map: &BTreeMap<Arc<str>, Value>) -> Option<&'static Struct> {
        STRUCTS.iter().find(|known| {
            known.marks.iter().all(|mark| map.contains_key(*mark))
                && map.keys().all(|key| known.fields.iter().any(|(name, _)| **key == **name))
                // A pointer that leads somewhere is printed as an address.
                && known.fields.iter().all(|(name, zero)| {
                    *zero != POINTER || map.get(*name).is_none_or(|value| matches!(value, Value::Nil))
                })
        })
    }
}

/// A value with its objects as Go's structs; what holds none is left as it is.
pub fn printed(value: &Value) -> Value {
    match value {
        Value::List(_) | Value::Map(_) => {
            let mut out = String::new();
            write(&mut out, value, MAP);
            Value::String(out.into())
        }
        other => other.clone(),
    }
}

/// `empty` is what an object without keys is: a map, or an element of Go's sets.
fn write(out: &mut String, value: &Value, empty: &str) {
    match value {
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { " " } else { "" });
                write(out, item, MAP);
            }
            out.push(']');
        }
        Value::Map(map) if map.is_empty() => out.push_str(empty),
        Value::Map(map) => match Struct::of(map) {
            Some(known) => {
                out.push('{');
                for (index, (name, zero)) in known.fields.iter().enumerate() {
                    out.push_str(if index > 0 { " " } else { "" });
                    match map.get(*name) {
                        None | Some(Value::Nil) => out.push_str(zero),
                        Some(value) => write(out, value, MAP),
                    }
                }
                out.push('}');
            }
            None => {
                out.push_str("map[");
                for (index, (key, value)) in map.iter().enumerate() {
                    out.push_str(if index > 0 { " " } else { "" });
                    out.push_str(key);
                    out.push(':');
                    match value {
                        // No binding of a port is a list of none.
                        Value::Nil if key.contains('/') => out.push_str(LIST),
                        // Objects without keys in a map are a set's.
                        value => write(out, value, "{}"),
                    }
                }
                out.push(']');
            }
        },
        Value::Nil => out.push_str(POINTER),
        other => out.push_str(&other.to_string()),
    }
}

/// Names that fields have in JSON alone: Go's types call them otherwise. For a template that uses one, the stock client
/// falls back to the document, where every object is a map.
const ONLY_IN_JSON: &[&str] = &[
    "Id",
    "NanoCpus",
    "CpuShares",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuCount",
    "CpuPercent",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "HostIp",
];

/// Whether a template is executed over Go's types, as far as its fields' names tell.
pub fn is_over_types(text: &str) -> bool {
    let fields = text
        .split('.')
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
    !fields.into_iter().any(|field| ONLY_IN_JSON.contains(&field))
}

/// The template with every value that it prints given to [`PRINT`] first.
pub fn printing(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        out.push_str(&rest[..start]);
        let action = &rest[start..];
        let length = check::action_length(action);
        let (whole, after) = action.split_at(length);
        rest = after;
        let inside =
            whole.strip_prefix("{{").and_then(|inside| inside.strip_suffix("}}")).unwrap_or_default();
        let (open, inside) = inside.strip_prefix("- ").map_or(("{{", inside), |inside| ("{{- ", inside));
        let (close, inside) = inside.strip_suffix(" -").map_or(("}}", inside), |inside| (" -}}", inside));
        if is_printing(inside) {
            out.push_str(&format!("{open}{PRINT} ({}){close}", inside.trim()));
        } else {
            out.push_str(whole);
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use crate::output::inspect::value_of;
    use crate::output::{KeyOrder, Template};
    use serde_json::json;

    #[test]
    fn known_objects_are_structs_and_others_maps() {
        let data = value_of(&json!({
            "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": null},
            "Exposed": {"80/tcp": {}}, "Labels": {"a": "b"}, "None": {},
            "Mounts": [{"Type": "bind", "Source": "/tmp", "Destination": "/host", "Mode": "", "RW": true, "Propagation": "rprivate"}],
            "Policy": {"MaximumRetryCount": 3, "Name": "on-failure"},
        }));
        let shown = |text: &str| Template::parse(text, KeyOrder::default()).unwrap().render(&data).unwrap();
        for (text, wanted) in [
            ("{{.Ports}}", "map[80/tcp:[{127.0.0.1 8080}] 81/tcp:[]]"),
            ("{{.Exposed}} {{.Labels}} {{.None}}", "map[80/tcp:{}] map[a:b] map[]"),
            ("{{.Mounts}}", "[{bind  /tmp /host   true rprivate}]"),
            ("x {{- .Policy -}} y {{/* {{.Policy}} */}}{{.Labels | len}}", "x{on-failure 3}y 1"),
            (
                "{{range $k, $v := .Ports}}{{$k}}={{$v}};{{end}}",
                "80/tcp=[{127.0.0.1 8080}];81/tcp=<no value>;",
            ),
            ("{{$p := .Policy}}{{with $p}}{{.}}{{else}}none{{end}}", "{on-failure 3}"),
            (
                "{{json .Policy}}{{.Policy}}",
                "{\"MaximumRetryCount\":3,\"Name\":\"on-failure\"}{on-failure 3}",
            ),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }
}
