//! Readiness told to systemd: sd_notify(3) from inside a container, passed on by the runtime.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::{fs, io};

use runtime_spec::{Mount, Spec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::container::{Id, Store};
use crate::failure::{Failure, Tried};

/// Where the container finds its socket.
const INSIDE: &str = "/run/notify";
const NAME: &str = "notify.sock";

/// What a container may say; the rest is about processes and descriptors of the host.
const PASSED: [&str; 6] = ["READY=", "STATUS=", "STOPPING=", "RELOADING=", "ERRNO=", "WATCHDOG="];

/// The socket of one container and the one that its messages go on to.
#[derive(Debug)]
pub struct Notify {
    directory: PathBuf,
    /// What NOTIFY_SOCKET names: a path, or with `@` in front an abstract name.
    host: String,
    listening: std::cell::OnceCell<UnixDatagram>,
}

impl Notify {
    /// Takes NOTIFY_SOCKET, and gives the container one of its own in the place of it.
    pub fn from_environment(store: &Store, id: &Id, spec: &mut Spec) -> Option<Notify> {
        let notify = Notify::of(&store.directory(id))?;
        let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned).to_vec();
        spec.mounts.push(Mount {
            destination: INSIDE.to_owned(),
            kind: "bind".to_owned(),
            source: notify.directory.to_string_lossy().into_owned(),
            options,
            ..Mount::default()
        });
        if let Some(process) = &mut spec.process {
            process.env.push(format!("NOTIFY_SOCKET={INSIDE}/{NAME}"));
        }
        Some(notify)
    }

    /// The socket of a container that exists, if it was made with one and there is somebody to
    /// pass messages on to.
    pub fn of_container(directory: &Path) -> Option<Notify> {
        Notify::of(directory).filter(|notify| notify.directory.exists())
    }

    fn of(container: &Path) -> Option<Notify> {
        let host = std::env::var("NOTIFY_SOCKET").ok().filter(|host| !host.is_empty())?;
        Some(Notify { directory: container.join("notify"), host, listening: Default::default() })
    }

    /// Makes the directory that the container sees, and with `listen` the socket in it.
    pub fn prepare(&self, listen: bool) -> Result<(), Failure> {
        let shown = self.directory.display();
        fs::create_dir(&self.directory)
            .and_then(|()| fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o755)))
            .tried(format!("cannot make {shown}"))?;
        if listen { self.listen() } else { Ok(()) }
    }

    /// Binds the socket, which any user of the container may write to.
    pub fn listen(&self) -> Result<(), Failure> {
        let path = self.directory.join(NAME);
        let bind = || -> io::Result<UnixDatagram> {
            let socket = UnixDatagram::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = bind().tried(format!("cannot listen at {}", path.display()))?;
        let _ = self.listening.set(socket);
        Ok(())
    }

    /// The listening socket, to be polled.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.listening.get().map(AsFd::as_fd)
    }

    /// Passes on what has come; whether readiness was in it.
    pub fn pass(&self) -> Result<bool, Failure> {
        let Some(socket) = self.listening.get() else { return Ok(false) };
        let mut buffer = [0_u8; 4096];
        let mut is_ready = false;
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            for line in text.lines().filter(|line| PASSED.iter().any(|key| line.starts_with(key))) {
                is_ready |= *line == *"READY=1";
                self.tell(line)?;
            }
        }
        Ok(is_ready)
    }

    /// Waits until the container is ready or gone, and names its init as the service's main
    /// process, for a runtime that leaves.
    pub fn await_ready(&self, init: Pid) -> Result<(), Failure> {
        let Some(socket) = self.as_fd() else { return Ok(()) };
        self.tell(&format!("MAINPID={}", init.as_raw_nonzero()))?;
        let pidfd = pidfd_open(init, PidfdFlags::empty()).tried("cannot watch the process")?;
        loop {
            let mut fds =
                [PollFd::from_borrowed_fd(socket, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.tried("cannot wait for readiness")?,
            };
            let gone = !fds[1].revents().is_empty();
            if self.pass()? || gone {
                return Ok(());
            }
        }
    }

    fn tell(&self, line: &str) -> Result<(), Failure> {
        let send = || -> io::Result<()> {
            let address = match self.host.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(&self.host)?,
            };
            UnixDatagram::unbound()?.send_to_addr(line.as_bytes(), &address).map(drop)
        };
        send().tried(format!("cannot notify {}", self.host))
    }
}
