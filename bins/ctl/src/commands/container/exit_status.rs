//! Exit codes of `run` and `start` when the engine refuses to start.

use engine_client::Error;

/// 125: the engine failed.
pub const ENGINE_FAILED: u8 = 125;
const CANNOT_EXECUTE: u8 = 126;
/// 127: there is no such program.
pub const NOT_FOUND: u8 = 127;

/// 126 and 127 are known only by the text, which is the runtime's.
pub fn of_start_error(error: &Error) -> u8 {
    let text = error.to_string();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
    ]) {
        NOT_FOUND
    } else if has(&["permission denied", "is a directory"]) && matches!(error, Error::Daemon { .. }) {
        CANNOT_EXECUTE
    } else {
        ENGINE_FAILED
    }
}

/// A container's exit code as this process's.
pub fn of_code(code: i64) -> u8 {
    (code & 0xff) as u8
}
