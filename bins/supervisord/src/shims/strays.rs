//! Processes that a creation cut short left at work in a bundle.
//!
//! A daemon that dies while a shim starts, or while a shim makes a task, leaves them to go on: they end up
//! with a bundle that nobody knows, and for ever. Who works there is known by its directory and its words.

use super::bundle::Bundle;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Looks, at most: each ends what it finds, which may have started others meanwhile.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(5);

/// Kills every process whose working directory is the bundle, or whose command line has its path, and whose
/// command line has the task's id; blocks until there is none.
pub fn end(bundle: &Bundle) {
    for _ in 0..LOOKS {
        let mut found = false;
        for pid in processes() {
            // The descriptor is taken before the look, so that it is the process that was looked at.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if works_in(pid, bundle) {
                found = true;
                // One that has just ended is what was wanted.
                let _ = pidfd_send_signal(&process, Signal::KILL);
            }
        }
        if !found {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    tracing::warn!(id = bundle.id, namespace = bundle.namespace, "processes of a dead shim do not end");
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn works_in(pid: Pid, bundle: &Bundle) -> bool {
    let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let Ok(line) = std::fs::read(proc.join("cmdline")) else { return false };
    let has = |text: &[u8]| line.split(|byte| *byte == 0).any(|word| word == text);
    // Runtimes that a shim of several tasks has started work elsewhere, and are told the bundle.
    has(bundle.id.as_bytes())
        && (std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == bundle.path)
            || has(bundle.path.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shims::Layout;
    use std::process::{Command, Stdio};

    #[test]
    fn those_at_work_in_the_bundle_are_ended_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let bundle = Layout::new(&top, &top).bundle("n", "task-1");
        std::fs::create_dir_all(&bundle.path).unwrap();
        let start = |cwd: &Path, word: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "read x", "sh", word]).current_dir(cwd).stdin(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut stray = start(&bundle.path, "task-1");
        let mut visitor = start(&bundle.path, "task-2");
        let mut other = start(&top, "task-1");
        // A child that was only forked has its parent's words still.
        let known = |pid: u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sh\0-c"))
        };
        while ![&stray, &visitor, &other].iter().all(|child| known(child.id())) {
            std::thread::yield_now();
        }
        let ender = std::thread::spawn(move || end(&bundle));
        assert!(!stray.wait().unwrap().success());
        ender.join().unwrap();
        for bystander in [&mut visitor, &mut other] {
            assert!(bystander.try_wait().unwrap().is_none());
            bystander.kill().unwrap();
            bystander.wait().unwrap();
        }
    }
}
