//! What requests and answers about containers were in older versions of the API: read and written here alone.

use engine_api::container::{CreateRequest, Inspect, Summary};
use engine_api::exec::{ExecCreate, ExecStart};
use engine_api::host_config::{HostConfig, UpdateRequest};
use engine_api::mount::Mount;
use errdefs::{Error, Result};

use super::stats;
use super::wait::Condition;
use crate::api::fields::Fields;
use crate::api::versions::Version;
use serde_json::value::RawValue;

/// What a create request of an old client means today, beyond what stands in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Old {
    /// A read-only bind mount leaves the mounts below it writable.
    pub is_read_only_shallow: bool,
}

/// Brings a create request to the present.
///
/// # Errors
/// It asks for what its version does not have and must not be passed over.
pub fn create(version: Version, request: &mut CreateRequest) -> Result<Old> {
    let host = request.host_config.get_or_insert_default();
    mounts(version, host)?;
    if version < Version(1, 40) && host.ipc_mode.is_empty() {
        host.ipc_mode = "shareable".to_owned();
    }
    if version < Version(1, 41)
        && host.cgroupns_mode.is_empty()
        && !super::spec::kernel::Kernel::of_host().is_unified
    {
        host.cgroupns_mode = "host".to_owned();
    }
    if version < Version(1, 42) {
        host.console_size = [0, 0];
    }
    if version < Version(1, 43) {
        host.annotations.clear();
    }
    // Every way to write "unlimited" is none.
    host.resources.pids_limit = host.resources.pids_limit.filter(|limit| *limit > 0);
    let endpoints = request.networking_config.as_mut().and_then(|wishes| wishes.endpoints_config.as_mut());
    if let Some(endpoints) = endpoints {
        if version < Version(1, 44) && endpoints.len() > 1 {
            let names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
            return Err(Error::invalid_argument(format!(
                "Container cannot be created with multiple network endpoints: {}",
                names.join(", ")
            )));
        }
        for endpoint in endpoints.values_mut() {
            if version < Version(1, 44) {
                endpoint.mac_address.clear();
            }
            if version < Version(1, 48) {
                endpoint.gw_priority = 0;
            }
        }
    }
    if version >= Version(1, 42) {
        host.resources.kernel_memory = 0;
    }
    if version >= Version(1, 52) {
        host.resources.kernel_memory_tcp = 0;
    }
    if version < Version(1, 44)
        && let Some(check) = &mut request.config.healthcheck
    {
        check.start_interval = 0;
    }
    if version >= Version(1, 52) && !request.config.mac_address.is_empty() {
        return Err(Error::invalid_argument(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address instead",
        ));
    }
    Ok(Old { is_read_only_shallow: version < Version(1, 44) })
}

fn mounts(version: Version, host: &mut HostConfig) -> Result<()> {
    for mount in &mut host.mounts {
        let bad = |text: &str| Err(Error::invalid_argument(text));
        if version < Version(1, 42) {
            if mount.kind != "volume" {
                mount.volume_options = None;
            }
            if mount.kind != "tmpfs" {
                mount.tmpfs_options = None;
            }
        }
        if let Some(options) = &mut mount.bind_options {
            options.non_recursive &= version >= Version(1, 40);
            options.create_mountpoint &= version >= Version(1, 42);
            if version < Version(1, 44) && options.read_only_force_recursive {
                return bad("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer");
            }
        }
        let subpath = mount.volume_options.as_ref().map_or("", |options| options.subpath.as_str());
        if version < Version(1, 45) && !subpath.is_empty() {
            return bad("VolumeOptions.Subpath needs API v1.45 or newer");
        }
        if version < Version(1, 48) && mount.kind == "image" {
            return bad("Mount type \"Image\" needs API v1.48 or newer");
        }
    }
    Ok(())
}

/// Brings an update request to the present.
pub fn update(version: Version, request: &mut UpdateRequest) {
    let resources = &mut request.resources;
    if version < Version(1, 40) {
        resources.pids_limit = None;
    }
    if version >= Version(1, 42) {
        resources.kernel_memory = 0;
    }
    if version >= Version(1, 52) {
        resources.kernel_memory_tcp = 0;
    }
    if version < Version(1, 55) {
        resources.blkio_weight_device = None;
        resources.blkio_device_read_bps = None;
        resources.blkio_device_write_bps = None;
        resources.blkio_device_read_iops = None;
        resources.blkio_device_write_iops = None;
    }
    if resources.pids_limit.is_some_and(|limit| limit <= 0) {
        resources.pids_limit = Some(-1);
    }
}

/// Brings the request of an exec to the present.
pub fn exec(version: Version, request: &mut ExecCreate) {
    if version < Version(1, 42) {
        request.console_size = None;
    }
}

/// Brings the start of an exec to the present.
pub fn exec_start(version: Version, request: &mut ExecStart) {
    if version < Version(1, 42) {
        request.console_size = None;
    }
}

/// Which condition a client waits for; the oldest know one alone.
///
/// # Errors
/// It is no condition.
pub fn condition(version: Version, text: &str) -> Result<Condition> {
    if version < Version(1, 30) { Ok(Condition::NotRunning) } else { Condition::parse(text) }
}

/// How often a client wants to know what a container uses.
pub fn stats(version: Version, wish: stats::Wish) -> stats::Wish {
    stats::Wish {
        is_one_shot: wish.is_one_shot && version >= Version(1, 41),
        has_os_type: wish.has_os_type && version >= Version(1, 52),
        ..wish
    }
}

/// The signal that a client stops with; the container's own was the only one before 1.42.
pub fn stop_signal(version: Version, text: &str) -> Option<&str> {
    (version >= Version(1, 42)).then_some(text)
}

/// Whether a client chooses its streams when it attaches by a websocket; else it has all of them.
pub fn has_streams_by_websocket(version: Version) -> bool {
    version >= Version(1, 42)
}

/// What a client of this version is told of a wish that is granted in another way than it may think.
pub fn warnings(version: Version, request: &CreateRequest) -> Vec<String> {
    let Some(host) = &request.host_config else { return Vec::new() };
    let mut all = Vec::new();
    let names_no_driver = |mount: &Mount| {
        let options = mount.volume_options.as_ref().and_then(|options| options.driver_config.as_ref());
        mount.kind == "volume" && options.is_none_or(|driver| driver.name.is_empty())
    };
    if version >= Version(1, 48) && !host.volume_driver.is_empty() && host.mounts.iter().any(names_no_driver)
    {
        all.push(
            "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead"
                .to_owned(),
        );
    }
    let unbound =
        host.port_bindings.iter().filter(|(_, bindings)| bindings.as_ref().is_none_or(Vec::is_empty));
    let unbound: Vec<&str> = unbound.map(|(port, _)| port.as_str()).collect();
    if version >= Version(1, 52) && !unbound.is_empty() {
        all.push(format!(
            "Following container port(s) have an empty list of port-bindings: {}. Such bindings will be discarded in a future version.",
            unbound.join(", ")
        ));
    }
    if (Version(1, 44)..Version(1, 52)).contains(&version) && !request.config.mac_address.is_empty() {
        all.push(
            "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."
                .to_owned(),
        );
    }
    all
}

/// The type of streams that are framed; old clients know one name for all.
pub fn is_stream_named(version: Version) -> bool {
    version >= Version(1, 42)
}

/// A row as a client of this version knows it.
pub fn summary(version: Version, row: &mut Summary) {
    if version < Version(1, 46) {
        row.host_config.annotations.clear();
    }
    if version < Version(1, 48) {
        row.image_manifest_descriptor = None;
    }
    if version < Version(1, 52) {
        row.health = None;
    }
}

/// What `NetworkSettings` said of the default bridge until 1.52.
const BRIDGE_FIELDS: [&str; 14] = [
    "Bridge",
    "HairpinMode",
    "LinkLocalIPv6Address",
    "LinkLocalIPv6PrefixLen",
    "SecondaryIPAddresses",
    "SecondaryIPv6Addresses",
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
];

/// A container as a client of this version knows it.
///
/// # Errors
/// It cannot be encoded.
pub fn inspect(version: Version, mut shown: Inspect) -> Result<Box<RawValue>> {
    let failed = |cause| Error::internal("cannot encode a container").with_source(cause);
    amend(version, &mut shown);
    if version < Version(1, 52) {
        // As it is written: its fields in their own order, which clients show.
        return serde_json::value::to_raw_value(&shown).map_err(failed);
    }
    let has_on_build = shown.config.on_build.as_ref().is_some_and(|all| !all.is_empty());
    without(&shown, has_on_build).map_err(failed)
}

fn without(shown: &Inspect, has_on_build: bool) -> serde_json::Result<Box<RawValue>> {
    let mut fields = Fields::of(shown)?;
    fields.within("NetworkSettings", |settings| {
        settings.retain(|name, _| !BRIDGE_FIELDS.contains(&name));
        Ok(())
    })?;
    fields.within("Config", |config| {
        config.retain(|name, _| has_on_build || name != "OnBuild");
        Ok(())
    })?;
    serde_json::value::to_raw_value(&fields)
}

fn amend(version: Version, shown: &mut Inspect) {
    let name = shown.config.hostname.clone();
    let short = crate::identity::short(&shown.id).to_owned();
    // It has been on its networks by these names.
    let has_started = !shown.state.started_at.starts_with("0001-");
    if version < Version(1, 45) && has_started {
        for (network, endpoint) in &mut shown.network_settings.networks {
            if matches!(network.as_str(), "bridge" | "host" | "none" | "default") {
                continue;
            }
            let aliases = endpoint.aliases.get_or_insert_default();
            for more in [&short, &name] {
                if !aliases.contains(more) {
                    aliases.push(more.clone());
                }
            }
        }
    }
    if version < Version(1, 48) {
        shown.image_manifest_descriptor = None;
    }
    if version >= Version(1, 52) {
        shown.config.mac_address.clear();
        shown.host_config.resources.kernel_memory_tcp = 0;
    }
    if version < Version(1, 44)
        && let Some(check) = &mut shown.config.healthcheck
    {
        check.start_interval = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::mount::{BindOptions, VolumeOptions};

    fn request(mount: Mount) -> CreateRequest {
        let host = HostConfig { mounts: vec![mount], ..HostConfig::default() };
        CreateRequest { host_config: Some(host), ..CreateRequest::default() }
    }

    #[test]
    fn old_clients_get_what_they_knew() {
        let options = BindOptions { non_recursive: true, create_mountpoint: true, ..BindOptions::default() };
        let wish = Mount { kind: "bind".into(), bind_options: Some(options), ..Mount::default() };
        let mut old = request(wish.clone());
        assert!(create(Version(1, 39), &mut old).unwrap().is_read_only_shallow);
        let host = old.host_config.unwrap();
        assert_eq!(host.ipc_mode, "shareable");
        assert_eq!(host.mounts[0].bind_options, Some(BindOptions::default()));
        let mut new = request(wish.clone());
        assert!(!create(Version(1, 47), &mut new).unwrap().is_read_only_shallow);
        assert_eq!(new.host_config.unwrap().mounts[0], wish);
    }

    #[test]
    fn what_a_version_does_not_have_is_named() {
        let options = VolumeOptions { subpath: "a".into(), ..VolumeOptions::default() };
        let part = Mount { kind: "volume".into(), volume_options: Some(options), ..Mount::default() };
        let image = Mount { kind: "image".into(), ..Mount::default() };
        for (version, wish, text) in
            [(Version(1, 44), part, "VolumeOptions.Subpath"), (Version(1, 47), image, "\"Image\"")]
        {
            let error = create(version, &mut request(wish.clone())).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("needs API"), "{error}");
            assert!(create(Version(1, 48), &mut request(wish)).is_ok());
        }
    }

    #[test]
    fn what_is_done_otherwise_is_said() {
        let mut request = request(Mount { kind: "volume".into(), ..Mount::default() });
        let host = request.host_config.get_or_insert_default();
        host.volume_driver = "other".into();
        host.port_bindings.insert("80/tcp".into(), Some(Vec::new()));
        assert!(warnings(Version(1, 47), &request).is_empty());
        assert_eq!(warnings(Version(1, 48), &request).len(), 1);
        let told = warnings(Version(1, 52), &request);
        assert!(told.len() == 2 && told[1].contains("port-bindings: 80/tcp."), "{told:?}");
    }

    #[test]
    fn unlimited_is_no_limit() {
        let mut request = CreateRequest::default();
        request.host_config.get_or_insert_default().resources.pids_limit = Some(-1);
        create(Version(1, 47), &mut request).unwrap();
        assert_eq!(request.host_config.unwrap().resources.pids_limit, None);
    }
}
