//! Scheduling, I/O priority, memory policy and personality of this process.

use std::io;

/// The arguments of sched_setattr(2); times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// sched_setattr(2) for this thread.
pub fn set_policy(policy: &Policy) -> io::Result<()> {
    #[repr(C)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attr = SchedAttr {
        size: std::mem::size_of::<SchedAttr>() as u32,
        policy: policy.policy,
        flags: policy.flags,
        nice: policy.nice,
        priority: policy.priority,
        runtime: policy.runtime,
        deadline: policy.deadline,
        period: policy.period,
    };
    // SAFETY: `attr` outlives the call and carries its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) })
}

/// ioprio_set(2) for this process: class 1 real time, 2 best effort, 3 idle; level 0 to 7.
pub fn set_io_priority(class: u16, level: u16) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    let value = (i32::from(class) << 13) | i32::from(level);
    // SAFETY: takes integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) })
}

/// set_mempolicy(2): `mode` with its flags, and the nodes as a bit mask, lowest first.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> io::Result<()> {
    // The kernel reads one bit less than it is told.
    let bits = nodes.len() * 64 + 1;
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: `mask` is null or points to `bits - 1` readable bits.
    check(unsafe {
        libc::syscall(libc::SYS_set_mempolicy, mode, mask, if nodes.is_empty() { 0 } else { bits })
    })
}

/// Lets the processes of this one's group, and their children to come, share a core's threads with each
/// other only: PR_SCHED_CORE_CREATE of prctl(2), Linux 5.14. Fails where cores have one thread.
pub fn schedule_group_by_core() -> io::Result<()> {
    const SCOPE_PROCESS_GROUP: libc::c_ulong = 2;
    let nothing: libc::c_ulong = 0;
    // SAFETY: takes integers only; 0 stands for this process.
    check(libc::c_long::from(unsafe {
        libc::prctl(libc::PR_SCHED_CORE, libc::PR_SCHED_CORE_CREATE, nothing, SCOPE_PROCESS_GROUP, nothing)
    }))
}

/// personality(2).
pub fn set_personality(persona: u64) -> io::Result<()> {
    // SAFETY: takes an integer only.
    match unsafe { libc::personality(persona as libc::c_ulong) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn check(result: libc::c_long) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
