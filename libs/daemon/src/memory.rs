//! Memory that a daemon needs no more.

use std::time::Duration;

/// Two threads at work need no more.
const HEAPS: u8 = 2;
/// What is freed at the end of a heap and kept for the next call, as long as calls come.
const KEPT_BYTES: u32 = 4 << 20;
/// How often a daemon looks whether it grew.
const EVERY: Duration = Duration::from_secs(10);
/// What is worth the work of giving it back.
const GROWTH_BYTES: u64 = 1 << 20;

/// Makes the allocator thrifty. Before there are threads.
pub fn be_thrifty() {
    syscalls::heap::tune(HEAPS, KEPT_BYTES);
}

/// Gives memory back some seconds after the start, and after it grew: what was freed, and code that is not called
/// again. Never ends.
pub async fn give_back() {
    let mut least = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let now = resident();
        least = if now < least + GROWTH_BYTES {
            least.min(now)
        } else {
            syscalls::heap::give_back();
            syscalls::code::let_go();
            resident()
        };
    }
}

/// Bytes of this process that are in memory: proc(5), `statm`. 0 where that is not told.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::resident;

    #[test]
    fn what_is_touched_counts() {
        let before = resident();
        let touched = vec![1u8; 8 << 20];
        assert!(resident() >= before + (7 << 20), "{before} {}", resident());
        assert_eq!(touched.len(), 8 << 20);
    }
}
