//! User and group id mappings, user_namespaces(7).

use std::fmt;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::Command;

use runtime_spec::IdMapping;
use rustix::process::{Pid, Signal};
use syscalls::clone::{Request, Side, clone3, exit_now, setns, unshare};

use crate::Kind;

/// A mapping file that could not be written.
#[derive(Debug)]
pub struct MapError {
    pub file: String,
    pub cause: io::Error,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.file, self.cause)
    }
}

impl std::error::Error for MapError {}

/// Writes the mappings of the user namespace that process `pid` is in.
///
/// The kernel takes each file once, in one write of at most a page. From a caller without
/// privilege it takes its own id alone, and the group's only after setgroups(2) was given up; the
/// ranges of subuid(5) are for newuidmap(1) and newgidmap(1) to write.
pub fn write_mappings(pid: Pid, uids: &[IdMapping], gids: &[IdMapping]) -> Result<(), MapError> {
    let directory = format!("/proc/{}", pid.as_raw_nonzero());
    let is_root = rustix::process::geteuid().is_root();
    let own = rustix::process::geteuid().as_raw();
    match is_root || is_own(uids, own) {
        true => write(&format!("{directory}/uid_map"), &lines(uids))?,
        false => by_program("newuidmap", pid, uids)?,
    }
    if !is_root && maps_itself(gids) {
        write(&format!("{directory}/setgroups"), "deny")?;
    }
    match is_root || maps_itself(gids) {
        true => write(&format!("{directory}/gid_map"), &lines(gids)),
        false => by_program("newgidmap", pid, gids),
    }
}

/// Whether nothing but the caller's own group is mapped, which costs the right to setgroups(2).
pub fn maps_itself(gids: &[IdMapping]) -> bool {
    is_own(gids, rustix::process::getegid().as_raw())
}

fn is_own(mappings: &[IdMapping], own: u32) -> bool {
    matches!(mappings, [only] if only.size == 1 && only.host_id == own)
}

fn by_program(name: &str, pid: Pid, mappings: &[IdMapping]) -> Result<(), MapError> {
    let failed = |cause| MapError { file: format!("mappings by {name}"), cause };
    let mut command = Command::new(name);
    command.arg(pid.as_raw_nonzero().to_string());
    for mapping in mappings {
        command.args([mapping.container_id, mapping.host_id, mapping.size].map(|number| number.to_string()));
    }
    let output = command.output().map_err(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))),
    }
}

fn write(file: &str, text: &str) -> Result<(), MapError> {
    std::fs::write(file, text).map_err(|cause| MapError { file: file.to_owned(), cause })
}

fn lines(mappings: &[IdMapping]) -> String {
    let mut text = String::new();
    for mapping in mappings {
        let _ = writeln!(text, "{} {} {}", mapping.container_id, mapping.host_id, mapping.size);
    }
    text
}

/// Which of an id's kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    User,
    Group,
}

/// What an id in the user namespace of process `pid` is here; none when it is mapped to nothing.
pub fn outer_id(pid: Pid, kind: IdKind, id: u32) -> io::Result<Option<u32>> {
    let file = match kind {
        IdKind::User => "uid_map",
        IdKind::Group => "gid_map",
    };
    Ok(mapped(&std::fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero()))?, id))
}

fn mapped(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u32>().ok());
        let (inner, outer, size) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let distance = id.checked_sub(inner).filter(|distance| *distance < size)?;
        outer.checked_add(distance)
    })
}

/// Makes a user namespace with these mappings and returns its file, for idmapped mounts.
///
/// A process is made in it for the moment of writing the mappings. It waits for nothing but its
/// end: with a pipe to wait on, two callers at once would hand their ends to each other's process,
/// and both would wait for ever.
pub fn user_namespace_with(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, MapError> {
    made_with(Kind::User.flag(), uids, gids, |pid| namespace_of(pid, "user"))
}

/// As [`user_namespace_with`], with a network namespace that belongs to the new user namespace:
/// who is root in the one may set up the other.
pub fn user_and_network_with(uids: &[IdMapping], gids: &[IdMapping]) -> Result<(OwnedFd, OwnedFd), MapError> {
    let flags = Kind::User.flag() | Kind::Network.flag();
    made_with(flags, uids, gids, |pid| Ok((namespace_of(pid, "user")?, namespace_of(pid, "net")?)))
}

/// A new network namespace that belongs to a user namespace which exists already.
///
/// # Errors
/// As setns(2) and unshare(2).
pub fn network_of(user: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let caller = rustix::process::getpid();
    match clone3(&Request::default())? {
        // Alone in its process, it may change its user namespace. Stopped, it tells that it is there.
        Side::Child => {
            let made = setns(user, Kind::User.flag()).and_then(|()| unshare(Kind::Network.flag()));
            let code = made.map_or_else(|cause| cause.raw_os_error().unwrap_or(libc::EIO), |()| 0);
            if code != 0 {
                exit_now(code);
            }
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            wait_for_the_end(caller)
        }
        Side::Parent { pid, .. } => {
            let ended = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::UNTRACED)?;
            let status = ended.map(|(_, status)| status);
            if let Some(code) = status.and_then(|status| status.exit_status()) {
                return Err(io::Error::from_raw_os_error(code));
            }
            let network = namespace_of(pid, "net");
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            network
        }
    }
}

fn namespace_of(pid: Pid, file: &str) -> io::Result<OwnedFd> {
    File::open(format!("/proc/{}/ns/{file}", pid.as_raw_nonzero())).map(OwnedFd::from)
}

fn made_with<T>(
    flags: u64,
    uids: &[IdMapping],
    gids: &[IdMapping],
    open: impl FnOnce(Pid) -> io::Result<T>,
) -> Result<T, MapError> {
    let failed = |cause| MapError { file: "user namespace".to_owned(), cause };
    let caller = rustix::process::getpid();
    match clone3(&Request { flags, ..Request::default() }).map_err(failed)? {
        Side::Child => wait_for_the_end(caller),
        Side::Parent { pid, .. } => {
            let opened = write_mappings(pid, uids, gids).and_then(|()| open(pid).map_err(failed));
            // Our child, not yet waited for: the id is its own.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            opened
        }
    }
}

/// Sleeps until the caller kills this process, or is gone itself.
fn wait_for_the_end(caller: Pid) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The caller may have died before that took hold.
    while rustix::process::getppid() == Some(caller) {
        rustix::event::pause();
    }
    exit_now(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_with_mappings_is_made() {
        let map = [IdMapping { container_id: 0, host_id: 100_000, size: 10 }];
        let fd = user_namespace_with(&map, &map).unwrap();
        let link = rustix::fs::readlinkat(
            rustix::fs::CWD,
            format!("/proc/self/fd/{}", {
                use std::os::fd::AsRawFd;
                fd.as_raw_fd()
            }),
            Vec::new(),
        )
        .unwrap();
        assert!(link.to_str().unwrap().starts_with("user:["));
    }

    #[test]
    fn networks_belong_to_the_user_namespace() {
        use std::os::fd::AsFd;
        let map = [IdMapping { container_id: 0, host_id: 100_000, size: 10 }];
        let (user, network) = user_and_network_with(&map, &map).unwrap();
        let another = network_of(user.as_fd()).unwrap();
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_ne!(inode(&network), inode(&another));
        for network in [network, another] {
            // The settings of a network belong to the root of its owner.
            let settings = std::thread::spawn(move || {
                setns(network.as_fd(), Kind::Network.flag()).unwrap();
                std::fs::metadata("/proc/sys/net/ipv4/ip_forward").unwrap()
            });
            assert_eq!(std::os::unix::fs::MetadataExt::uid(&settings.join().unwrap()), 100_000);
        }
        assert!(network_of(std::fs::File::open("/proc/self/ns/user").unwrap().as_fd()).is_err());
    }

    #[test]
    fn ids_are_looked_up_from_outside() {
        let map = "         0     100000      10\n        20          7          1\n";
        assert_eq!([0, 9, 20].map(|id| mapped(map, id)), [Some(100_000), Some(100_009), Some(7)]);
        assert_eq!([10, 19, 21, u32::MAX].map(|id| mapped(map, id)), [None; 4]);
        assert_eq!(mapped("0 0 4294967295", 1000), Some(1000));
        assert_eq!(mapped("0 4294967290 10", 9), None);
        let (own, uid) = (rustix::process::getpid(), rustix::process::getuid().as_raw());
        assert_eq!(outer_id(own, IdKind::User, uid).unwrap(), Some(uid));
        assert!(outer_id(own, IdKind::Group, 0).is_ok());
    }

    #[test]
    fn overlapping_mappings_are_an_error() {
        let map = [
            IdMapping { container_id: 0, host_id: 100_000, size: 10 },
            IdMapping { container_id: 5, host_id: 200_000, size: 10 },
        ];
        assert!(user_namespace_with(&map, &map).is_err());
    }

    #[test]
    fn many_callers_at_once_all_get_theirs() {
        let map = [IdMapping { container_id: 0, host_id: 100_000, size: 10 }];
        let make = || (0..50).for_each(|_| drop(user_namespace_with(&map, &map).unwrap()));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(make))));
    }
}
