//! The log that callers read: lines as logrus writes them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;

use crate::clock;
use crate::failure::{Failure, Tried};
use crate::global::{Global, LogFormat};

/// Where lines go.
#[derive(Debug)]
enum Sink {
    Stderr,
    File(File),
    /// syslog and the journal, by the datagram socket both listen on.
    Syslog {
        socket: UnixDatagram,
        tag: String,
    },
}

/// The log of one invocation.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    format: LogFormat,
    level: Level,
}

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Debug,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
        }
    }
}

impl Log {
    /// Text on stderr.
    pub fn to_stderr() -> Log {
        Log { sink: Sink::Stderr, format: LogFormat::Text, level: Level::Warning }
    }

    /// Opens what `--log` names: a file (`file:` in front is allowed), `journald:TAG` or
    /// `syslog:TAG`.
    pub fn open(global: &Global) -> Result<Log, Failure> {
        let sink = match global.log.as_deref() {
            None | Some("" | "/dev/stderr") => Sink::Stderr,
            Some(target) => match target.split_once(':') {
                Some(("journald" | "syslog", tag)) => {
                    let socket = UnixDatagram::unbound().tried("cannot make a socket")?;
                    socket.connect("/dev/log").tried("cannot connect to /dev/log")?;
                    Sink::Syslog { socket, tag: tag.to_owned() }
                }
                Some(("file", path)) => Sink::File(append(path)?),
                _ => Sink::File(append(target)?),
            },
        };
        Ok(Log { sink, format: global.log_format, level: global.log_level })
    }

    /// Writes the failure; with a log elsewhere its text also goes to stderr, which conmon reads.
    pub fn failure(&self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        self.line(Level::Error, &failure.message);
        if !matches!(self.sink, Sink::Stderr) {
            eprintln!("{}", failure.message);
        }
    }

    pub fn warn(&self, message: &str) {
        self.line(Level::Warning, message);
    }

    pub fn debug(&self, message: &str) {
        self.line(Level::Debug, message);
    }

    /// A log that cannot be written cannot be complained about anywhere: errors are dropped.
    fn line(&self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let line = match self.format {
            LogFormat::Json => format!(
                "{{\"level\":\"{}\",\"msg\":{},\"time\":\"{}\"}}\n",
                level.word(),
                serde_json::Value::from(message),
                clock::seconds()
            ),
            LogFormat::Text => {
                format!("time=\"{}\" level={} msg={message:?}\n", clock::seconds(), level.word())
            }
        };
        let _ = match &self.sink {
            Sink::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Sink::File(file) => (&*file).write_all(line.as_bytes()),
            Sink::Syslog { socket, tag } => {
                const DAEMON: u8 = 3 << 3;
                let severity = match level {
                    Level::Error => 3,
                    Level::Warning => 4,
                    Level::Debug => 7,
                };
                socket.send(format!("<{}>{tag}: {message}", DAEMON | severity).as_bytes()).map(drop)
            }
        };
    }
}

fn append(path: &str) -> Result<File, Failure> {
    OpenOptions::new().append(true).create(true).open(path).tried(format!("open {path}"))
}
