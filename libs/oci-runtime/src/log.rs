//! The runtime's log: JSON lines with level and msg.

use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// No more of a log than this is read, from its end.
const READ_BYTES: u64 = 1 << 20;

/// Where a log ended before a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark(u64);

impl LogMark {
    /// The present end of the log; 0 if there is none.
    pub(crate) fn of(path: &Path) -> LogMark {
        LogMark(std::fs::metadata(path).map_or(0, |stat| stat.len()))
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
}

/// The message of the last line of level error after the mark.
pub(crate) fn last_error(path: &Path, since: LogMark) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(since.0.max(length.saturating_sub(READ_BYTES)).min(length)))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes)?;
    Ok(last_error_in(&bytes))
}

fn last_error_in(bytes: &[u8]) -> Option<String> {
    bytes.split(|b| *b == b'\n').rev().find_map(|line| {
        let line: Line = serde_json::from_slice(line).ok()?;
        matches!(line.level.as_str(), "error" | "fatal").then(|| line.msg.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_error_since_the_mark_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        assert_eq!(last_error(&path, LogMark::of(&path)).unwrap(), None);
        let old = "{\"level\":\"error\",\"msg\":\"old\",\"time\":\"t\"}\n";
        std::fs::write(&path, old).unwrap();
        let mark = LogMark::of(&path);
        assert_eq!(last_error(&path, mark).unwrap(), None);
        let new = "{\"level\":\"warning\",\"msg\":\"w\"}\n{\"msg\":\"first\",\"level\":\"error\"}\n\
                   {\"level\":\"error\",\"msg\":\"exec: \\\"x\\\": not found\\n\"}\n{\"level\":\"debug\",\"msg\":\"d\"}\ntorn {";
        std::fs::write(&path, format!("{old}{new}")).unwrap();
        assert_eq!(last_error(&path, mark).unwrap().as_deref(), Some("exec: \"x\": not found"));
        assert_eq!(last_error(&path, LogMark::default()).unwrap().as_deref(), Some("exec: \"x\": not found"));
    }

    proptest! {
        #[test]
        fn any_log_is_survived(bytes: Vec<u8>) {
            let _ = last_error_in(&bytes);
        }
    }
}
