//! Exits of children: each is kept until whoever waits for that child has it.
//!
//! The shim is a subreaper: what runtimes leave behind becomes its child. A container's process
//! may end before its runtime has told which one it is, so while a [`Claim`] is open exits of
//! unknown children are kept too.

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::oneshot;

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// The exit code, or 128 and the signal.
    pub(crate) status: u32,
    pub(crate) at: SystemTime,
}

impl Exit {
    /// The status of a process that was killed.
    pub(crate) const KILLED: u32 = 128 + 9;

    /// The end of a process that was killed, or cannot be asked any more.
    pub(crate) fn killed() -> Exit {
        Exit { status: Exit::KILLED, at: SystemTime::now() }
    }
}

/// The table of children.
#[derive(Clone, Default)]
pub(crate) struct Reaper {
    children: Arc<Mutex<Children>>,
}

#[derive(Default)]
struct Children {
    watched: HashMap<i32, oneshot::Sender<Exit>>,
    unclaimed: HashMap<i32, Exit>,
    claims: usize,
}

impl Reaper {
    /// Takes every exit there is. Call it at each SIGCHLD.
    pub(crate) fn sweep(&self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.note(pid.as_raw_nonzero().get(), status),
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn note(&self, pid: i32, status: WaitStatus) {
        let status = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => code as u32,
            (None, Some(signal)) => 128 + signal as u32,
            // Stopped or continued: not asked for.
            (None, None) => return,
        };
        let exit = Exit { status, at: SystemTime::now() };
        let mut children = self.lock();
        match children.watched.remove(&pid) {
            // Who waited may have given up.
            Some(waiter) => drop(waiter.send(exit)),
            None if children.claims > 0 => drop(children.unclaimed.insert(pid, exit)),
            None => {}
        }
    }

    /// The exit of a child to come. Call it right after the child was started, or under a claim
    /// that is older than it.
    pub(crate) fn watch(&self, pid: i32) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        let mut children = self.lock();
        match children.unclaimed.remove(&pid) {
            Some(exit) => drop(sender.send(exit)),
            None => drop(children.watched.insert(pid, sender)),
        }
        receiver
    }

    /// Keeps exits of unknown children as long as the claim lives.
    pub(crate) fn claim(&self) -> Claim {
        self.lock().claims += 1;
        Claim { reaper: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Reaper::claim`].
pub(crate) struct Claim {
    reaper: Reaper,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut children = self.reaper.lock();
        children.claims -= 1;
        if children.claims == 0 {
            children.unclaimed = HashMap::new();
        }
    }
}
