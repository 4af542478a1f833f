//! Whether a process is still the one that was meant.

use std::fs::File;
use std::io::Read;

/// What became of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Alive,
    /// Gone, a zombie, or another process has its number.
    Gone,
}

/// When a process started, in clock ticks since boot, and its state letter; proc_pid_stat(5).
fn stat(pid: i32) -> Option<(u64, u8)> {
    // One read gives the whole line.
    let mut text = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut text)).ok()?;
    parse_stat(&text[..length])
}

/// The command's name may hold anything, so fields count from the last parenthesis.
fn parse_stat(text: &[u8]) -> Option<(u64, u8)> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((start, state))
}

/// When process `pid` started; none if there is none.
pub fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|(start, _)| start)
}

impl Liveness {
    /// Looks for the process with this number and start time.
    pub fn of(pid: i32, start: u64) -> Liveness {
        match stat(pid) {
            Some((found, state)) if found == start && !matches!(state, b'Z' | b'X' | b'x') => Liveness::Alive,
            _ => Liveness::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let text = b"12 (a) R (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(parse_stat(text), Some((777, b'S')));
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn this_process_is_alive() {
        let pid = std::process::id() as i32;
        let start = start_time(pid).unwrap();
        assert_eq!(Liveness::of(pid, start), Liveness::Alive);
        assert_eq!(Liveness::of(pid, start + 1), Liveness::Gone);
    }
}
