//! Flags of `create` and `run` to the request's Config, HostConfig and NetworkingConfig.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use engine_api::Words;
use engine_api::container::{Config, CreateRequest, HealthConfig};
use engine_api::host_config::{DeviceRequest, HostConfig, LogConfig, Resources, RestartPolicy};
use engine_api::network::{EndpointIpam, NetworkingConfig};

use crate::grammar::Matches;
use crate::options::environment::{environment, labels, os_text, pairs};
use crate::options::network::{Attachment, is_user_defined};
use crate::options::{device, mount, network, port, size, ulimit};

/// Builds the request; `matches.args` are the image and the command.
///
/// # Errors
/// What is wrong with a flag's value, in Docker's words.
pub fn request(matches: &Matches) -> Result<CreateRequest, String> {
    check_mac_address(matches.text_or_empty("mac-address"))?;
    let attachments = attachments(matches)?;
    let mut config = config(matches)?;
    let ports = port::parse(matches.list("publish"), matches.list("expose"))?;
    config.exposed_ports = ports.exposed;
    let volumes = mount::volumes(matches.list("volume"))?;
    let anonymous: BTreeMap<_, _> =
        volumes.anonymous.into_iter().map(|target| (target, engine_api::Empty {})).collect();
    config.volumes = (!anonymous.is_empty()).then_some(anonymous);
    let mut host = host_config(matches)?;
    host.port_bindings = ports.bindings;
    host.binds = some_list(volumes.binds);
    host.network_mode = attachments.first().map_or("default".to_owned(), |first| first.name.clone());
    let endpoints: BTreeMap<_, _> = attachments.into_iter().map(|one| (one.name, one.endpoint)).collect();
    let networking = NetworkingConfig { endpoints_config: Some(endpoints) };
    Ok(CreateRequest { host_config: Some(host), networking_config: Some(networking), config })
}

fn check_mac_address(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split([':', '-']).map(str::trim).collect();
    let is_hex = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || matches!(parts.len(), 6 | 8 | 20) && parts.iter().copied().all(is_hex) {
        return Ok(());
    }
    Err(format!("{text} is not a valid mac address"))
}

fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn some(matches: &Matches, name: &str) -> Option<Vec<String>> {
    some_list(matches.list(name).to_vec())
}

fn text(matches: &Matches, name: &str) -> String {
    matches.text_or_empty(name).to_owned()
}

fn config(matches: &Matches) -> Result<Config, String> {
    let attach: Vec<String> = matches.list("attach").iter().map(|stream| stream.to_lowercase()).collect();
    let attached = |stream: &str| attach.iter().any(|name| name == stream);
    let stdin = matches.flag("interactive");
    let attach_stdin = attached("stdin") || stdin;
    let entrypoint = matches.text("entrypoint").map(|program| Words(vec![program.to_owned()]));
    Ok(Config {
        hostname: text(matches, "hostname"),
        domainname: text(matches, "domainname"),
        user: text(matches, "user"),
        attach_stdin,
        attach_stdout: attach.is_empty() || attached("stdout"),
        attach_stderr: attach.is_empty() || attached("stderr"),
        tty: matches.flag("tty"),
        open_stdin: stdin,
        stdin_once: stdin && attach_stdin,
        env: some_list(environment(matches.list("env-file"), matches.list("env"))?),
        cmd: some_list(matches.args[1..].to_vec()).map(Words),
        healthcheck: health(matches)?,
        image: matches.arg(0).to_owned(),
        working_dir: text(matches, "workdir"),
        entrypoint,
        mac_address: text(matches, "mac-address"),
        labels: Some(labels(matches.list("label-file"), matches.list("label"))?),
        stop_signal: text(matches, "stop-signal"),
        stop_timeout: matches.int("stop-timeout"),
        ..Config::default()
    })
}

fn health(matches: &Matches) -> Result<Option<HealthConfig>, String> {
    let names = [
        "health-cmd",
        "health-interval",
        "health-retries",
        "health-start-interval",
        "health-start-period",
        "health-timeout",
    ];
    let changed = names.iter().any(|name| matches.changed(name));
    if matches.flag("no-healthcheck") {
        if changed {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() }));
    }
    if !changed {
        return Ok(None);
    }
    let nanos = |name: &str| match matches.nanos(name) {
        Some(value) if value < 0 => Err(format!("--{name} cannot be negative")),
        value => Ok(value.unwrap_or(0)),
    };
    let retries = matches.int("health-retries").unwrap_or(0);
    if retries < 0 {
        return Err("--health-retries cannot be negative".to_owned());
    }
    let command = matches.text("health-cmd").filter(|command| !command.is_empty());
    Ok(Some(HealthConfig {
        test: command.map(|command| vec!["CMD-SHELL".to_owned(), command.to_owned()]).unwrap_or_default(),
        interval: nanos("health-interval")?,
        timeout: nanos("health-timeout")?,
        start_period: nanos("health-start-period")?,
        start_interval: nanos("health-start-interval")?,
        retries,
    }))
}

fn host_config(matches: &Matches) -> Result<HostConfig, String> {
    let restart_policy = restart_policy(matches.text_or_empty("restart"))?;
    if matches.flag("rm") && !matches!(restart_policy.name.as_str(), "" | "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    let (security_opt, unmask) = security(matches.list("security-opt"))?;
    let mounts: Result<Vec<_>, String> =
        matches.list("mount").iter().map(|text| mount::parse(text)).collect();
    let extra_hosts: Result<Vec<_>, String> =
        matches.list("add-host").iter().map(|text| extra_host(text)).collect();
    let (cap_add, cap_drop) = capabilities(matches.list("cap-add"), matches.list("cap-drop"));
    let mut dns_options = matches.list("dns-option").to_vec();
    dns_options.extend_from_slice(matches.list("dns-opt"));
    Ok(HostConfig {
        container_id_file: text(matches, "cidfile"),
        log_config: LogConfig { kind: text(matches, "log-driver"), config: pairs(matches.list("log-opt")) },
        restart_policy,
        auto_remove: matches.flag("rm"),
        volume_driver: text(matches, "volume-driver"),
        volumes_from: some(matches, "volumes-from"),
        annotations: pairs(matches.list("annotation")),
        cap_add: some_list(cap_add).map(Words),
        cap_drop: some_list(cap_drop).map(Words),
        cgroupns_mode: mode(matches, "cgroupns", "--cgroupns: invalid CGROUP mode", &["host", "private"])?,
        dns: matches.list("dns").to_vec(),
        dns_options,
        dns_search: matches.list("dns-search").to_vec(),
        extra_hosts: some_list(extra_hosts?),
        group_add: some(matches, "group-add"),
        ipc_mode: text(matches, "ipc"),
        links: some(matches, "link"),
        oom_score_adj: matches.int("oom-score-adj").unwrap_or(0),
        pid_mode: mode(matches, "pid", "--pid: invalid PID mode", &["host", "container:*"])?,
        privileged: matches.flag("privileged"),
        publish_all_ports: matches.flag("publish-all"),
        readonly_rootfs: matches.flag("read-only"),
        security_opt: some_list(security_opt),
        storage_opt: storage_options(matches.list("storage-opt"))?,
        tmpfs: mount::tmpfs(matches.list("tmpfs")),
        uts_mode: mode(matches, "uts", "--uts: invalid UTS mode", &["host"])?,
        userns_mode: mode(matches, "userns", "--userns: invalid USER mode", &["host"])?,
        shm_size: matches.bytes("shm-size").unwrap_or(0),
        sysctls: pairs(matches.list("sysctl")),
        runtime: text(matches, "runtime"),
        isolation: text(matches, "isolation"),
        mounts: mounts?,
        masked_paths: unmask.then(Vec::new),
        readonly_paths: unmask.then(Vec::new),
        init: matches.changed("init").then(|| matches.flag("init")),
        resources: resources(matches)?,
        ..HostConfig::default()
    })
}

fn storage_options(flags: &[String]) -> Result<BTreeMap<String, String>, String> {
    if flags.iter().any(|flag| !flag.contains('=')) {
        return Err("invalid storage option".to_owned());
    }
    Ok(pairs(flags))
}

/// Capabilities by their full names, sorted, each once; what is added is not dropped.
fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    const ALL: &str = "ALL";
    let full = |name: &String| match name.trim().to_uppercase() {
        name if name == ALL || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    let set = |names: &[String]| {
        let names: BTreeSet<String> = names.iter().map(full).collect();
        if names.contains(ALL) { BTreeSet::from([ALL.to_owned()]) } else { names }
    };
    let (add, mut drop) = (set(add), set(drop));
    drop.retain(|name| name == ALL || !add.contains(name));
    (add.into_iter().collect(), drop.into_iter().collect())
}

/// A namespace mode out of few.
fn mode(matches: &Matches, name: &str, complaint: &str, allowed: &[&str]) -> Result<String, String> {
    let value = text(matches, name);
    let fits = |allowed: &&str| match allowed.strip_suffix('*') {
        Some(prefix) => value.len() > prefix.len() && value.starts_with(prefix),
        None => *allowed == value,
    };
    if value.is_empty() || allowed.iter().any(fits) { Ok(value) } else { Err(complaint.to_owned()) }
}

fn resources(matches: &Matches) -> Result<Resources, String> {
    let devices = device::devices(matches.list("device"))?;
    let mut requests = Vec::new();
    if let Some(gpus) = matches.text("gpus") {
        requests.push(device::gpus(gpus)?);
    }
    if !devices.cdi_names.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".into(),
            device_ids: Some(devices.cdi_names),
            ..DeviceRequest::default()
        });
    }
    let swappiness = matches.int("memory-swappiness").unwrap_or(-1);
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    let ulimits: Result<Vec<_>, String> =
        matches.list("ulimit").iter().map(|text| ulimit::parse(text)).collect();
    let int = |name: &str| matches.int(name).unwrap_or(0);
    let bytes = |name: &str| matches.bytes(name).unwrap_or(0);
    Ok(Resources {
        cpu_shares: int("cpu-shares"),
        memory: bytes("memory"),
        nano_cpus: matches.text("cpus").map_or(Ok(0), size::parse_cpus)?,
        cgroup_parent: text(matches, "cgroup-parent"),
        blkio_weight: u16::try_from(int("blkio-weight"))
            .map_err(|_| "invalid block I/O weight".to_owned())?,
        blkio_weight_device: some_list(device::weights(matches.list("blkio-weight-device"))?),
        blkio_device_read_bps: some_list(device::throttle_bytes(matches.list("device-read-bps"))?),
        blkio_device_write_bps: some_list(device::throttle_bytes(matches.list("device-write-bps"))?),
        blkio_device_read_iops: some_list(device::throttle_count(matches.list("device-read-iops"))?),
        blkio_device_write_iops: some_list(device::throttle_count(matches.list("device-write-iops"))?),
        cpu_period: int("cpu-period"),
        cpu_quota: int("cpu-quota"),
        cpu_realtime_period: int("cpu-rt-period"),
        cpu_realtime_runtime: int("cpu-rt-runtime"),
        cpuset_cpus: text(matches, "cpuset-cpus"),
        cpuset_mems: text(matches, "cpuset-mems"),
        devices: Some(devices.mappings),
        device_cgroup_rules: some_list(matches.list("device-cgroup-rule").to_vec()),
        device_requests: some_list(requests),
        kernel_memory: bytes("kernel-memory"),
        memory_reservation: bytes("memory-reservation"),
        memory_swap: bytes("memory-swap"),
        memory_swappiness: Some(swappiness),
        oom_kill_disable: Some(matches.flag("oom-kill-disable")),
        pids_limit: Some(int("pids-limit")),
        ulimits: some_list(ulimits?),
        cpu_count: int("cpu-count"),
        cpu_percent: int("cpu-percent"),
        io_maximum_iops: matches.text("io-maxiops").and_then(|text| text.parse().ok()).unwrap_or(0),
        io_maximum_bandwidth: u64::try_from(bytes("io-maxbandwidth")).unwrap_or(0),
        ..Resources::default()
    })
}

/// `no`, `always`, `unless-stopped`, `on-failure[:MAX]`.
///
/// # Errors
/// Docker's text for a count that is none; names are the engine's to judge.
pub fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".to_owned());
    }
    let maximum_retry_count = match count {
        "" => 0,
        count => count.parse().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_owned()
        })?,
    };
    let name = if name.is_empty() { "no" } else { name };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

/// `HOST:IP` or `HOST=IP`; IPv6 in brackets or bare.
///
/// # Errors
/// Docker's texts.
pub fn extra_host(text: &str) -> Result<String, String> {
    let at = text.find(['=', ':']).filter(|at| *at > 0);
    let (host, ip) = at
        .map(|at| (&text[..at], &text[at + 1..]))
        .ok_or_else(|| format!("bad format for add-host: {text:?}"))?;
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if ip != "host-gateway" && ip.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {ip:?}"));
    }
    Ok(format!("{host}:{ip}"))
}

/// Security options with the seccomp profile read in, and whether all paths are unmasked.
fn security(flags: &[String]) -> Result<(Vec<String>, bool), String> {
    let mut options = Vec::new();
    let mut unmask = false;
    for flag in flags {
        if flag == "systempaths=unconfined" {
            unmask = true;
            continue;
        }
        let (name, value) = match flag.split_once('=').or_else(|| flag.split_once(':')) {
            Some(pair) => pair,
            None if flag == "no-new-privileges" => (flag.as_str(), ""),
            None => return Err(format!("Invalid --security-opt: {flag:?}")),
        };
        if name == "seccomp" && !matches!(value, "unconfined" | "builtin") {
            let profile = fs::read_to_string(value).map_err(|error| {
                format!("opening seccomp profile ({value}) failed: open {value}: {}", os_text(&error))
            })?;
            let profile: serde_json::Value = serde_json::from_str(&profile)
                .map_err(|error| format!("compacting json for seccomp profile ({value}) failed: {error}"))?;
            options.push(format!("seccomp={profile}"));
        } else {
            options.push(flag.clone());
        }
    }
    Ok((options, unmask))
}

/// Networks asked for; settings of the single flags belong to the first.
fn attachments(matches: &Matches) -> Result<Vec<Attachment>, String> {
    let names = matches.list("network").iter().chain(matches.list("net"));
    let mut all = names.map(|text| network::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let aliases: Vec<String> =
        matches.list("network-alias").iter().chain(matches.list("net-alias")).cloned().collect();
    let ipam = EndpointIpam {
        ipv4_address: text(matches, "ip"),
        ipv6_address: text(matches, "ip6"),
        link_local_ips: matches.list("link-local-ip").to_vec(),
    };
    let mac_address = text(matches, "mac-address");
    let has_settings = !aliases.is_empty() || ipam != EndpointIpam::default() || !mac_address.is_empty();
    if all.is_empty() && has_settings {
        all.push(Attachment { name: "default".into(), ..Attachment::default() });
    }
    check_networks(&all)?;
    let links = matches.list("link");
    let Some(first) = all.first_mut() else { return Ok(all) };
    if first.name.starts_with("container:") && has_settings {
        return Err("conflicting options: cannot set network settings with --network container:".to_owned());
    }
    if !aliases.is_empty() {
        first.endpoint.aliases.get_or_insert_default().extend(aliases);
    }
    if !links.is_empty() && is_user_defined(&first.name) {
        first.endpoint.links = Some(links.to_vec());
    }
    if ipam != EndpointIpam::default() {
        first.endpoint.ipam_config = Some(ipam);
    }
    if !mac_address.is_empty() {
        first.endpoint.mac_address = mac_address;
    }
    let aliased = all.iter().any(|one| {
        !is_user_defined(&one.name)
            && one.endpoint.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty())
    });
    if aliased {
        return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
    }
    Ok(all)
}

/// Each network once, and either networks of one's own or one of the engine's.
fn check_networks(all: &[Attachment]) -> Result<(), String> {
    if all.iter().any(|one| one.name.trim().is_empty()) {
        return Err("no name set for network".to_owned());
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = all.iter().find(|one| !names.insert(&one.name)) {
        return Err(format!("network {:?} is specified multiple times", twice.name));
    }
    let own = all.iter().filter(|one| is_user_defined(&one.name)).count();
    if own > 0 && own < all.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Flag, parse};
    use crate::options::container_flags::FLAGS;

    fn build(words: &[&str]) -> Result<CreateRequest, String> {
        let flags: Vec<&'static Flag> = FLAGS.iter().collect();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        request(&parse(&flags, true, &words).map_err(|error| error.0)?)
    }

    #[test]
    fn a_plain_run() {
        let request = build(&["busybox", "sh", "-c", "x"]).unwrap();
        assert_eq!(request.config.image, "busybox");
        assert_eq!(request.config.cmd.unwrap().0, ["sh", "-c", "x"]);
        assert!(request.config.attach_stdout && request.config.attach_stderr && !request.config.attach_stdin);
        assert_eq!(request.host_config.unwrap().network_mode, "default");
    }

    #[test]
    fn flags_land_in_their_fields() {
        let request = build(&[
            "-it",
            "--rm",
            "--memory",
            "512m",
            "--cpus=1.5",
            "--pids-limit",
            "9",
            "--init",
            "--entrypoint",
            "",
            "--privileged",
            "--network",
            "n",
            "--network-alias",
            "a",
            "--ip",
            "1.2.3.4",
            "--add-host",
            "h:1.1.1.1",
            "--health-cmd",
            "true",
            "--tmpfs",
            "/t:size=1m",
            "-v",
            "/a:/b",
            "-v",
            "/anon",
            "--security-opt",
            "systempaths=unconfined",
            "x",
        ])
        .unwrap();
        let host = request.host_config.unwrap();
        assert_eq!(
            (host.resources.memory, host.resources.nano_cpus, host.resources.pids_limit),
            (512 << 20, 1_500_000_000, Some(9))
        );
        assert!(host.auto_remove && host.privileged && host.init == Some(true));
        assert_eq!(host.binds.unwrap(), ["/a:/b"]);
        assert_eq!(host.masked_paths, Some(vec![]));
        assert!(request.config.volumes.unwrap().contains_key("/anon"));
        assert_eq!(request.config.entrypoint.unwrap().0, [""]);
        assert!(request.config.stdin_once);
        let endpoints = request.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints["n"].aliases.as_ref().unwrap(), &["a"]);
        assert_eq!(endpoints["n"].ipam_config.as_ref().unwrap().ipv4_address, "1.2.3.4");
    }

    #[test]
    fn capabilities_have_their_full_names() {
        let words = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let got = capabilities(&words(&["net_admin", "CAP_MKNOD", "NET_ADMIN"]), &words(&["mknod", "chown"]));
        assert_eq!(got, (words(&["CAP_MKNOD", "CAP_NET_ADMIN"]), words(&["CAP_CHOWN"])));
        assert_eq!(
            capabilities(&words(&["all", "chown"]), &words(&["ALL"])),
            (words(&["ALL"]), words(&["ALL"]))
        );
    }

    #[test]
    fn conflicts_are_refused() {
        for (words, error) in [
            (
                &["--rm", "--restart", "always", "x"][..],
                "conflicting options: cannot specify both --restart and --rm",
            ),
            (
                &["--no-healthcheck", "--health-cmd", "y", "x"],
                "--no-healthcheck conflicts with --health-* options",
            ),
            (&["--pid", "foo", "x"], "--pid: invalid PID mode"),
            (
                &["--restart", "on-failure:x", "x"],
                "invalid restart policy format: maximum retry count must be an integer",
            ),
            (
                &["--add-host", "x", "x"],
                "invalid argument \"x\" for \"--add-host\" flag: bad format for add-host: \"x\"",
            ),
        ] {
            assert_eq!(build(words).unwrap_err(), error);
        }
        assert_eq!(restart_policy("on-failure:3").unwrap().maximum_retry_count, 3);
    }
}
