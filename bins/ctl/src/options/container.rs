//! Flags of `create` and `run` to the request's Config, HostConfig and NetworkingConfig.

use std::collections::BTreeMap;

use engine_api::Words;
use engine_api::container::{Config, CreateRequest};
use engine_api::host_config::{HostConfig, LogConfig};
use engine_api::network::NetworkingConfig;

use crate::grammar::Matches;
use crate::options::environment::{environment, labels, pairs};
use crate::options::{health, host, mount, network, port, resources, restart, security, some_list};

/// Builds the request; `matches.args` are the image and the command.
///
/// # Errors
/// What is wrong with a flag's value, in Docker's words.
pub fn request(matches: &Matches) -> Result<CreateRequest, String> {
    check_mac_address(matches.text_or_empty("mac-address"))?;
    let attachments = network::attachments(matches)?;
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

fn config(matches: &Matches) -> Result<Config, String> {
    let attach: Vec<String> = matches.list("attach").iter().map(|stream| stream.to_lowercase()).collect();
    let attached = |stream: &str| attach.iter().any(|name| name == stream);
    let stdin = matches.flag("interactive");
    let attach_stdin = attached("stdin") || stdin;
    let entrypoint = matches.text("entrypoint").map(|program| Words(vec![program.to_owned()]));
    Ok(Config {
        hostname: matches.string("hostname"),
        domainname: matches.string("domainname"),
        user: matches.string("user"),
        attach_stdin,
        attach_stdout: attach.is_empty() || attached("stdout"),
        attach_stderr: attach.is_empty() || attached("stderr"),
        tty: matches.flag("tty"),
        open_stdin: stdin,
        stdin_once: stdin && attach_stdin,
        env: some_list(environment(matches.list("env-file"), matches.list("env"))?),
        cmd: some_list(matches.args[1..].to_vec()).map(Words),
        healthcheck: health::check(matches)?,
        image: matches.arg(0).to_owned(),
        working_dir: matches.string("workdir"),
        entrypoint,
        mac_address: matches.string("mac-address"),
        labels: Some(labels(matches.list("label-file"), matches.list("label"))?),
        stop_signal: matches.string("stop-signal"),
        stop_timeout: matches.int("stop-timeout"),
        ..Config::default()
    })
}

fn host_config(matches: &Matches) -> Result<HostConfig, String> {
    let restart_policy = restart::policy(matches.text_or_empty("restart"))?;
    if matches.flag("rm") && !matches!(restart_policy.name.as_str(), "" | "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    let (security_opt, unmask) = security::options(matches.list("security-opt"))?;
    let mounts: Result<Vec<_>, String> =
        matches.list("mount").iter().map(|text| mount::parse(text)).collect();
    let extra_hosts: Result<Vec<_>, String> =
        matches.list("add-host").iter().map(|text| host::extra(text)).collect();
    let (cap_add, cap_drop) = security::capabilities(matches.list("cap-add"), matches.list("cap-drop"));
    let mut dns_options = matches.list("dns-option").to_vec();
    dns_options.extend_from_slice(matches.list("dns-opt"));
    Ok(HostConfig {
        container_id_file: matches.string("cidfile"),
        log_config: LogConfig { kind: matches.string("log-driver"), config: pairs(matches.list("log-opt")) },
        restart_policy,
        auto_remove: matches.flag("rm"),
        volume_driver: matches.string("volume-driver"),
        volumes_from: some_list(matches.list("volumes-from").to_vec()),
        annotations: pairs(matches.list("annotation")),
        cap_add: some_list(cap_add).map(Words),
        cap_drop: some_list(cap_drop).map(Words),
        cgroupns_mode: mode(matches, "cgroupns", "--cgroupns: invalid CGROUP mode", &["host", "private"])?,
        dns: matches.list("dns").to_vec(),
        dns_options,
        dns_search: matches.list("dns-search").to_vec(),
        extra_hosts: some_list(extra_hosts?),
        group_add: some_list(matches.list("group-add").to_vec()),
        ipc_mode: matches.string("ipc"),
        links: some_list(matches.list("link").to_vec()),
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
        runtime: matches.string("runtime"),
        isolation: matches.string("isolation"),
        mounts: mounts?,
        masked_paths: unmask.then(Vec::new),
        readonly_paths: unmask.then(Vec::new),
        init: matches.changed("init").then(|| matches.flag("init")),
        resources: resources::resources(matches)?,
        ..HostConfig::default()
    })
}

fn storage_options(flags: &[String]) -> Result<BTreeMap<String, String>, String> {
    if flags.iter().any(|flag| !flag.contains('=')) {
        return Err("invalid storage option".to_owned());
    }
    Ok(pairs(flags))
}

/// A namespace mode out of few.
fn mode(matches: &Matches, name: &str, complaint: &str, allowed: &[&str]) -> Result<String, String> {
    let value = matches.string(name);
    let fits = |allowed: &&str| match allowed.strip_suffix('*') {
        Some(prefix) => value.len() > prefix.len() && value.starts_with(prefix),
        None => *allowed == value,
    };
    if value.is_empty() || allowed.iter().any(fits) { Ok(value) } else { Err(complaint.to_owned()) }
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
    }
}
