//! A network namespace kept by a file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use netlink::{Change, Family, Request, Socket, Target, change_link};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, Result, sysctl};

/// An open network namespace whose file is its name.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    fd: OwnedFd,
    /// Opened inside: links are set up from here without moving a thread.
    socket: Mutex<Option<Socket>>,
}

impl Netns {
    /// Makes a namespace with nothing but `lo`, up, and binds it at `path`, which must not exist;
    /// its directory must. This alone is `--network none`. Links that join later have IPv6
    /// disabled until their network says otherwise.
    ///
    /// # Errors
    /// [`Error::NetnsExists`]; [`Error::Io`] without privilege. Nothing is left behind then.
    pub fn create(path: &Path) -> Result<Netns> {
        Unbound::make()?.bind(path)
    }

    /// As [`Netns::create`], with a namespace that is new and somebody else's work, such as one that belongs to a
    /// user namespace.
    ///
    /// # Errors
    /// As [`Netns::create`].
    pub fn adopt(namespace: OwnedFd, path: &Path) -> Result<Netns> {
        Unbound::adopt(namespace)?.bind(path)
    }

    /// Opens one that exists, such as another container's or `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Netns> {
        let fd = File::open(path).map_err(Error::io("open network namespace", path.display().to_string()))?;
        Ok(Netns { path: path.to_owned(), fd: fd.into(), socket: Mutex::new(None) })
    }

    /// Unmounts and unlinks the file. The kernel ends the namespace, and every veth pair in it,
    /// when the last process and descriptor are gone. Absent is success.
    pub fn remove(path: &Path) -> Result<()> {
        loop {
            match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                // Not, or no longer, a mount point.
                Err(Errno::INVAL | Errno::NOENT) => break,
                Err(errno) => {
                    return Err(Error::io("unmount network namespace", path.display().to_string())(errno));
                }
            }
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove network namespace", path.display().to_string())(error))
            }
            _ => Ok(()),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a new thread inside the namespace: for sockets that must live there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Error::io("enter network namespace", self.path.display().to_string()))?;
            Ok(work())
        })
    }

    /// Makes `endpoint` the way out of the namespace. One that has a way out already keeps it.
    ///
    /// # Errors
    /// The endpoint's link is gone, or the kernel refuses.
    pub fn route_by(&self, endpoint: &crate::Endpoint) -> Result<()> {
        self.route(|inside| {
            let failed = || Error::netlink("add default route to", endpoint.interface.clone());
            let link = netlink::Link::get(inside, Target::Name(&endpoint.interface)).map_err(failed())?;
            let mut request = Request::new();
            endpoint.add_default_routes(&mut request, link.index);
            match inside.exchange(&mut request, |_, _| {}) {
                Err(error) if error.errno() != Some(Errno::EXIST) => Err(failed()(error)),
                _ => Ok(()),
            }
        })
    }

    /// Takes the ways out through `endpoint` away; that there is none is success.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn leave_route(&self, endpoint: &crate::Endpoint) -> Result<()> {
        self.route(|inside| {
            let failed = || Error::netlink("remove default route from", endpoint.interface.clone());
            let link = netlink::Link::get(inside, Target::Name(&endpoint.interface)).map_err(failed())?;
            for is_v6 in [false, true] {
                let mut request = Request::new();
                netlink::delete_default_route(&mut request, is_v6, link.index);
                match inside.exchange(&mut request, |_, _| {}) {
                    Err(error) if error.errno() != Some(Errno::SRCH) => return Err(failed()(error)),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// Deletes a link inside the namespace. Absent is success.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_link(&self, name: &str) -> Result<()> {
        self.route(|inside| crate::bridge::delete(inside, name))
    }

    /// Sends rtnetlink requests inside the namespace.
    pub(crate) fn route<T>(&self, work: impl FnOnce(&mut Socket) -> Result<T>) -> Result<T> {
        let mut socket = self.socket.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if socket.is_none() {
            let opened = self.run(|| Socket::open(Family::Route))?;
            *socket = Some(opened.map_err(Error::netlink(
                "open netlink in network namespace",
                self.path.display().to_string(),
            ))?);
        }
        match socket.as_mut() {
            Some(socket) => work(socket),
            None => unreachable!("opened above"),
        }
    }
}

/// A namespace that has no file yet.
#[derive(Debug)]
struct Unbound {
    fd: OwnedFd,
    socket: Socket,
}

impl Unbound {
    fn make() -> Result<Unbound> {
        // The thread ends in the new namespace.
        on_thread(|| {
            syscalls::netns::unshare_network().map_err(Error::io("create", WHAT))?;
            let socket = furnish()?;
            // The calling thread's own; /proc/self would be the main thread's.
            let fd = File::open("/proc/thread-self/ns/net").map_err(Error::io("open", WHAT))?.into();
            Ok(Unbound { fd, socket })
        })
    }

    /// One that somebody else made, with nothing in it.
    fn adopt(fd: OwnedFd) -> Result<Unbound> {
        let socket = on_thread(|| {
            move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Error::io("enter", WHAT))?;
            furnish()
        })?;
        Ok(Unbound { fd, socket })
    }

    fn bind(self, path: &Path) -> Result<Netns> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(path);
        match file {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::NetnsExists(path.to_owned()));
            }
            Err(error) => {
                return Err(Error::io("create network namespace", path.display().to_string())(error));
            }
        }
        if let Err(errno) = mount_bind(format!("/proc/self/fd/{}", self.fd.as_raw_fd()), path) {
            let _ = fs::remove_file(path);
            return Err(Error::io("bind network namespace", path.display().to_string())(errno));
        }
        Ok(Netns { path: path.to_owned(), fd: self.fd, socket: Mutex::new(Some(self.socket)) })
    }
}

const WHAT: &str = "a network namespace";

/// Gives the calling thread's namespace, which is new, its `lo` and the settings of all links to come.
fn furnish() -> Result<Socket> {
    let mut socket = Socket::open(Family::Route).map_err(Error::netlink("open netlink in", WHAT))?;
    // What joins later inherits it.
    sysctl::set_new("ipv6/conf/default/disable_ipv6", "1")?;
    // Neighbours hear at once who has an address now: its last holder had another link.
    sysctl::set_new("ipv4/conf/default/arp_notify", "1")?;
    sysctl::set_new("ipv6/conf/default/ndisc_notify", "1")?;
    let mut request = Request::new();
    // lo is always the first link.
    change_link(&mut request, Target::Index(1), Change { up: Some(true), ..Change::default() });
    socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("set up lo in", WHAT))?;
    Ok(socket)
}

/// Namespaces made in advance: more than half of what a container's network takes is the making
/// of its namespace, and nothing about it depends on the container. They have no file, so they
/// end with the process.
#[derive(Debug)]
pub struct NetnsPool {
    ready: Mutex<Vec<Unbound>>,
    size: usize,
}

impl NetnsPool {
    /// A pool that keeps `size` namespaces ready, empty until [`NetnsPool::fill`].
    pub fn new(size: usize) -> NetnsPool {
        NetnsPool { ready: Mutex::default(), size }
    }

    /// Makes what is missing, one after the other; to be called where nobody waits, at the start
    /// and after each [`NetnsPool::create`].
    pub fn fill(&self) -> Result<()> {
        while self.ready().len() < self.size {
            let made = Unbound::make()?;
            self.ready().push(made);
        }
        Ok(())
    }

    /// As [`Netns::create`], with a namespace of the pool when there is one.
    pub fn create(&self, path: &Path) -> Result<Netns> {
        let ready = self.ready().pop();
        ready.map_or_else(Unbound::make, Ok)?.bind(path)
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Unbound>> {
        self.ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Runs `work` on a thread that may change its namespaces, because it ends.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(128 << 10)
            .spawn_scoped(scope, work);
        match thread.map_err(Error::io("start", "a thread for a network namespace"))?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
