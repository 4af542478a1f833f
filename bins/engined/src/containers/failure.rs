//! What a runtime says when a container cannot start, as clients understand it.

use errdefs::{Error, Kind};

/// Docker's words around what the runtime said; the command line looks for its own in them.
pub fn runtime_failure(status: tonic::Status) -> Error {
    let cause = Error::from(status);
    let text = cause.to_string();
    let kind = match (exit_code(&text), cause.kind()) {
        (126 | 127, _) => Kind::InvalidArgument,
        (_, kind @ (Kind::Unavailable | Kind::InvalidArgument)) => kind,
        _ => Kind::Internal,
    };
    let hint = if text.to_lowercase().contains("not a directory") {
        ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
    } else {
        ""
    };
    Error::new(kind, format!("failed to create task for container: {text}{hint}"))
}

/// The exit code of a container that could not start, by the runtime's text, as Docker has it.
pub fn exit_code(text: &str) -> i64 {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
        "not a directory",
    ]) {
        127
    } else if has(&["permission denied", "is a directory"]) {
        126
    } else {
        128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_runtimes_text() {
        for (text, code) in [
            ("exec: \"foo\": executable file not found in $PATH: unknown", 127),
            ("exec /x: no such file or directory", 127),
            ("exec: \"/etc\": Permission denied", 126),
            ("exec: \"/\": is a directory", 126),
            ("out of memory", 128),
        ] {
            assert_eq!(exit_code(text), code, "{text}");
        }
    }

    #[test]
    fn a_missing_command_is_the_askers_fault() {
        let error =
            runtime_failure(tonic::Status::unknown("exec: \"foo\": executable file not found in $PATH"));
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.to_string().contains("executable file not found in $PATH"));
    }
}
