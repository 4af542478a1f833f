//! Keeping containers from writing to the runtime's own file (CVE-2019-5736).
//!
//! A container can make the runtime execute itself (`#!/proc/self/exe`) or open its file through
//! `/proc/PID/exe`. So whatever brings a foreign program into play first runs from a private
//! read-only mount of that file: the name leads to the same pages, but not for writing. The running
//! process moves there; where the kernel does not let it, it starts anew from there. Where such a
//! mount cannot be made, it starts from a sealed copy in memory.
//!
//! The mount shares the file's pages. Against a kernel through which readers write to those
//! (CVE-2022-0847, mended in Linux 5.10.102, 5.15.25 and 5.16.11) it is as helpless as any file.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mount::Tree;
use rustix::fs::{self, CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use syscalls::mount_attr::Change;

const SELF: &str = "/proc/self/exe";
const READONLY: u64 = 1;
const NOSUID: u64 = 2;

/// The mount that this process moved to; see [`let_go`].
static MOUNT: Mutex<Option<Tree>> = Mutex::new(None);

/// Returns when this process runs from a file that cannot be written through, and restarts it
/// from such a file otherwise.
pub fn seal() -> io::Result<()> {
    let own = fs::openat(CWD, SELF, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fs::fstatfs(&own)?;
    let is_readonly = stat.f_flags as u64 & StatVfsMountFlags::RDONLY.bits() != 0;
    // Files in memory are a tmpfs's.
    if is_readonly || (stat.f_type == libc::TMPFS_MAGIC && is_sealed()) {
        return Ok(());
    }
    let restarted = match readonly_mount() {
        Ok(tree) if move_to(&tree).is_ok() => {
            *MOUNT.lock().unwrap_or_else(PoisonError::into_inner) = Some(tree);
            return Ok(());
        }
        Ok(tree) => restart(tree.as_fd()),
        Err(error) => Err(error),
    };
    match restarted.or_else(|_| restart_from_memory())? {}
}

/// Closes the descriptor of the mount, which nobody needs once this process runs from there.
///
/// Its last closing, in this process or in the one that it has cloned, waits for every processor:
/// for a moment when no other process waits for that one.
pub fn let_go() {
    drop(MOUNT.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// The descriptor that [`let_go`] closes.
pub fn descriptor() -> Option<RawFd> {
    MOUNT.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|tree| tree.as_fd().as_raw_fd())
}

fn readonly_mount() -> io::Result<Tree> {
    let into_io = |error: mount::Error| error.cause;
    let tree = Tree::copy(Path::new(SELF), false, true).map_err(into_io)?;
    tree.change(Change { set: READONLY | NOSUID, ..Change::default() }, false).map_err(into_io)?;
    Ok(tree)
}

fn move_to(tree: &Tree) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", tree.as_fd().as_raw_fd());
    let file = fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    syscalls::image::run_from(file.as_fd())
}

fn restart_from_memory() -> io::Result<Infallible> {
    let memory = fs::memfd_create("rt", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    io::copy(&mut File::open(SELF)?, &mut File::from(memory.try_clone()?))?;
    fs::fcntl_add_seals(&memory, seals())?;
    restart(memory.as_fd())
}

fn seals() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Whether this process runs from sealed memory.
fn is_sealed() -> bool {
    File::open(SELF)
        .and_then(|file| Ok(fs::fcntl_get_seals(file)?))
        .is_ok_and(|found| found.contains(seals()))
}

fn restart(file: std::os::fd::BorrowedFd<'_>) -> io::Result<Infallible> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
    let args = syscalls::entry::words()
        .into_iter()
        .map(|arg| text(arg.into_vec()))
        .collect::<io::Result<Vec<_>>>()?;
    let env = std::env::vars_os()
        .map(|(key, value)| {
            let mut entry = key.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            text(entry)
        })
        .collect::<io::Result<Vec<_>>>()?;
    syscalls::exec::exec_descriptor(file, &args, &env)
}
