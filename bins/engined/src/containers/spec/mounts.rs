//! Mounts: the system's, the engine's files, and what was asked for.

use runtime_spec::Mount;

use super::Inputs;

/// A mount of the record with its host path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mounted {
    /// Host path; empty for tmpfs.
    pub source: String,
    pub destination: String,
    pub is_read_only: bool,
    /// Read-only holds for the mounts below, too.
    pub is_read_only_deep: bool,
    pub propagation: String,
    pub is_non_recursive: bool,
    /// Options of a tmpfs; `None` is a bind mount.
    pub tmpfs: Option<Vec<String>>,
}

const ALWAYS: [&str; 3] = ["nosuid", "noexec", "nodev"];

pub fn of(inputs: &Inputs<'_>) -> Vec<Mount> {
    let mut all = system(inputs);
    let is_covered = |path: &str| inputs.mounts.iter().any(|mount| mount.destination == path);
    for (destination, source) in &inputs.files {
        if !is_covered(destination) {
            all.push(bind(source, destination, &["rbind", "rprivate"]));
        }
    }
    if inputs.record.host_config.init == Some(true)
        && inputs.record.host_config.pid_mode.is_empty()
        && let Some(init) = &inputs.init_path
    {
        all.push(bind(init, "/sbin/docker-init", &["bind", "ro"]));
    }
    // What a person mounts replaces what stands there by default.
    all.retain(|mount| !is_covered(&mount.destination));
    all.extend(inputs.mounts.iter().map(asked));
    if inputs.record.host_config.readonly_rootfs {
        for mount in all.iter_mut().filter(|mount| mount.destination == "/dev") {
            mount.options.push("ro".into());
        }
    }
    all
}

fn system(inputs: &Inputs<'_>) -> Vec<Mount> {
    let host = &inputs.record.host_config;
    let access = if host.privileged { "rw" } else { "ro" };
    let cgroup_access = if inputs.security.has_writable_cgroups { "rw" } else { access };
    let mut all = vec![
        mount("proc", "proc", "/proc", &ALWAYS),
        mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "devpts",
            "devpts",
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", access]),
        mount("cgroup", "cgroup", "/sys/fs/cgroup", &[cgroup_access, "nosuid", "noexec", "nodev"]),
    ];
    const TERMINALS: u32 = 5;
    if inputs.remap.as_ref().is_some_and(|(remap, _)| !remap.has_group(TERMINALS)) {
        all[2].options.pop();
    }
    if host.ipc_mode == "host" {
        all.push(bind("/dev/mqueue", "/dev/mqueue", &["rbind", "nosuid", "noexec", "nodev"]));
        all.push(bind("/dev/shm", "/dev/shm", &["rbind", "rprivate"]));
        return all;
    }
    all.push(mount("mqueue", "mqueue", "/dev/mqueue", &ALWAYS));
    match &inputs.shm_path {
        Some(path) => all.push(bind(path, "/dev/shm", &["rbind", "rprivate"])),
        None if host.ipc_mode == "none" => {}
        None => {
            let bytes = if host.shm_size > 0 { host.shm_size } else { inputs.default_shm_bytes };
            let mut shm = mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777"]);
            shm.options.push(format!("size={bytes}"));
            all.push(shm);
        }
    }
    all
}

fn mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        kind: kind.into(),
        source: source.into(),
        destination: destination.into(),
        options: options.iter().map(|option| (*option).into()).collect(),
        ..Mount::default()
    }
}

fn bind(source: &str, destination: &str, options: &[&str]) -> Mount {
    mount("bind", source, destination, options)
}

fn asked(wish: &Mounted) -> Mount {
    if let Some(options) = &wish.tmpfs {
        let mut all = vec!["nosuid".to_owned(), "nodev".into(), "noexec".into()];
        for option in options {
            // An opposite takes the default away.
            let opposite = match option.as_str() {
                "exec" => "noexec",
                "suid" => "nosuid",
                "dev" => "nodev",
                _ => "",
            };
            all.retain(|default| default != opposite && default != option);
            all.push(option.clone());
        }
        if wish.is_read_only {
            all.push("ro".into());
        }
        return Mount { options: all, ..mount("tmpfs", "tmpfs", &wish.destination, &[]) };
    }
    let how = if wish.is_non_recursive { "bind" } else { "rbind" };
    let propagation = if wish.propagation.is_empty() { "rprivate" } else { &wish.propagation };
    let access = if wish.is_read_only { "ro" } else { "rw" };
    let mut options = vec![how, access, propagation];
    if wish.is_read_only && wish.is_read_only_deep && !wish.is_non_recursive {
        options.push("rro");
    }
    bind(&wish.source, &wish.destination, &options)
}

/// Mounts that travel need a root that lets them.
pub fn rootfs_propagation(mounts: &[Mounted]) -> String {
    let any = |words: [&str; 2]| mounts.iter().any(|mount| words.contains(&mount.propagation.as_str()));
    if any(["shared", "rshared"]) {
        "shared".into()
    } else if any(["slave", "rslave"]) {
        "slave".into()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{inputs, record};
    use super::*;
    use engine_api::container::Config;
    use engine_api::host_config::HostConfig;

    #[test]
    fn a_mount_replaces_the_default_at_its_place() {
        let record = record(HostConfig::default(), Config::default());
        let mut inputs = inputs(&record);
        let wish = |destination: &str| Mounted {
            source: "/h".into(),
            destination: destination.into(),
            ..Mounted::default()
        };
        inputs.mounts = vec![wish("/etc/hosts"), wish("/dev/shm")];
        let all = of(&inputs);
        let at = |path: &str| all.iter().filter(|mount| mount.destination == path).collect::<Vec<_>>();
        assert_eq!(at("/etc/hosts").len(), 1);
        assert_eq!(at("/dev/shm")[0].source, "/h");
        assert_eq!(at("/dev/shm")[0].options, ["rbind", "rw", "rprivate"]);
    }

    #[test]
    fn tmpfs_options_win_over_the_defaults() {
        let wish = Mounted {
            destination: "/t".into(),
            tmpfs: Some(vec!["exec".into(), "size=1m".into()]),
            ..Mounted::default()
        };
        assert_eq!(asked(&wish).options, ["nosuid", "nodev", "exec", "size=1m"]);
    }

    #[test]
    fn shared_memory_has_the_size_asked_for() {
        let host = HostConfig { shm_size: 4096, ..HostConfig::default() };
        let record = record(host, Config::default());
        let all = of(&inputs(&record));
        let shm = all.iter().find(|mount| mount.destination == "/dev/shm").unwrap();
        assert!(shm.options.contains(&"size=4096".to_owned()));
    }
}
