//! Features that containerd has and supervisord has not: refused by name when a file asks for them.

use errdefs::{Error, Result};
use toml::{Table, Value};

/// Settings, and what to do instead.
const SETTINGS: [(&[&str], &str); 6] = [
    (&["temp"], "Set TMPDIR in the service's environment."),
    (&["cgroup", "path"], "Place the service by its unit's Slice=."),
    (
        &["plugins", super::migrate::DEBUG, "address"],
        "There are no Go profiles of this program; its log is set by debug.level, its counts are served by \
         plugins.\"io.containerd.server.v1.metrics\".address.",
    ),
    (&["plugins", super::GRPC_TCP, "tls_common_name"], "Certificates are chosen by tls_cert alone."),
    (&["plugins", super::OVERLAY, "slow_chown"], "Ids are mapped by the kernel."),
    (&["plugins", super::TRANSFER, "unpack_config"], "Set the transfer plugin's snapshotter."),
];

/// Kubernetes' interface, under its names through the releases.
const CRI: [&str; 3] =
    ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];

/// Refuses what a merged file asks for and is not here.
pub fn check(file: &Table) -> Result<()> {
    for (path, hint) in SETTINGS {
        let found = path[1..].iter().try_fold(file.get(path[0]), |value, key| Some(value?.get(key)));
        if found.flatten().is_some_and(is_set) {
            let name: Vec<String> = path
                .iter()
                .map(|key| if key.contains('.') { format!("{key:?}") } else { (*key).into() })
                .collect();
            let text = format!("configuration key {} is not supported", name.join("."));
            return Err(Error::unimplemented(text).with_hint(hint));
        }
    }
    let plugins = file.get("plugins").and_then(Value::as_table);
    let is_disabled = |name: &str| {
        let disabled = file.get("disabled_plugins").and_then(Value::as_array).into_iter().flatten();
        disabled.filter_map(Value::as_str).any(|uri| uri == name || uri == CRI[0] || uri == "cri")
    };
    for name in CRI {
        if plugins.and_then(|plugins| plugins.get(name)).is_some_and(is_set) && !is_disabled(name) {
            return Err(Error::unimplemented(format!(
                "plugins.{name:?} is configured, but Kubernetes' CRI is not served yet"
            ))
            .with_hint("Remove the section, or put \"io.containerd.grpc.v1.cri\" into disabled_plugins."));
        }
    }
    Ok(())
}

/// Whether a setting asks for something.
fn is_set(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Table(entries) => !entries.is_empty(),
        Value::Boolean(on) => *on,
        _ => true,
    }
}
