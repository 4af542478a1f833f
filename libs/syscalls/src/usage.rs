//! What processes have used, getrusage(2).

use std::time::Duration;

/// CPU time, of user and kernel together, of all children that were waited for.
pub fn children_cpu() -> Duration {
    cpu(libc::RUSAGE_CHILDREN)
}

/// CPU time, of user and kernel together, of this process.
pub fn own_cpu() -> Duration {
    cpu(libc::RUSAGE_SELF)
}

fn cpu(of: libc::c_int) -> Duration {
    // SAFETY: rusage is plain integers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the call, which cannot fail with these arguments.
    unsafe { libc::getrusage(of, &raw mut usage) };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000))
        .sum()
}
