//! `[proxy_plugins]`: parts that other processes are.

use super::plugins::ProxyPlugin;
use super::{NATIVE, OVERLAY};
use crate::proxy::Proxied;
use errdefs::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The types of plugins that containerd takes, by their short names.
const TYPES: [&str; 4] = ["snapshot", "content", "diff", "sandbox"];
/// The one that is taken here, by its long name.
const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";

/// The snapshotters among them; others are refused.
pub fn read(plugins: BTreeMap<String, ProxyPlugin>) -> Result<Vec<Proxied>> {
    plugins.into_iter().map(|(name, plugin)| one(name, plugin)).collect()
}

fn one(name: String, plugin: ProxyPlugin) -> Result<Proxied> {
    let wrong = |what: String| Err(Error::invalid_argument(format!("proxy_plugins.{name:?}: {what}")));
    match plugin.r#type.as_str() {
        "snapshot" | SNAPSHOTTER => {}
        "" => return wrong("type must be set".into()),
        known if TYPES.contains(&known) || known.starts_with("io.containerd.") => {
            let text = format!("proxy_plugins.{name:?}: plugins of the type {known:?} are not supported");
            return Err(Error::unimplemented(text).with_hint("Plugins of the type \"snapshot\" are."));
        }
        other => return wrong(format!("unknown proxy plugin type {other:?}")),
    }
    if [OVERLAY, NATIVE].iter().any(|uri| uri.rsplit('.').next() == Some(&name)) {
        return wrong("the name is that of a snapshotter of this program".into());
    }
    if !plugin.platform.is_empty() && plugin.platform != "linux" && !plugin.platform.starts_with("linux/") {
        return wrong(format!("platform {:?} is not this machine's", plugin.platform));
    }
    // As containerd, which dials it, takes both.
    let address = plugin.address.strip_prefix("unix:").map_or(plugin.address.as_path(), |path| path);
    let address = Path::new("/").join(address);
    if plugin.address.as_os_str().is_empty() {
        return wrong("address must be set".into());
    }
    if !super::fits_socket(&address) {
        return wrong(format!("{:?}: unix socket path too long (> 104)", address.display()));
    }
    Ok(Proxied { name, address, exports: plugin.exports, capabilities: plugin.capabilities })
}
