//! Limits, in the runtime's words.

use engine_api::host_config::{Resources as Asked, ThrottleDevice as AskedThrottle};
use errdefs::{Error, Result};
use runtime_spec::{BlockIo, Cpu, DeviceRule, Memory, Pids, Resources, ThrottleDevice};

use super::HostDevice;

/// Smallest memory limit, as in Docker.
const LEAST_MEMORY_BYTES: i64 = 6 << 20;
/// Period of `--cpus`, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// The limits of a container, with its device rules.
///
/// # Errors
/// A limit is malformed or contradicts another.
pub fn of(asked: &Asked, is_privileged: bool, devices: &[HostDevice]) -> Result<Resources> {
    let mut resources = limits(asked)?;
    resources.devices = if is_privileged {
        vec![DeviceRule { allow: true, access: "rwm".into(), ..DeviceRule::default() }]
    } else {
        let mut rules = default_rules();
        rules.extend(devices.iter().map(HostDevice::rule));
        for text in asked.device_cgroup_rules.iter().flatten() {
            rules.push(parse_rule(text)?);
        }
        rules
    };
    Ok(resources)
}

/// The limits alone: what `update` changes on a running container.
///
/// # Errors
/// As [`of`].
pub fn limits(asked: &Asked) -> Result<Resources> {
    check(asked)?;
    let nonzero = |value: i64| (value != 0).then_some(value);
    let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
    let memory = Memory {
        limit: nonzero(asked.memory),
        reservation: nonzero(asked.memory_reservation),
        swap: nonzero(asked.memory_swap)
            .or_else(|| nonzero(asked.memory.saturating_mul(2)).filter(|_| asked.memory > 0)),
        swappiness: asked.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: asked.oom_kill_disable.filter(|on| *on),
        kernel_tcp: nonzero(asked.kernel_memory_tcp),
        ..Memory::default()
    };
    let mut cpu = Cpu {
        shares: positive(asked.cpu_shares),
        quota: nonzero(asked.cpu_quota),
        period: positive(asked.cpu_period),
        realtime_runtime: nonzero(asked.cpu_realtime_runtime),
        realtime_period: positive(asked.cpu_realtime_period),
        cpus: asked.cpuset_cpus.clone(),
        mems: asked.cpuset_mems.clone(),
        ..Cpu::default()
    };
    if asked.nano_cpus > 0 {
        cpu.period = Some(CPU_PERIOD);
        cpu.quota = Some(asked.nano_cpus / 10_000);
    }
    Ok(Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: asked.pids_limit.filter(|limit| *limit != 0).map(|limit| Pids { limit: Some(limit) }),
        block_io: block_io(asked)?,
        ..Resources::default()
    })
}

fn check(asked: &Asked) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid_argument(text));
    if asked.memory != 0 && asked.memory < LEAST_MEMORY_BYTES {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if asked.memory_swap > 0 && asked.memory == 0 {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if asked.memory_swap > 0 && asked.memory_swap < asked.memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if asked.memory_reservation > 0 && asked.memory_reservation < LEAST_MEMORY_BYTES {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if asked.memory_reservation > 0 && asked.memory > 0 && asked.memory_reservation > asked.memory {
        return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if asked.memory_swappiness.is_some_and(|value| !(-1..=100).contains(&value)) {
        return Err(Error::invalid_argument(format!(
            "Invalid value: {}, valid memory swappiness range is 0-100",
            asked.memory_swappiness.unwrap_or_default()
        )));
    }
    if asked.nano_cpus > 0 && asked.cpu_period != 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if asked.nano_cpus > 0 && asked.cpu_quota != 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if asked.nano_cpus < 0 || asked.nano_cpus > processors as i64 * 1_000_000_000 {
        return Err(Error::invalid_argument(format!(
            "range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"
        )));
    }
    if asked.cpu_period != 0 && !(1000..=1_000_000).contains(&asked.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if asked.cpu_quota > 0 && asked.cpu_quota < 1000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    super::discard::check_weight(asked.blkio_weight)
}

fn block_io(asked: &Asked) -> Result<Option<BlockIo>> {
    let throttles = |list: &Option<Vec<AskedThrottle>>| {
        list.iter()
            .flatten()
            .map(|throttle| {
                let (major, minor) = numbers(&throttle.path)?;
                Ok(ThrottleDevice { major, minor, rate: throttle.rate })
            })
            .collect::<Result<Vec<_>>>()
    };
    let weights = asked.blkio_weight_device.iter().flatten().map(|device| {
        let (major, minor) = numbers(&device.path)?;
        Ok(runtime_spec::WeightDevice { major, minor, weight: Some(device.weight), ..Default::default() })
    });
    let block_io = BlockIo {
        weight: (asked.blkio_weight > 0).then_some(asked.blkio_weight),
        weight_device: weights.collect::<Result<_>>()?,
        throttle_read_bps_device: throttles(&asked.blkio_device_read_bps)?,
        throttle_write_bps_device: throttles(&asked.blkio_device_write_bps)?,
        throttle_read_iops_device: throttles(&asked.blkio_device_read_iops)?,
        throttle_write_iops_device: throttles(&asked.blkio_device_write_iops)?,
        ..BlockIo::default()
    };
    Ok((block_io != BlockIo::default()).then_some(block_io))
}

/// Device numbers of a node of the host.
fn numbers(path: &str) -> Result<(i64, i64)> {
    let found = rustix::fs::stat(path).map_err(|cause| {
        Error::invalid_argument(format!("cannot find device {path}")).with_source(std::io::Error::from(cause))
    })?;
    Ok((i64::from(rustix::fs::major(found.st_rdev)), i64::from(rustix::fs::minor(found.st_rdev))))
}

/// Nothing, except making nodes and the harmless ones that every container has.
fn default_rules() -> Vec<DeviceRule> {
    let rule = |kind: &str, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: kind.into(),
        major,
        minor,
        access: access.into(),
    };
    let mut rules = vec![
        DeviceRule { allow: false, access: "rwm".into(), ..DeviceRule::default() },
        rule("c", None, None, "m"),
        rule("b", None, None, "m"),
    ];
    // null, zero, full, random, urandom, tty, console, ptmx
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        rules.push(rule("c", Some(major), Some(minor), "rwm"));
    }
    rules.push(rule("c", Some(136), None, "rwm"));
    rules
}

/// `c 1:3 rwm`, as in `--device-cgroup-rule`.
fn parse_rule(text: &str) -> Result<DeviceRule> {
    let bad = || Error::invalid_argument(format!("invalid device cgroup rule format: '{text}'"));
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, numbers, access] = words[..] else { return Err(bad()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits.parse::<i64>().map(Some).map_err(|_| bad()),
    };
    if !matches!(kind, "a" | "b" | "c") || access.is_empty() || !access.bytes().all(|b| b"rwm".contains(&b)) {
        return Err(bad());
    }
    Ok(DeviceRule {
        allow: true,
        kind: kind.into(),
        major: number(major)?,
        minor: number(minor)?,
        access: access.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_in_the_runtimes_words() {
        let asked =
            Asked { memory: 64 << 20, nano_cpus: 500_000_000, pids_limit: Some(64), ..Asked::default() };
        let resources = limits(&asked).unwrap();
        let memory = resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period), (Some(50_000), Some(100_000)));
        assert_eq!(resources.pids.unwrap().limit, Some(64));
        assert_eq!(limits(&Asked::default()).unwrap(), Resources::default());
    }

    #[test]
    fn contradictions_are_refused() {
        let message = |asked: Asked| limits(&asked).unwrap_err().to_string();
        assert_eq!(message(Asked { memory: 1, ..Asked::default() }), "Minimum memory limit allowed is 6MB");
        assert!(
            message(Asked { memory: 8 << 20, memory_swap: 1, ..Asked::default() }).contains("memoryswap")
        );
        assert!(message(Asked { nano_cpus: 1, cpu_quota: 5000, ..Asked::default() }).contains("Conflicting"));
        assert!(message(Asked { nano_cpus: i64::MAX, ..Asked::default() }).contains("range of CPUs"));
    }

    #[test]
    fn rules_are_parsed() {
        let rule = parse_rule("c 42:* rwm").unwrap();
        assert_eq!((rule.major, rule.minor, rule.kind.as_str()), (Some(42), None, "c"));
        for bad in ["", "c 1:3", "x 1:3 r", "c 1-3 r", "c 1:3 x", "c a:b r"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_rule_text_is_survived(text in "\\PC{0,30}") {
            let _ = parse_rule(&text);
        }
    }
}
