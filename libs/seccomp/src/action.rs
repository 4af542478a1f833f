//! Actions: the specification's words and the kernel's return values (seccomp(2), linux/seccomp.h).

use crate::error::{Error, Result};

/// EPERM, what an action that needs an errno gets without one.
const EPERM: u32 = 1;
/// The largest errno that the kernel returns; it clips larger ones.
const MAX_ERRNO: u32 = 4095;

/// SECCOMP_RET_KILL_THREAD, also the fate of calls from an architecture that is not in the filter.
pub(crate) const KILL_THREAD: u32 = 0;
pub(crate) const ALLOW: u32 = 0x7fff_0000;
pub(crate) const NOTIFY: u32 = 0x7fc0_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const TRAP: u32 = 0x0003_0000;
pub(crate) const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
/// ERRNO with ENOSYS.
pub(crate) const NO_SUCH_CALL: u32 = ERRNO | 38;

/// Every action word that [`parse`] takes, sorted.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// The kernel's return value for an action word and its errno or trace data.
pub(crate) fn parse(word: &str, errno: Option<u32>) -> Result<u32> {
    let data = errno.unwrap_or(EPERM);
    Ok(match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_ERRNO" if data > MAX_ERRNO => return Err(too_large(data)),
        "SCMP_ACT_ERRNO" => ERRNO | data,
        "SCMP_ACT_TRACE" if data > 0xffff => return Err(too_large(data)),
        "SCMP_ACT_TRACE" => TRACE | data,
        "SCMP_ACT_LOG" => LOG,
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_NOTIFY" => NOTIFY,
        _ => return Err(Error::Unknown { what: "action", word: word.to_owned() }),
    })
}

fn too_large(data: u32) -> Error {
    Error::Unknown { what: "errnoRet", word: data.to_string() }
}

/// True when a call let through by default meets something that knows new calls: the kernel
/// itself, or a tracer. Then calls newer than the profile need no ENOSYS.
pub(crate) fn lets_through(action: u32) -> bool {
    matches!(action & 0xffff_0000, ALLOW | LOG | TRACE)
}
