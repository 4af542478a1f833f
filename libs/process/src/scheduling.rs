//! Scheduler, I/O priority, CPU affinity, memory policy and personality by the specification's
//! words.

use std::fmt;
use std::io;

use runtime_spec as spec;
use syscalls::sched;

/// A word or number that the kernel has no meaning for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

fn number_of(table: &[(&str, u64)], word: &str, what: &str) -> Result<u64, Invalid> {
    table
        .iter()
        .find(|entry| entry.0 == word)
        .map(|entry| entry.1)
        .ok_or_else(|| Invalid(format!("{what} {word:?} does not exist")))
}

const POLICIES: &[(&str, u64)] = &[
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const POLICY_FLAGS: &[(&str, u64)] = &[
    ("SCHED_FLAG_RESET_ON_FORK", 0x1),
    ("SCHED_FLAG_RECLAIM", 0x2),
    ("SCHED_FLAG_DL_OVERRUN", 0x4),
    ("SCHED_FLAG_KEEP_POLICY", 0x8),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// Reads `process.scheduler`.
pub fn policy(scheduler: &spec::Scheduler) -> Result<sched::Policy, Invalid> {
    let mut flags = 0;
    for flag in &scheduler.flags {
        flags |= number_of(POLICY_FLAGS, flag, "scheduler flag")?;
    }
    Ok(sched::Policy {
        policy: number_of(POLICIES, &scheduler.policy, "scheduler policy")? as u32,
        flags,
        nice: scheduler.nice,
        priority: u32::try_from(scheduler.priority)
            .map_err(|_| Invalid(format!("scheduler priority {} is negative", scheduler.priority)))?,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    })
}

const IO_CLASSES: &[(&str, u64)] =
    &[("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// Reads `process.ioPriority` as class and level.
pub fn io_priority(priority: &spec::IoPriority) -> Result<(u16, u16), Invalid> {
    let class = number_of(IO_CLASSES, &priority.class, "I/O priority class")?;
    match u16::try_from(priority.priority) {
        Ok(level @ 0..=7) => Ok((class as u16, level)),
        _ => Err(Invalid(format!("I/O priority {} is not between 0 and 7", priority.priority))),
    }
}

/// Reads a list such as `0-2,5`.
pub fn number_list(text: &str) -> Result<Vec<usize>, Invalid> {
    let invalid = || Invalid(format!("{text:?} is not a list of numbers"));
    let mut numbers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| invalid())?;
        let last: usize = last.trim().parse().map_err(|_| invalid())?;
        if first > last || last >= 8192 {
            return Err(invalid());
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}

/// Binds this thread to CPUs; an empty list changes nothing.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < rustix::thread::CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    rustix::thread::sched_setaffinity(None, &set)?;
    Ok(())
}

/// Lets this thread run on every CPU that its cpuset has.
pub fn unset_affinity() -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    (0..rustix::thread::CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
    rustix::thread::sched_setaffinity(None, &set)?;
    Ok(())
}

const MEMORY_MODES: &[(&str, u64)] = &[
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const MEMORY_FLAGS: &[(&str, u64)] = &[
    ("MPOL_F_STATIC_NODES", 1 << 15),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
];

/// Reads `linux.memoryPolicy` as the mode with its flags, and the node mask.
pub fn memory_policy(policy: &spec::MemoryPolicy) -> Result<(i32, Vec<u64>), Invalid> {
    let invalid = |what: &str, word: &str| Invalid(format!("invalid memory policy {what} {word:?}"));
    let mut mode = number_of(MEMORY_MODES, &policy.mode, "").map_err(|_| invalid("mode", &policy.mode))?;
    for flag in &policy.flags {
        mode |= number_of(MEMORY_FLAGS, flag, "").map_err(|_| invalid("flag", flag))?;
    }
    let nodes = number_list(&policy.nodes).map_err(|_| invalid("node list", &policy.nodes))?;
    if matches!(policy.mode.as_str(), "MPOL_DEFAULT" | "MPOL_LOCAL") && !nodes.is_empty() {
        let (mode, count) = (&policy.mode, nodes.len());
        return Err(Invalid(format!("{mode} mode requires 0 nodes but got {count}")));
    }
    let mut mask = vec![0_u64; nodes.iter().max().map_or(0, |last| last / 64 + 1)];
    for node in nodes {
        mask[node / 64] |= 1 << (node % 64);
    }
    Ok((mode as i32, mask))
}

/// Reads `linux.personality`; flags are refused, as the specification has none yet.
pub fn personality(personality: &spec::Personality) -> Result<u64, Invalid> {
    if let Some(flag) = personality.flags.first() {
        return Err(Invalid(format!("personality flag {flag:?} does not exist")));
    }
    number_of(&[("LINUX", 0), ("LINUX32", 8)], &personality.domain, "personality domain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(number_list("0-2, 5").unwrap(), [0, 1, 2, 5]);
        assert!(number_list("").unwrap().is_empty());
        for wrong in ["3-1", "a", "-1", "1-", "99999"] {
            assert!(number_list(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_checked() {
        let scheduler = spec::Scheduler { policy: "SCHED_FIFO".into(), priority: 3, ..Default::default() };
        assert_eq!(policy(&scheduler).unwrap().policy, 1);
        assert!(policy(&spec::Scheduler::default()).is_err());
        let priority = spec::IoPriority { class: "IOPRIO_CLASS_BE".into(), priority: 8 };
        assert!(io_priority(&priority).is_err());
    }

    #[test]
    fn nodes_become_a_mask() {
        let policy = spec::MemoryPolicy { mode: "MPOL_BIND".into(), nodes: "0,65".into(), flags: vec![] };
        assert_eq!(memory_policy(&policy).unwrap(), (2, vec![1, 2]));
    }
}
