//! A program that reads both output streams (containerd's `binary://` logging).
//!
//! It is started with the query's keys and values as its arguments, an environment of only
//! `CONTAINER_ID` and `CONTAINER_NAMESPACE`, stdout and stderr of the container as descriptors 3
//! and 4, and descriptor 5 to write one byte to when it is ready.

use crate::BinaryUri;
use crate::pipe::pipe;
use crate::sink::{wait_readable, watched};
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::Interest;

/// How long a program may take to say that it is ready.
const READY: Duration = Duration::from_secs(10);
/// How long it has to end after it was asked to.
const FAREWELL: Duration = Duration::from_secs(12);

/// A running log program.
pub struct LogProgram {
    pid: i32,
    /// What the container writes to: to be taken, since the program ends when nobody holds it.
    pub stdout: Option<OwnedFd>,
    /// As above.
    pub stderr: Option<OwnedFd>,
}

impl LogProgram {
    /// Starts the program and waits until it is ready. Its end is reaped by the caller, who
    /// reaps all children.
    pub async fn start(uri: &BinaryUri, id: &str, namespace: &str) -> io::Result<LogProgram> {
        let (stdout, stderr, ready) = (pipe(None)?, pipe(None)?, pipe(None)?);
        let mut command = Command::new(&uri.path);
        command.args(uri.pairs.iter().flat_map(|(key, value)| [key, value]));
        command.env_clear().env("CONTAINER_ID", id).env("CONTAINER_NAMESPACE", namespace);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        syscalls::spawn::pass(&mut command, [(stdout.read, 3), (stderr.read, 4), (ready.write, 5)]);
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // The child's ends are held by the command.
        drop(command);
        let program = LogProgram { pid, stdout: Some(stdout.write), stderr: Some(stderr.write) };
        match program.wait_ready(ready.read, uri.must_be_ready).await {
            Ok(()) => Ok(program),
            Err(error) => {
                program.signal(rustix::process::Signal::KILL);
                Err(error)
            }
        }
    }

    async fn wait_ready(&self, ready: OwnedFd, must_say_so: bool) -> io::Result<()> {
        crate::pipe::set_nonblocking(&ready)?;
        let ready = watched(ready, Interest::READABLE)?;
        tokio::time::timeout(READY, wait_readable(&ready)).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, "logging binary did not call ready in time")
        })??;
        match rustix::io::read(ready.get_ref(), &mut [0; 1])? {
            0 if must_say_so => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "logging binary did not call ready (it may have crashed or exited prematurely)",
            )),
            _ => Ok(()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Ends a program whose streams nobody holds any more; `ended` resolves when the program's exit was reaped.
    /// A program that goes on is asked to end, then made to.
    pub async fn stop(self, ended: impl Future<Output = ()>) {
        let LogProgram { pid, stdout, stderr } = self;
        drop((stdout, stderr));
        tokio::pin!(ended);
        // At the end of its streams it ends by itself.
        if tokio::time::timeout(Duration::from_secs(2), &mut ended).await.is_ok() {
            return;
        }
        signal(pid, rustix::process::Signal::TERM);
        if tokio::time::timeout(FAREWELL, &mut ended).await.is_err() {
            signal(pid, rustix::process::Signal::KILL);
        }
    }

    fn signal(&self, number: rustix::process::Signal) {
        signal(self.pid, number);
    }
}

fn signal(pid: i32, number: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, number);
    }
}
