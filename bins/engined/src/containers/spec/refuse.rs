//! Wishes that cannot be granted are refused by name, never ignored.

use engine_api::container::Config;
use engine_api::host_config::HostConfig;
use errdefs::{Error, Result};

/// Checks everything that is not looked at elsewhere.
///
/// # Errors
/// The first wish that the engine cannot grant.
pub fn unsupported(config: &Config, host: &HostConfig) -> Result<()> {
    let is_set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let resources = &host.resources;
    let refused = [
        (!host.volume_driver.is_empty() && host.volume_driver != "local", "HostConfig.VolumeDriver"),
        (is_set(&host.links), "HostConfig.Links"),
        (!host.storage_opt.is_empty(), "HostConfig.StorageOpt"),
        (!matches!(host.userns_mode.as_str(), "" | "host"), "HostConfig.UsernsMode"),
        (!matches!(host.isolation.as_str(), "" | "default"), "HostConfig.Isolation"),
        (!host.cgroup.is_empty(), "HostConfig.Cgroup"),
        (
            resources.device_requests.as_ref().is_some_and(|list| !list.is_empty()),
            "HostConfig.DeviceRequests",
        ),
        (resources.cpu_count != 0, "HostConfig.CpuCount"),
        (resources.cpu_percent != 0, "HostConfig.CpuPercent"),
        (resources.io_maximum_iops != 0, "HostConfig.IOMaximumIOps"),
        (resources.io_maximum_bandwidth != 0, "HostConfig.IOMaximumBandwidth"),
        (resources.kernel_memory != 0, "HostConfig.KernelMemory"),
        (config.network_disabled, "Config.NetworkDisabled"),
    ];
    match refused.iter().find(|(is_asked, _)| *is_asked) {
        Some((_, field)) => Err(Error::unimplemented(format!("{field} is not implemented"))),
        None => words(host),
    }
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
    if !matches!(host.cgroupns_mode.as_str(), "" | "private" | "host") {
        return bad("CGroup Namespace", &host.cgroupns_mode);
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
        let links = HostConfig { links: Some(vec!["a:b".into()]), ..HostConfig::default() };
        let error = unsupported(&Config::default(), &links).unwrap_err();
        assert_eq!(error.kind(), errdefs::Kind::Unimplemented);
        assert!(error.to_string().contains("HostConfig.Links"));
        assert!(unsupported(&Config::default(), &HostConfig::default()).is_ok());
    }

    #[test]
    fn modes_and_policies_are_words() {
        let check = |host: HostConfig| unsupported(&Config::default(), &host).is_ok();
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
