//! `daemon.json`: each key is a flag in other words.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use serde_json::{Map, Value};

use super::runtimes::{self, Runtime};

/// Keys whose flag has another name.
const RENAMED: [(&str, &str); 19] = [
    ("hosts", "host"),
    ("registry-mirrors", "registry-mirror"),
    ("insecure-registries", "insecure-registry"),
    ("dns-opts", "dns-opt"),
    ("labels", "label"),
    ("log-opts", "log-opt"),
    ("default-ulimits", "default-ulimit"),
    ("authorization-plugins", "authorization-plugin"),
    ("cdi-spec-dirs", "cdi-spec-dir"),
    ("containerd-plugin-namespace", "containerd-plugins-namespace"),
    ("default-address-pools", "default-address-pool"),
    ("default-init", "init"),
    ("default-network-opts", "default-network-opt"),
    ("exec-opts", "exec-opt"),
    ("features", "feature"),
    ("graph", "data-root"),
    ("host-gateway-ips", "host-gateway-ip"),
    ("node-generic-resources", "node-generic-resource"),
    ("storage-opts", "storage-opt"),
];

/// Keys that say nothing to an engine without builds: nothing is cached that could be collected.
const IDLE: [&str; 1] = ["builder"];

/// Keys whose flag has the same name.
const PLAIN: [&str; 75] = [
    "allow-direct-routing",
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "cgroup-parent",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cri-containerd",
    "data-root",
    "debug",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "dns",
    "dns-search",
    "exec-root",
    "experimental",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "host-gateway-ip",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "init-path",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "mtu",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "no-new-privileges",
    "no-proxy",
    "oom-score-adjust",
    "pidfile",
    "raw-logs",
    "request-rate",
    "rootless",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
];

/// What a file says.
#[derive(Default, Debug)]
pub struct FromFile {
    /// Flags with their values.
    pub words: Vec<String>,
    /// The `runtimes` key, which says more than a flag can.
    pub runtimes: BTreeMap<String, Runtime>,
}

/// Turns a file into flags; `given` are the flags of the command line.
pub fn translate(text: &str, given: &[String]) -> Result<FromFile> {
    let mut read = FromFile::default();
    if text.trim().is_empty() {
        return Ok(read);
    }
    let mut keys: Map<String, Value> = serde_json::from_str(text)
        .map_err(|cause| Error::invalid_argument("cannot read configuration file").with_source(cause))?;
    // The proxies are a group in the file alone.
    if let Some(Value::Object(proxies)) = keys.remove("proxies") {
        keys.extend(proxies);
    }
    keys.retain(|key, _| !IDLE.contains(&key.as_str()));
    let flag_of = |key: &str| {
        let renamed = RENAMED.iter().find(|(name, _)| *name == key).map(|(_, flag)| *flag);
        renamed.or_else(|| PLAIN.into_iter().find(|name| *name == key))
    };
    let unknown: Vec<&str> =
        keys.keys().map(String::as_str).filter(|key| flag_of(key).is_none() && *key != "runtimes").collect();
    if !unknown.is_empty() {
        return Err(Error::invalid_argument(format!(
            "the following directives don't match any configuration option: {}",
            unknown.join(", ")
        )));
    }
    let mut twice = Vec::new();
    for (key, value) in &keys {
        let Some(flag) = flag_of(key) else {
            read.runtimes = runtimes::from_json(value)?;
            continue;
        };
        if given.iter().any(|name| name.replace('_', "-") == flag) {
            twice.push(key.as_str());
        }
        for value in values(key, value)? {
            read.words.push(format!("--{flag}={value}"));
        }
    }
    if !twice.is_empty() {
        return Err(Error::invalid_argument(format!(
            "the following directives are specified both as a flag and in the configuration file: {}",
            twice.join(", ")
        )));
    }
    Ok(read)
}

/// One flag value for each value of a key.
fn values(key: &str, value: &Value) -> Result<Vec<String>> {
    let bad =
        || Error::invalid_argument(format!("invalid value of {key:?} in the configuration file: {value}"));
    let plain = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(on) => Ok(on.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(bad()),
    };
    match (key, value) {
        ("default-ulimits", Value::Object(limits)) => {
            let limit = |(name, limit): (&String, &Value)| {
                let number = |side: &str| limit.get(side).and_then(Value::as_i64).ok_or_else(bad);
                Ok(format!("{name}={}:{}", number("Soft")?, number("Hard")?))
            };
            limits.iter().map(limit).collect()
        }
        ("log-opts", Value::Object(options)) => {
            options.iter().map(|(name, value)| Ok(format!("{name}={}", plain(value)?))).collect()
        }
        ("features", Value::Object(features)) => {
            features.iter().map(|(name, value)| Ok(format!("{name}={}", plain(value)?))).collect()
        }
        ("default-address-pools", Value::Array(pools)) => {
            let pool = |pool: &Value| {
                let field = |name: &str| pool.get(name).ok_or_else(bad).and_then(plain);
                Ok(format!("base={},size={}", field("base")?, field("size")?))
            };
            pools.iter().map(pool).collect()
        }
        ("default-network-opts", Value::Object(drivers)) => {
            let mut all = Vec::new();
            for (driver, options) in drivers {
                for (key, value) in options.as_object().ok_or_else(bad)? {
                    all.push(format!("{driver}={key}={}", plain(value)?));
                }
            }
            Ok(all)
        }
        (_, Value::Array(list)) => list.iter().map(plain).collect(),
        (_, Value::Null) => Ok(Vec::new()),
        (_, one) => Ok(vec![plain(one)?]),
    }
}
