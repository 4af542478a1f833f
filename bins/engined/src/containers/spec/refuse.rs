//! Wishes that cannot be granted are refused by name, never ignored.

use engine_api::host_config::HostConfig;
use errdefs::{Error, Result};

/// Checks everything that is not looked at elsewhere.
///
/// # Errors
/// The first wish that the engine cannot grant.
pub fn unsupported(host: &HostConfig) -> Result<()> {
    let resources = &host.resources;
    if let Some(option) = host.storage_opt.keys().next() {
        // A quota needs a snapshotter that keeps one; overlayfs over any file system here does not.
        return Err(match option.to_ascii_lowercase().as_str() {
            "size" => Error::invalid_argument(
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
            ),
            _ => Error::invalid_argument(format!("Unknown option {option}")),
        });
    }
    if !host.cgroup.is_empty() {
        return Err(Error::invalid_argument(format!("HostConfig.Cgroup {:?} is not supported", host.cgroup)));
    }
    if resources.cpu_shares < 0 {
        return Err(Error::invalid_argument(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            resources.cpu_shares
        )));
    }
    if resources.io_maximum_iops != 0 || resources.io_maximum_bandwidth != 0 {
        return Err(Error::invalid_argument(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        ));
    }
    if host.annotations.contains_key("") {
        return Err(Error::invalid_argument(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    words(host)
}

/// Checks what a container with ids of its own cannot have.
///
/// # Errors
/// It asks for something of the host that belongs to the host's root.
pub fn not_remapped(host: &HostConfig) -> Result<()> {
    let refuse =
        |text: &str| Err(Error::invalid_argument(text).with_hint("Start the container with --userns=host."));
    if host.privileged {
        return refuse(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode",
        );
    }
    if host.network_mode == "host" {
        return refuse("cannot share the host's network namespace when user namespaces are enabled");
    }
    if host.pid_mode == "host" {
        return refuse("cannot share the host PID namespace when user namespaces are enabled");
    }
    Ok(())
}

/// Modes are single words.
fn words(host: &HostConfig) -> Result<()> {
    let joins = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let bad = |kind: &str, mode: &str| Err(Error::invalid_argument(format!("invalid {kind} mode: {mode}")));
    match host.ipc_mode.as_str() {
        "" | "private" | "shareable" | "host" | "none" => {}
        mode if joins(mode) => {}
        mode => return bad("IPC", mode),
    }
    match host.pid_mode.as_str() {
        "" | "host" => {}
        mode if joins(mode) => {}
        mode => return bad("PID", mode),
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return bad("UTS", &host.uts_mode);
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return bad("USER", &host.userns_mode);
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "private" | "host") {
        return bad("cgroup namespace", &host.cgroupns_mode);
    }
    if !matches!(host.isolation.to_ascii_lowercase().as_str(), "" | "default") {
        return Err(Error::invalid_argument(format!("invalid isolation '{}' on linux", host.isolation)));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::invalid_argument(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::invalid_argument("can't create 'AutoRemove' container with restart policy"));
    }
    restart_policy(host)
}

fn restart_policy(host: &HostConfig) -> Result<()> {
    let policy = &host.restart_policy;
    match policy.name.as_str() {
        "always" | "unless-stopped" | "no" if policy.maximum_retry_count != 0 => {
            Err(Error::invalid_argument(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            ))
        }
        "on-failure" if policy.maximum_retry_count < 0 => {
            Err(Error::invalid_argument("invalid restart policy: maximum retry count cannot be negative"))
        }
        "" | "no" | "always" | "unless-stopped" | "on-failure" => Ok(()),
        other => Err(Error::invalid_argument(format!(
            "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_do_not_have_is_named() {
        let text = |host: HostConfig| unsupported(&host).unwrap_err().to_string();
        let quota =
            HostConfig { storage_opt: [("size".into(), "1g".into())].into(), ..HostConfig::default() };
        assert!(text(quota).contains("pquota"));
        let isolated = HostConfig { isolation: "hyperv".into(), ..HostConfig::default() };
        assert_eq!(text(isolated), "invalid isolation 'hyperv' on linux");
        assert!(unsupported(&HostConfig::default()).is_ok());
    }

    #[test]
    fn modes_and_policies_are_words() {
        let check = |host: HostConfig| unsupported(&host).is_ok();
        assert!(check(HostConfig { pid_mode: "container:x".into(), ..HostConfig::default() }));
        assert!(!check(HostConfig { pid_mode: "container:".into(), ..HostConfig::default() }));
        let mut host = HostConfig::default();
        host.restart_policy.name = "sometimes".into();
        assert!(!check(host.clone()));
        host.restart_policy.name = "always".into();
        assert!(check(host.clone()));
        host.auto_remove = true;
        assert!(!check(host));
    }
}
