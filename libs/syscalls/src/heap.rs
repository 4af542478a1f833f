//! The allocator's habits. One that is not glibc's keeps its own.

/// Has all threads share `heaps` heaps, each of which keeps up to `kept_bytes` of what is freed at its end until
/// [`give_back`] (mallopt(3), `M_ARENA_MAX` and `M_TRIM_THRESHOLD`).
///
/// More heaps are more memory that is freed and kept; giving back at every turn is a page fault a page at the next.
pub fn tune(heaps: u8, kept_bytes: u32) {
    // SAFETY: plain numbers; the allocator locks for itself.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::from(heaps));
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::try_from(kept_bytes).unwrap_or(i32::MAX));
        // Set apart from its default, the bound stays where it is: large buffers never become part of a heap.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = (heaps, kept_bytes);
}

#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 512 << 10;

/// A variable, and its value, for a program that rests for nearly all of its life: without a cache of freed pieces for
/// each thread (glibc's tunables). The cache fills up over the first thousands of calls, is never given back, and there
/// is no other way to go without.
pub const FRUGAL: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// Takes [`FRUGAL`] out of this process's environment, which has served its purpose: programs that it starts are not
/// to inherit it. Another value stays.
///
/// # Panics
/// In a process with threads, which may be reading the environment.
pub fn forget_frugal() {
    let (name, value) = FRUGAL;
    if std::env::var_os(name).is_some_and(|found| found == value) {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        assert_eq!(threads, 1, "the environment is changed before there are threads");
        // SAFETY: no other thread reads it meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Gives the kernel back what was freed (malloc_trim(3)).
pub fn give_back() {
    // SAFETY: a plain number; the allocator locks for itself.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_held_stays() {
        super::tune(1, 1 << 20);
        let held = vec![7u8; 1 << 20];
        drop(vec![8u8; 1 << 20]);
        super::give_back();
        assert!(held.iter().all(|byte| *byte == 7));
    }
}
