//! A daemon started by us: its log in a file, its readiness by notification, its end by pid.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a daemon may take to be ready, or to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon, known by its pid: it outlives the program that started it.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Its process.
    pub pid: i32,
    /// What it writes to stdout and stderr.
    pub log: PathBuf,
}

impl Daemon {
    /// Starts `command` in a session of its own with output to `log` and waits until it says `READY=1` on the
    /// notification socket (sd_notify(3)).
    pub fn start_ready(mut command: Command, log: &Path) -> io::Result<Daemon> {
        let socket = log.with_extension("notify");
        let _ = std::fs::remove_file(&socket);
        let notifications = UnixDatagram::bind(&socket)?;
        command.env("NOTIFY_SOCKET", &socket);
        let daemon = Daemon::start(command, log)?;
        let ready = wait_ready(&notifications, &daemon);
        std::fs::remove_file(&socket)?;
        ready.map_err(|e| io::Error::new(e.kind(), format!("{e}; its log:\n{}", daemon.log_text())))?;
        Ok(daemon)
    }

    /// Starts `command` in a session of its own with output to `log`.
    pub fn start(mut command: Command, log: &Path) -> io::Result<Daemon> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn()?;
        Ok(Daemon { pid: child.id() as i32, log: log.to_owned() })
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        if self.wait_gone(PATIENCE)? {
            return Ok(());
        }
        self.kill()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        match self.wait_gone(PATIENCE)? {
            true => Ok(()),
            false => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("process {} does not end", self.pid)))
            }
        }
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        matches!(self.wait_gone(Duration::ZERO), Ok(false))
    }

    /// Everything it has logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        match kill_process(pid, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    fn wait_gone(&self, limit: Duration) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(true) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(true),
            pidfd => pidfd?,
        };
        let gone = readable(&pidfd, limit)?;
        if gone {
            // Reaps it if it is a child of ours; a daemon started by another program is not.
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
        }
        Ok(gone)
    }
}

fn wait_ready(notifications: &UnixDatagram, daemon: &Daemon) -> io::Result<()> {
    notifications.set_read_timeout(Some(Duration::from_millis(50)))?;
    let started = std::time::Instant::now();
    let mut buffer = [0; 1024];
    while started.elapsed() < PATIENCE {
        match notifications.recv(&mut buffer) {
            Ok(size) if buffer[..size].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") => {
                return Ok(());
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if !daemon.is_running() {
                    return Err(io::Error::other(format!("daemon {} ended before it was ready", daemon.pid)));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("daemon {} is not ready", daemon.pid)))
}

fn readable(fd: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    Ok(poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit))? > 0)
}
