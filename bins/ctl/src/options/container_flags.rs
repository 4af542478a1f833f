//! Flags that `create` and `run` share.

use crate::grammar::Flag;
use crate::options::{device, environment, host, mount, network, ulimit};

/// In the order of their names, which is the order of help.
pub const FLAGS: &[Flag] = &[
    Flag::list("add-host", "Add a line to /etc/hosts (host:ip)").check(|text| host::extra(text).map(drop)),
    Flag::list("annotation", "Annotate the container; the OCI runtime sees it").value("map").since(43),
    Flag::list("attach", "Attach to stdin, stdout or stderr").short('a').check(check_stream),
    Flag::uint("blkio-weight", "Block I/O weight, 10 to 1000, or 0 for none").value("uint16").default("0"),
    Flag::list("blkio-weight-device", "Block I/O weight of one device")
        .check(|text| device::weights(&[text.to_owned()]).map(drop)),
    Flag::list("cap-add", "Add a capability"),
    Flag::list("cap-drop", "Drop a capability"),
    Flag::text("cgroup-parent", "Cgroup to put the container's cgroup in"),
    Flag::text("cgroupns", "Cgroup namespace: host or private; the engine has one of its own").since(41),
    Flag::text("cidfile", "File to write the container's ID to"),
    Flag::int("cpu-count", "Number of CPUs (Windows only)").only_on_windows(),
    Flag::int("cpu-percent", "Share of CPU (Windows only)").only_on_windows(),
    Flag::int("cpu-period", "Period of the CPU quota, in microseconds"),
    Flag::int("cpu-quota", "CPU time a period, in microseconds"),
    Flag::int("cpu-rt-period", "Real-time period, in microseconds").since(25),
    Flag::int("cpu-rt-runtime", "Real-time CPU time a period, in microseconds").since(25),
    Flag::int("cpu-shares", "CPU weight relative to other containers").short('c'),
    Flag::cpus("cpus", "Number of CPUs").since(25),
    Flag::text("cpuset-cpus", "CPUs to run on (0-3, 0,1)"),
    Flag::text("cpuset-mems", "Memory nodes to use (0-3, 0,1)"),
    Flag::list("device", "Give the container a device of the host"),
    Flag::list("device-cgroup-rule", "Rule for the device cgroup").check(device::check_cgroup_rule),
    Flag::list("device-read-bps", "Limit reading from a device, bytes a second")
        .check(|text| device::throttle_bytes(&[text.to_owned()]).map(drop)),
    Flag::list("device-read-iops", "Limit reading from a device, operations a second")
        .check(|text| device::throttle_count(&[text.to_owned()]).map(drop)),
    Flag::list("device-write-bps", "Limit writing to a device, bytes a second")
        .check(|text| device::throttle_bytes(&[text.to_owned()]).map(drop)),
    Flag::list("device-write-iops", "Limit writing to a device, operations a second")
        .check(|text| device::throttle_count(&[text.to_owned()]).map(drop)),
    Flag::bool("disable-content-trust", "Skip the verification of image signatures").default("true"),
    Flag::list("dns", "DNS server").check(check_address),
    Flag::list("dns-opt", "DNS option").hidden(),
    Flag::list("dns-option", "DNS option"),
    Flag::list("dns-search", "DNS search domain"),
    Flag::text("domainname", "NIS domain name"),
    Flag::text("entrypoint", "Program to run instead of the image's entrypoint"),
    Flag::list("env", "Set an environment variable").short('e').check(environment::check),
    Flag::list("env-file", "File of environment variables"),
    Flag::list("expose", "Expose a port or a range of ports"),
    Flag::text("gpus", "GPUs to give the container ('all' for all)")
        .value("gpu-request")
        .check(|text| device::gpus(text).map(drop))
        .since(40),
    Flag::list("group-add", "Additional group of the process"),
    Flag::text("health-cmd", "Command that checks health"),
    Flag::duration("health-interval", "Time between checks").default("0s"),
    Flag::int("health-retries", "Failures in a row that mean unhealthy"),
    Flag::duration("health-start-interval", "Time between checks while starting").default("0s").since(44),
    Flag::duration("health-start-period", "Time to start in before failures count").default("0s").since(29),
    Flag::duration("health-timeout", "Longest time of one check").default("0s"),
    Flag::text("hostname", "Host name of the container").short('h'),
    Flag::bool("init", "Run an init in the container that reaps processes and passes signals on").since(25),
    Flag::bool("interactive", "Keep stdin open even when nobody is attached").short('i'),
    Flag::bytes("io-maxbandwidth", "Disk bandwidth (Windows only)").only_on_windows(),
    Flag::uint("io-maxiops", "Disk operations (Windows only)").only_on_windows(),
    Flag::text("ip", "IPv4 address of the container"),
    Flag::text("ip6", "IPv6 address of the container"),
    Flag::text("ipc", "IPC namespace to use"),
    Flag::text("isolation", "Isolation technology (Windows only)"),
    Flag::bytes("kernel-memory", "Limit of kernel memory"),
    Flag::list("label", "Label the container").short('l').check(environment::check_label),
    Flag::list("label-file", "File of labels"),
    Flag::list("link", "Link to another container").check(check_link),
    Flag::list("link-local-ip", "Link-local address of the container"),
    Flag::text("log-driver", "Log driver"),
    Flag::list("log-opt", "Option of the log driver"),
    Flag::text("mac-address", "MAC address of the container"),
    Flag::bytes("memory", "Limit of memory").short('m'),
    Flag::bytes("memory-reservation", "Memory that is kept for the container"),
    Flag::bytes_or_none("memory-swap", "Limit of memory and swap together, -1 for none"),
    Flag::int("memory-swappiness", "Tendency to swap, 0 to 100").default("-1"),
    Flag::list("mount", "Mount a file system").value("mount").check(|text| mount::parse(text).map(drop)),
    Flag::text("name", "Name of the container"),
    Flag::list("net", "Network to connect to")
        .value("network")
        .check(|text| network::parse(text).map(drop))
        .hidden(),
    Flag::list("net-alias", "Name of the container on its network").hidden(),
    Flag::list("network", "Network to connect to")
        .value("network")
        .check(|text| network::parse(text).map(drop)),
    Flag::list("network-alias", "Name of the container on its network"),
    Flag::bool("no-healthcheck", "Do not check health, whatever the image says"),
    Flag::bool("oom-kill-disable", "Never kill for want of memory"),
    Flag::int("oom-score-adj", "Preference of being killed for want of memory, -1000 to 1000"),
    Flag::text("pid", "PID namespace to use"),
    Flag::int("pids-limit", "Limit of processes, -1 for none"),
    Flag::text("platform", "Platform of the image").since(32),
    Flag::bool("privileged", "Give the container all privileges"),
    Flag::list("publish", "Publish a port of the container on the host").short('p'),
    Flag::bool("publish-all", "Publish all exposed ports on free ports of the host").short('P'),
    Flag::text("pull", "When to pull the image: always, missing or never").default("missing"),
    Flag::bool("quiet", "Do not show the progress of a pull").short('q'),
    Flag::bool("read-only", "Mount the root file system read-only"),
    Flag::text("restart", "When to restart: no, on-failure[:max], always, unless-stopped").default("no"),
    Flag::bool("rm", "Remove the container and its anonymous volumes when it ends"),
    Flag::text("runtime", "OCI runtime to use"),
    Flag::list("security-opt", "Security option"),
    Flag::bytes("shm-size", "Size of /dev/shm"),
    Flag::text("stop-signal", "Signal that stops the container"),
    Flag::int("stop-timeout", "Seconds to stop in before being killed").since(25),
    Flag::list("storage-opt", "Option of the storage driver"),
    Flag::list("sysctl", "Kernel parameter").value("map").check(check_sysctl),
    Flag::list("tmpfs", "Mount a tmpfs on a directory"),
    Flag::bool("tty", "Give the process a terminal").short('t'),
    Flag::list("ulimit", "Resource limit").value("ulimit").check(|text| ulimit::parse(text).map(drop)),
    Flag::bool("use-api-socket", "Give the container the engine's socket and the credentials")
        .check(refuse_socket),
    Flag::text("user", "User or uid, and group or gid, of the process (user[:group])").short('u'),
    Flag::text("userns", "User namespace to use"),
    Flag::text("uts", "UTS namespace to use"),
    Flag::list("volume", "Bind mount a directory or a volume").short('v'),
    Flag::text("volume-driver", "Volume driver"),
    Flag::list("volumes-from", "Mount the volumes of another container"),
    Flag::text("workdir", "Directory to start in").short('w'),
];

/// It would copy credentials into the container.
fn refuse_socket(_: &str) -> Result<(), String> {
    Err("not supported: mount the engine's socket with -v where a container may have it".to_owned())
}

fn check_address(text: &str) -> Result<(), String> {
    let parsed = text.trim().parse::<std::net::IpAddr>();
    parsed.map(drop).map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// Only parameters that belong to a namespace can be a container's.
fn check_sysctl(text: &str) -> Result<(), String> {
    const NAMES: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let name = text.split_once('=').map(|(name, _)| name);
    let allowed =
        |name: &str| NAMES.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.");
    if name.is_some_and(allowed) { Ok(()) } else { Err(format!("sysctl '{text}' is not allowed")) }
}

fn check_stream(text: &str) -> Result<(), String> {
    match text.to_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

/// `CONTAINER[:ALIAS]`.
fn check_link(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty string specified for links".to_owned());
    }
    if text.matches(':').count() > 1 {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}
