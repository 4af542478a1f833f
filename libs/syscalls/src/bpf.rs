//! bpf(2), as far as device filters of cgroups need it.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One eBPF instruction, `struct bpf_insn` of linux/bpf.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    /// Destination register in the low half, source in the high half (little endian hosts).
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

/// BPF_F_ALLOW_MULTI: other programs may be attached beside this one.
pub const ALLOW_MULTI: u32 = 1 << 1;
/// BPF_F_REPLACE: the program takes the place of another one (Linux 5.6).
pub const REPLACE: u32 = 1 << 2;

const PROG_LOAD: c_int = 5;
const PROG_ATTACH: c_int = 8;
const PROG_DETACH: c_int = 9;
const PROG_GET_FD_BY_ID: c_int = 13;
const PROG_QUERY: c_int = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;

/// The head of `union bpf_attr` for BPF_PROG_LOAD; what follows is absent, which means zero.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

/// `union bpf_attr` for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// `union bpf_attr` for BPF_PROG_QUERY.
#[repr(C)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    _pad: u32,
}

/// Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE.
///
/// Errors: EPERM without CAP_BPF or CAP_SYS_ADMIN, EINVAL or EACCES from the verifier.
pub fn load_device_program(instructions: &[Instruction], license: &CStr) -> io::Result<OwnedFd> {
    let count = u32::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let mut attr = LoadAttr {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: count,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    // SAFETY: both pointers in `attr` outlive the call, with the count and the NUL that go with them.
    let fd = unsafe { bpf(PROG_LOAD, &mut attr) }?;
    // SAFETY: PROG_LOAD answers with a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a cgroup directory. `replace` names the program whose place it
/// takes and needs [`REPLACE`] in `flags`.
pub fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
    replace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: flags,
        replace_bpf_fd: replace.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    // SAFETY: `attr` holds descriptors only, no pointers.
    unsafe { bpf(PROG_ATTACH, &mut attr) }.map(drop)
}

/// Takes a device program off a cgroup directory.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    // SAFETY: `attr` holds descriptors only, no pointers.
    unsafe { bpf(PROG_DETACH, &mut attr) }.map(drop)
}

/// The ids of the device programs attached to a cgroup directory itself, in order.
///
/// Errors: ENOSPC with more than 64 programs (the kernel's own limit for one cgroup).
pub fn device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; 64];
    let mut attr = QueryAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        _pad: 0,
    };
    // SAFETY: `prog_ids` points at `prog_cnt` writable u32 that outlive the call.
    unsafe { bpf(PROG_QUERY, &mut attr) }?;
    Ok(ids[..(attr.prog_cnt as usize).min(ids.len())].to_vec())
}

/// A descriptor of a loaded program. Errors: ENOENT when it has gone meanwhile.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = [id, 0, 0];
    // SAFETY: the attribute holds numbers only, no pointers.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }?;
    // SAFETY: the call answers with a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// Every pointer inside `attr` must be valid for what `command` does with it.
unsafe fn bpf<T>(command: c_int, attr: &mut T) -> io::Result<RawFd> {
    loop {
        // SAFETY: `attr` is an exclusive, initialised value of the size given; the caller answers
        // for the pointers inside.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
        if result >= 0 {
            return Ok(result as RawFd);
        }
        let error = io::Error::last_os_error();
        // The verifier gives up with EAGAIN when a signal is pending.
        if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) {
            return Err(error);
        }
    }
}
