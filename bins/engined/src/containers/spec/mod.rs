//! From a container's record to an OCI runtime spec: a pure function.

pub mod capabilities;
mod devices;
pub mod discard;
pub mod kernel;
mod mounts;
mod namespaces;
mod process;
pub mod refuse;
pub mod resources;
mod security;

use std::collections::BTreeMap;

use errdefs::Result;
use runtime_spec::{Linux, Root, Seccomp, Spec, User};

use super::Record;
use crate::config::CgroupDriver;

pub use devices::HostDevice;
pub use mounts::Mounted;
pub use process::exec_process;
pub use security::{SecurityOptions, default_paths};

/// What the record alone does not say: the host's and the engine's part.
pub struct Inputs<'a> {
    pub record: &'a Record,
    /// Who the process runs as, looked up in the image.
    pub user: User,
    /// That user's home directory.
    pub home: String,
    /// Mounts of the record, with their host paths, in order of depth.
    pub mounts: Vec<Mounted>,
    /// Files that the engine keeps for the container: `hostname`, `hosts`, `resolv.conf`.
    pub files: BTreeMap<&'static str, String>,
    /// Path of the network namespace; `None` is the host's.
    pub network: Option<String>,
    /// The container's ids on the host, and the path of the user namespace that has them.
    pub remap: Option<(&'a crate::remap::Remap, String)>,
    /// Process whose namespaces are joined, for `container:` modes.
    pub ipc_pid: Option<u32>,
    pub pid_pid: Option<u32>,
    /// Host directory behind a shared `/dev/shm`.
    pub shm_path: Option<String>,
    /// The init program of the host.
    pub init_path: Option<String>,
    pub seccomp: Option<Seccomp>,
    pub security: SecurityOptions,
    /// Device nodes of the host that were asked for, with their numbers.
    pub devices: Vec<HostDevice>,
    pub cgroup_driver: CgroupDriver,
    pub cgroup_parent: &'a str,
    pub default_cgroupns: &'a str,
    pub default_ulimits: Vec<engine_api::host_config::Ulimit>,
    pub default_shm_bytes: i64,
    /// All capabilities that the kernel knows, for privileged containers.
    pub all_capabilities: &'a [String],
    /// Variables that tell of linked containers.
    pub links: Vec<String>,
}

/// Builds the spec.
///
/// # Errors
/// The record asks for something malformed; the field is named.
pub fn build(inputs: &Inputs<'_>) -> Result<Spec> {
    let host = &inputs.record.host_config;
    let mut linux = Linux {
        namespaces: namespaces::of(inputs),
        cgroups_path: cgroups_path(inputs),
        sysctl: sysctls(inputs),
        resources: Some(resources::of(&host.resources, host.privileged, &inputs.devices)?),
        devices: inputs.devices.iter().map(HostDevice::node).collect(),
        rootfs_propagation: mounts::rootfs_propagation(&inputs.mounts),
        ..Linux::default()
    };
    if let Some((remap, _)) = &inputs.remap {
        (linux.uid_mappings, linux.gid_mappings) = (remap.uids.clone(), remap.gids.clone());
    }
    security::apply(inputs, &mut linux);
    let root = Root { path: "rootfs".into(), readonly: host.readonly_rootfs };
    Ok(Spec {
        oci_version: "1.1.0".into(),
        process: Some(process::of(inputs)?),
        root: Some(root),
        hostname: if host.uts_mode == "host" { String::new() } else { inputs.record.config.hostname.clone() },
        domainname: if host.uts_mode == "host" {
            String::new()
        } else {
            inputs.record.config.domainname.clone()
        },
        mounts: mounts::of(inputs),
        annotations: host.annotations.clone(),
        linux: Some(linux),
        ..Spec::default()
    })
}

fn cgroups_path(inputs: &Inputs<'_>) -> String {
    let asked = &inputs.record.host_config.resources.cgroup_parent;
    let parent = if asked.is_empty() { inputs.cgroup_parent } else { asked };
    inputs.cgroup_driver.path(parent, &inputs.record.id)
}

/// What was asked for, and Docker's defaults of a private network namespace: ping and low ports
/// need no capability.
fn sysctls(inputs: &Inputs<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if inputs.network.is_some() && super::Record::joined(&inputs.record.host_config.network_mode).is_none() {
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        // The kernel takes only groups that there are.
        let last = match &inputs.remap {
            None => Some(i32::MAX as u32),
            Some((remap, _)) => remap.gids.first().map(|range| range.size.min(i32::MAX as u32) - 1),
        };
        if let Some(last) = last {
            all.insert("net.ipv4.ping_group_range".to_owned(), format!("0 {last}"));
        }
    }
    all.extend(inputs.record.host_config.sysctls.clone());
    all
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use engine_api::container::Config;
    use engine_api::host_config::HostConfig;

    pub fn record(host_config: HostConfig, config: Config) -> Record {
        Record {
            id: "abc".into(),
            path: "/bin/echo".into(),
            args: vec!["hi".into()],
            host_config,
            config,
            ..Record::default()
        }
    }

    pub fn inputs(record: &Record) -> Inputs<'_> {
        Inputs {
            record,
            user: User::default(),
            home: "/root".into(),
            mounts: Vec::new(),
            files: BTreeMap::from([("/etc/hosts", "/c/hosts".to_owned())]),
            network: Some("/run/netns/abc".into()),
            remap: None,
            ipc_pid: None,
            pid_pid: None,
            shm_path: None,
            init_path: Some("/usr/bin/tini".into()),
            seccomp: None,
            security: SecurityOptions::default(),
            devices: Vec::new(),
            cgroup_driver: CgroupDriver::Cgroupfs,
            cgroup_parent: "/wherry",
            default_cgroupns: "private",
            default_ulimits: Vec::new(),
            default_shm_bytes: 64 << 20,
            all_capabilities: &[],
            links: Vec::new(),
        }
    }

    #[test]
    fn a_plain_container() {
        let record = record(HostConfig::default(), Config { hostname: "box".into(), ..Config::default() });
        let spec = build(&inputs(&record)).unwrap();
        let linux = spec.linux.unwrap();
        assert_eq!(spec.hostname, "box");
        assert_eq!(linux.cgroups_path, "/wherry/abc");
        assert_eq!(
            linux.namespaces.iter().map(|ns| ns.kind.as_str()).collect::<Vec<_>>(),
            ["mount", "network", "uts", "pid", "ipc", "cgroup"]
        );
        assert_eq!(linux.namespaces[1].path, "/run/netns/abc");
        assert_eq!(linux.sysctl["net.ipv4.ip_unprivileged_port_start"], "0");
        assert!(linux.masked_paths.contains(&"/proc/kcore".to_owned()));
        assert!(spec.mounts.iter().any(|mount| mount.destination == "/etc/hosts"));
    }

    #[test]
    fn the_hosts_network_has_no_sysctls_of_ours() {
        let host = HostConfig { network_mode: "host".into(), ..HostConfig::default() };
        let record = record(host, Config::default());
        let linux = build(&Inputs { network: None, ..inputs(&record) }).unwrap().linux.unwrap();
        assert!(linux.sysctl.is_empty());
        assert!(!linux.namespaces.iter().any(|ns| ns.kind == "network"));
    }

    #[test]
    fn a_container_with_ids_of_its_own() {
        let record = record(HostConfig::default(), Config::default());
        let range = |host_id, size| runtime_spec::IdMapping { container_id: 0, host_id, size };
        let remap = crate::remap::Remap { uids: vec![range(100_000, 4)], gids: vec![range(200_000, 4)] };
        let remapped = Inputs { remap: Some((&remap, "/run/userns/abc".into())), ..inputs(&record) };
        let spec = build(&remapped).unwrap();
        let linux = spec.linux.unwrap();
        let user = linux.namespaces.iter().find(|namespace| namespace.kind == "user").unwrap();
        assert_eq!(user.path, "/run/userns/abc");
        assert_eq!((linux.uid_mappings, linux.gid_mappings), (remap.uids.clone(), remap.gids.clone()));
        assert_eq!(linux.sysctl["net.ipv4.ping_group_range"], "0 3");
        // There is no group 5 in it that could have the terminals.
        let terminals = spec.mounts.iter().find(|mount| mount.destination == "/dev/pts").unwrap();
        assert!(!terminals.options.iter().any(|option| option.starts_with("gid=")));
    }

    #[test]
    fn a_privileged_container() {
        let host = HostConfig { privileged: true, ..HostConfig::default() };
        let record = record(host, Config::default());
        let all = ["CAP_SYS_ADMIN".to_owned()];
        let spec = build(&Inputs { all_capabilities: &all, ..inputs(&record) }).unwrap();
        let linux = spec.linux.unwrap();
        assert!(linux.masked_paths.is_empty() && linux.readonly_paths.is_empty());
        assert_eq!(spec.process.unwrap().capabilities.unwrap().bounding, all);
        let sysfs = spec.mounts.iter().find(|mount| mount.destination == "/sys").unwrap();
        assert!(sysfs.options.contains(&"rw".to_owned()));
    }
}
