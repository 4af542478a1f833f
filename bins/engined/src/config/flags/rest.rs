//! Flags that a dockerd's unit file or test may carry: the few of them that mean something here,
//! and those whose only value is what this engine does anyway.

use std::path::PathBuf;

use clap::Args;
use errdefs::{Error, Result};

use super::super::MAX_TRANSFERS;

/// Everything else.
#[derive(Args, Clone, Debug, Default)]
pub struct RestFlags {
    /// Layers that one pull downloads at a time; for the supervisord that engined starts
    #[arg(long, value_name = "NUMBER")]
    pub max_concurrent_downloads: Option<u32>,
    /// Layers that one push uploads at a time; for the supervisord that engined starts
    #[arg(long, value_name = "NUMBER")]
    pub max_concurrent_uploads: Option<u32>,
    /// Proxy of registries; for the supervisord that engined starts
    #[arg(long, value_name = "URL")]
    pub http_proxy: Option<String>,
    /// Proxy of registries that speak TLS; for the supervisord that engined starts
    #[arg(long, value_name = "URL")]
    pub https_proxy: Option<String>,
    /// Hosts that no proxy is used for; for the supervisord that engined starts
    #[arg(long, value_name = "HOSTS")]
    pub no_proxy: Option<String>,
    /// Seconds that a container gets to stop if it names none
    #[arg(long, value_name = "SECONDS")]
    pub default_stop_timeout: Option<i64>,
    /// The kernel's inclination to kill the daemon when memory is short, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub oom_score_adjust: Option<i32>,
    /// How the daemon's messages look: text or json
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub log_format: String,
    /// Directory of CDI specifications [default: /etc/cdi and /var/run/cdi]
    #[arg(long, value_name = "DIR")]
    pub cdi_spec_dir: Vec<String>,
    /// Feature, NAME[=BOOL]: containerd-snapshotter and cdi are always on
    #[arg(long, value_name = "FEATURE")]
    pub feature: Vec<String>,
    /// Option of the runtime: native.cgroupdriver=cgroupfs, or systemd
    #[arg(long, value_name = "OPTION")]
    pub exec_opt: Vec<String>,
    /// Option of the storage driver; there is none
    #[arg(long, value_name = "OPTION")]
    pub storage_opt: Vec<String>,
    /// Messages have full times and no colours; they always do
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub raw_logs: Option<bool>,
    /// Taken and without effect: managed plugins would live there
    #[arg(long, alias = "containerd-plugin-namespace", value_name = "NAME")]
    pub containerd_plugins_namespace: Option<String>,
    /// Taken and without effect: every layer may be pushed
    #[arg(long, value_name = "HOST")]
    pub allow_nondistributable_artifacts: Vec<String>,
    /// Refused unless 5
    #[arg(long, hide = true)]
    pub max_download_attempts: Option<u32>,
    /// Where metrics are served to everybody, HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_addr: Option<String>,
    /// Refused: every page may not talk to the engine
    #[arg(long, hide = true)]
    pub api_cors_header: Option<String>,
    /// Refused unless zero
    #[arg(long, hide = true)]
    pub cpu_rt_period: Option<i64>,
    /// Refused unless zero
    #[arg(long, hide = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// Refused: supervisord is started without CRI
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cri_containerd: Option<bool>,
    /// Refused: there is no swarm
    #[arg(long, hide = true)]
    pub swarm_default_advertise_addr: Option<String>,
    /// Refused: there is no swarm
    #[arg(long, hide = true)]
    pub node_generic_resource: Vec<String>,
    /// Refused unless 1500: there is no swarm
    #[arg(long, hide = true)]
    pub network_control_plane_mtu: Option<u32>,
    /// Refused unless zero
    #[arg(long, hide = true)]
    pub network_diagnostic_port: Option<u32>,
    /// Refused: the engine needs root
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub rootless: Option<bool>,
    /// Refused: there is no SELinux support
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub selinux_enabled: Option<bool>,
    /// Whose subordinate ids containers get, USER[:GROUP] or default (the user dockremap)
    #[arg(long, value_name = "USER")]
    pub userns_remap: Option<String>,
    /// Taken and without effect: restart policies always count
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub restart: Option<bool>,
}

/// Where vendors describe their devices unless the flags say otherwise.
const CDI_DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

impl super::Flags {
    /// Where vendors describe their devices, the most important last; nowhere when the feature is off.
    pub fn cdi_directories(&self) -> Vec<PathBuf> {
        let is_off = |feature: &String| matches!(feature.as_str(), "cdi=false" | "cdi=0");
        let named: Vec<&str> =
            self.rest.cdi_spec_dir.iter().map(String::as_str).filter(|path| !path.is_empty()).collect();
        match (self.rest.feature.iter().any(is_off), self.rest.cdi_spec_dir.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => CDI_DIRECTORIES.map(PathBuf::from).into(),
            (false, false) => named.into_iter().map(PathBuf::from).collect(),
        }
    }
}

impl RestFlags {
    /// Refuses by name what this engine does not do.
    ///
    /// # Errors
    /// Such a flag has another value than the one that changes nothing.
    pub fn check(&self) -> Result<()> {
        let text = |value: &Option<String>| value.as_deref().is_some_and(|text| !text.is_empty());
        let differs = |value: Option<i64>, only: i64| value.is_some_and(|value| value != only);
        let refused = [
            ("max-download-attempts", differs(self.max_download_attempts.map(i64::from), 5)),
            ("api-cors-header", text(&self.api_cors_header)),
            ("cpu-rt-period", differs(self.cpu_rt_period, 0)),
            ("cpu-rt-runtime", differs(self.cpu_rt_runtime, 0)),
            ("cri-containerd", self.cri_containerd == Some(true)),
            ("swarm-default-advertise-addr", text(&self.swarm_default_advertise_addr)),
            ("node-generic-resource", !self.node_generic_resource.is_empty()),
            ("network-control-plane-mtu", differs(self.network_control_plane_mtu.map(i64::from), 1500)),
            ("network-diagnostic-port", differs(self.network_diagnostic_port.map(i64::from), 0)),
            ("rootless", self.rootless == Some(true)),
            ("selinux-enabled", self.selinux_enabled == Some(true)),
            ("storage-opt", !self.storage_opt.is_empty()),
            ("restart=false", self.restart == Some(false)),
            ("raw-logs=false", self.raw_logs == Some(false)),
        ];
        if let Some((flag, _)) = refused.iter().find(|(_, is_asked)| *is_asked) {
            return Err(Error::invalid_argument(format!("--{flag} is not supported by this engine")));
        }
        self.check_words()
    }

    fn check_words(&self) -> Result<()> {
        let bad = |text: String| Err(Error::invalid_argument(text));
        for option in &self.exec_opt {
            match option.split_once('=') {
                Some(("native.cgroupdriver", "cgroupfs" | "systemd" | "")) => {}
                Some(("native.cgroupdriver", other)) => {
                    return bad(format!("invalid cgroup driver {other:?}: use cgroupfs or systemd"));
                }
                _ => {
                    return bad(format!("invalid exec option {option:?}: only native.cgroupdriver is known"));
                }
            }
        }
        for feature in &self.feature {
            let (name, value) = feature.split_once('=').unwrap_or((feature, "true"));
            match (name, value) {
                ("containerd-snapshotter" | "cdi" | "containerd-migration", "true" | "1") => {}
                (_, "false" | "0") if name != "containerd-snapshotter" => {}
                _ => return bad(format!("feature {feature} is not supported by this engine")),
            }
        }
        if !matches!(self.log_format.as_str(), "text" | "json") {
            return bad(format!("invalid log format {:?}: use text or json", self.log_format));
        }
        for (flag, number) in [
            ("max-concurrent-downloads", self.max_concurrent_downloads),
            ("max-concurrent-uploads", self.max_concurrent_uploads),
        ] {
            if number.is_some_and(|number| !(1..=MAX_TRANSFERS).contains(&number)) {
                return bad(format!("invalid --{flag}: from 1 to {MAX_TRANSFERS}"));
            }
        }
        if self.oom_score_adjust.is_some_and(|score| !(-1000..=1000).contains(&score)) {
            return bad("invalid --oom-score-adjust: from -1000 to 1000".into());
        }
        if self.default_stop_timeout.is_some_and(|seconds| seconds < -1) {
            return bad("invalid --default-stop-timeout: seconds, or -1 for ever".into());
        }
        Ok(())
    }
}
