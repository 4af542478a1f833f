//! What a container may not see or call.

use errdefs::{Error, Result};
use runtime_spec::Linux;

use super::Inputs;
use crate::containers::Record;

const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const MASKED_POWER: &str = "/sys/devices/virtual/powercap";
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `--security-opt`, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecurityOptions {
    pub no_new_privileges: bool,
    /// JSON of a profile, `unconfined`, or `builtin`; `None` is the engine's default.
    pub seccomp: Option<String>,
    /// The container's own control groups are its to change.
    pub has_writable_cgroups: bool,
}

impl SecurityOptions {
    /// Reads the options of a container.
    ///
    /// # Errors
    /// An option that the engine does not have.
    pub fn parse(record: &Record) -> Result<SecurityOptions> {
        let mut read = SecurityOptions::default();
        for option in record.host_config.security_opt.iter().flatten() {
            let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
            match (name, value) {
                ("no-new-privileges", "" | "true") => read.no_new_privileges = true,
                ("no-new-privileges", "false") => read.no_new_privileges = false,
                ("writable-cgroups", "true") => read.has_writable_cgroups = true,
                ("writable-cgroups", "false") => read.has_writable_cgroups = false,
                ("writable-cgroups", "") if option == "writable-cgroups" => read.has_writable_cgroups = true,
                ("seccomp", profile) => read.seccomp = Some(profile.to_owned()),
                // Neither module confines anything here, so "off" is what stands.
                ("apparmor", "unconfined") | ("label", "disable") => {}
                ("apparmor" | "label", _) => {
                    return Err(Error::invalid_argument(format!(
                        "security option {option:?} is not supported on this host"
                    )));
                }
                _ => return Err(Error::invalid_argument(format!("invalid --security-opt 2: {option:?}"))),
            }
        }
        Ok(read)
    }
}

/// What is masked and what is read-only unless the container says otherwise.
pub fn default_paths() -> (Vec<String>, Vec<String>) {
    let owned = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let mut masked = owned(&MASKED);
    masked.push(MASKED_POWER.into());
    (masked, owned(&READ_ONLY))
}

pub fn apply(inputs: &Inputs<'_>, linux: &mut Linux) {
    let host = &inputs.record.host_config;
    if host.privileged {
        return;
    }
    let (masked, read_only) = default_paths();
    linux.masked_paths = host.masked_paths.clone().unwrap_or(masked);
    linux.readonly_paths = host.readonly_paths.clone().unwrap_or(read_only);
    linux.seccomp.clone_from(&inputs.seccomp);
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;
    use engine_api::container::Config;
    use engine_api::host_config::HostConfig;

    fn parse(options: &[&str]) -> Result<SecurityOptions> {
        let list = options.iter().map(|option| (*option).to_owned()).collect();
        let host = HostConfig { security_opt: Some(list), ..HostConfig::default() };
        SecurityOptions::parse(&record(host, Config::default()))
    }

    #[test]
    fn options_are_read_or_named() {
        let read = parse(&["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined"]).unwrap();
        assert!(read.no_new_privileges);
        assert_eq!(read.seccomp.as_deref(), Some("unconfined"));
        assert!(parse(&["apparmor=mine"]).unwrap_err().to_string().contains("apparmor=mine"));
        assert!(parse(&["colour=red"]).is_err());
        for (option, is_writable) in
            [("writable-cgroups", true), ("writable-cgroups=true", true), ("writable-cgroups=false", false)]
        {
            assert_eq!(parse(&[option]).unwrap().has_writable_cgroups, is_writable, "{option}");
        }
        let told = parse(&["writable-cgroups=1"]).unwrap_err().to_string();
        assert_eq!(told, "invalid --security-opt 2: \"writable-cgroups=1\"");
    }
}
