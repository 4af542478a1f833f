//! Keeping containers from writing to the runtime's own file (CVE-2019-5736).
//!
//! A container can make the runtime execute itself (`#!/proc/self/exe`) or open its file through
//! `/proc/PID/exe`. So whatever brings a foreign program into play first starts anew from a
//! private read-only mount of that file: the name leads to the same pages, but not for writing.
//! Where such a mount cannot be made, a sealed copy in memory does.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use mount::Tree;
use rustix::fs::{self, CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use syscalls::mount_attr::Change;

const SELF: &str = "/proc/self/exe";
const READONLY: u64 = 1;
const NOSUID: u64 = 2;

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
    let error = match restart_from_mount() {
        Ok(never) => match never {},
        Err(_) => match restart_from_memory() {
            Ok(never) => match never {},
            Err(error) => error,
        },
    };
    Err(error)
}

fn restart_from_mount() -> io::Result<Infallible> {
    let into_io = |error: mount::Error| error.cause;
    let tree = Tree::copy(Path::new(SELF), false, true).map_err(into_io)?;
    tree.change(Change { set: READONLY | NOSUID, ..Change::default() }, false).map_err(into_io)?;
    restart(tree.as_fd())
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
    let args = std::env::args_os().map(|arg| text(arg.into_vec())).collect::<io::Result<Vec<_>>>()?;
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
