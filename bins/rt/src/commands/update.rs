//! `update`: changes the limits of a container.

use std::io::Read;

use runtime_spec::Resources;
use runtime_spec::Status;

use super::{Command, Context};
use crate::failure::{Failure, Tried};
use crate::launch;
use crate::words::{Grammar, Words, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "update",
        arguments: "<container-id>",
        about: "update the limits of a container",
        least: 1,
        most: 1,
        options: &[&[
            value("resources", Some('r'), "FILE", "limits as JSON (linux.resources), - for stdin"),
            value("blkio-weight", None, "N", "weight of block I/O, 10 to 1000"),
            value("cpu-period", None, "US", "CPU period in microseconds"),
            value("cpu-quota", None, "US", "CPU time within a period in microseconds"),
            value("cpu-burst", None, "US", "CPU time saved up in microseconds"),
            value("cpu-share", None, "N", "CPU shares"),
            value("cpu-rt-period", None, "US", "real-time period in microseconds"),
            value("cpu-rt-runtime", None, "US", "real-time time within a period in microseconds"),
            value("cpuset-cpus", None, "LIST", "CPUs to use"),
            value("cpuset-mems", None, "LIST", "memory nodes to use"),
            value("cpu-idle", None, "0|1", "run only when nobody else does"),
            value("kernel-memory", None, "BYTES", "passed over with a warning"),
            value("kernel-memory-tcp", None, "BYTES", "passed over with a warning"),
            value("memory", None, "BYTES", "memory limit"),
            value("memory-reservation", None, "BYTES", "soft memory limit"),
            value("memory-swap", None, "BYTES", "memory and swap together, -1 for no limit"),
            value("pids-limit", None, "N", "number of processes, -1 for no limit"),
            value("l3-cache-schema", None, "SCHEMA", "shares of the L3 cache, L3:0=f"),
            value("mem-bw-schema", None, "SCHEMA", "shares of memory bandwidth, MB:0=50"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let _lock = container.lock()?;
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(Failure::new("container not running"));
    }
    let limits = match words.value("resources") {
        Some(source) => read(source)?,
        None => from_words(words)?,
    };
    if let Some(text) = launch::ignored_limits(&limits) {
        context.log.warn(text);
    }
    if let Some(scope) = &container.record.scope {
        launch::set_in_systemd(scope, &limits)?;
    }
    container.cgroup().apply(&limits)?;
    share(container.record.shares.as_ref(), words)?;
    Ok(0)
}

/// Changes the shares of the container's class of service.
fn share(shares: Option<&resctrl::Group>, words: &Words) -> Result<(), Failure> {
    const SCHEMAS: [(&str, &str, &str); 2] = [
        ("l3-cache-schema", "L3", "Intel RDT/CAT: l3 cache schema is not enabled"),
        ("mem-bw-schema", "MB", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
    ];
    for (name, resource, missing) in SCHEMAS {
        let Some(line) = words.value(name).filter(|line| !line.is_empty()) else { continue };
        if !resctrl::Resctrl::find().is_some_and(|found| found.has(resource)) {
            return Err(Failure::new(missing));
        }
        if !resctrl::is_line(line) {
            return Err(Failure::new(format!(
                "invalid value for {name}: {line:?} is no line of a schemata file"
            )));
        }
        let none = || Failure::new("updating a non-existent Intel RDT configuration is not supported");
        shares.ok_or_else(none)?.share(line)?;
    }
    Ok(())
}

/// The bytes of a file, `-` for stdin.
pub fn read_input(source: &str) -> Result<Vec<u8>, Failure> {
    match source {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).tried("cannot read stdin")?;
            Ok(bytes)
        }
        path => std::fs::read(path).tried(format!("open {path}")),
    }
}

fn read(source: &str) -> Result<Resources, Failure> {
    let limits: Resources = serde_json::from_slice(&read_input(source)?)
        .map_err(|error| Failure::new(format!("cannot read resources: {error}")))?;
    // Rules that are given replace all others; those that every container needs stay.
    Ok(if limits.devices.is_empty() { limits } else { launch::with_default_devices(limits) })
}

fn from_words(words: &Words) -> Result<Resources, Failure> {
    let mut limits = Resources::default();
    let cpu = limits.cpu.get_or_insert_default();
    cpu.period = words.number("cpu-period")?;
    cpu.quota = words.number("cpu-quota")?;
    cpu.burst = words.number("cpu-burst")?;
    cpu.shares = words.number("cpu-share")?;
    cpu.realtime_period = words.number("cpu-rt-period")?;
    cpu.realtime_runtime = words.number("cpu-rt-runtime")?;
    cpu.idle = words.number("cpu-idle")?;
    cpu.cpus = words.value("cpuset-cpus").unwrap_or_default().to_owned();
    cpu.mems = words.value("cpuset-mems").unwrap_or_default().to_owned();
    let memory = limits.memory.get_or_insert_default();
    memory.limit = bytes(words, "memory")?;
    memory.reservation = bytes(words, "memory-reservation")?;
    memory.kernel = bytes(words, "kernel-memory")?;
    memory.kernel_tcp = bytes(words, "kernel-memory-tcp")?;
    memory.swap = bytes(words, "memory-swap")?;
    if let Some(limit) = words.number("pids-limit")? {
        limits.pids.get_or_insert_default().limit = Some(limit);
    }
    if let Some(weight) = words.number("blkio-weight")? {
        limits.block_io.get_or_insert_default().weight = Some(weight);
    }
    Ok(limits)
}

/// A number of bytes, with `k`, `m`, `g`, `t` as factors of 1024.
fn bytes(words: &Words, name: &str) -> Result<Option<i64>, Failure> {
    words
        .value(name)
        .map(|text| size(text).ok_or_else(|| Failure::new(format!("invalid value for {name}: {text:?}"))))
        .transpose()
}

fn size(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "-1" {
        return Some(-1);
    }
    let body = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match body.chars().last()? {
        'k' => (&body[..body.len() - 1], 10),
        'm' => (&body[..body.len() - 1], 20),
        'g' => (&body[..body.len() - 1], 30),
        't' => (&body[..body.len() - 1], 40),
        _ => (body, 0),
    };
    digits.parse::<i64>().ok().filter(|n| *n >= 0)?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64m"), Some(64 << 20));
        assert_eq!(size("1KiB"), Some(1024));
        assert_eq!(size("-1"), Some(-1));
        assert_eq!(size("7"), Some(7));
        for wrong in ["", "m", "-2", "1x", "9223372036854775807k"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
