//! The command line that daemons use: Go's flags, with one dash or two.

use errdefs::{Error, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `start`: leave a server behind and print its address.
    Start,
    /// `delete`: clean up after a server that is gone.
    Delete,
    /// No action: be the server.
    Serve,
    /// `-info`.
    Info,
    /// `-v`, `-version`.
    Version,
}

/// The flags of a shim (containerd's pkg/shim).
#[derive(Clone, Debug)]
pub struct Arguments {
    /// What to do.
    pub action: Action,
    /// `-namespace`: of the container.
    pub namespace: String,
    /// `-id`: of the task.
    pub id: String,
    /// `-address`: the daemon's gRPC socket.
    pub address: String,
    /// `-publish-binary`: what publishes events where no ttrpc socket is known.
    pub publish_binary: PathBuf,
    /// `-bundle`: where `delete` cleans up; else the working directory.
    pub bundle: Option<PathBuf>,
    /// `-socket`: listen here, instead of on descriptor 3.
    pub socket: Option<PathBuf>,
    /// `-debug`.
    pub debug: bool,
}

impl Arguments {
    /// Reads everything after the program's name.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
        let mut arguments = Arguments {
            action: Action::Serve,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            publish_binary: PathBuf::new(),
            bundle: None,
            socket: None,
            debug: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let word = text(word)?;
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                arguments.action = action(&word)?;
                // Go's flags end at the first word that is none.
                break;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            arguments.set(name, value, &mut words)?;
        }
        let wants_names = matches!(arguments.action, Action::Start | Action::Delete | Action::Serve);
        if wants_names && arguments.namespace.is_empty() {
            return Err(Error::unknown("shim namespace cannot be empty"));
        }
        Ok(arguments)
    }

    fn set(
        &mut self,
        name: &str,
        value: Option<String>,
        words: &mut impl Iterator<Item = OsString>,
    ) -> Result<()> {
        let is_on = || !matches!(value.as_deref(), Some("false" | "0" | "f" | "F" | "FALSE" | "False"));
        match name {
            "debug" => self.debug = is_on(),
            "v" | "version" if is_on() => self.action = Action::Version,
            "info" if is_on() => self.action = Action::Info,
            "v" | "version" | "info" => {}
            "namespace" | "id" | "address" | "publish-binary" | "bundle" | "socket" | "debug-socket" => {
                let value = match value {
                    Some(value) => value,
                    None => text(
                        words
                            .next()
                            .ok_or_else(|| Error::unknown(format!("flag needs an argument: -{name}")))?,
                    )?,
                };
                self.set_text(name, value);
            }
            _ => return Err(Error::unknown(format!("flag provided but not defined: -{name}"))),
        }
        Ok(())
    }

    fn set_text(&mut self, name: &str, value: String) {
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "publish-binary" => self.publish_binary = value.into(),
            "bundle" => {
                self.bundle = Some(value.into()).filter(|path: &PathBuf| !path.as_os_str().is_empty())
            }
            "socket" => {
                self.socket = Some(value.into()).filter(|path: &PathBuf| !path.as_os_str().is_empty())
            }
            // There is nothing to profile here: the socket stays unused, as without -debug.
            _ => {}
        }
    }
}

fn action(word: &str) -> Result<Action> {
    match word {
        "start" => Ok(Action::Start),
        "delete" => Ok(Action::Delete),
        other => Err(Error::unknown(format!("cannot do action {other:?}")).with_hint("Use start or delete.")),
    }
}

fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|word| Error::unknown(format!("cannot read argument {word:?}: no UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split(' ').filter(|w| !w.is_empty()).map(OsString::from))
    }

    #[test]
    fn a_daemons_command_lines_are_read() {
        let start =
            parse("-namespace moby -address /run/c.sock -publish-binary /usr/bin/c -id a -debug start")
                .unwrap();
        assert_eq!((start.action, start.namespace.as_str(), start.id.as_str()), (Action::Start, "moby", "a"));
        assert!(start.debug);
        let delete = parse("--namespace=n --id=a -bundle /b delete").unwrap();
        assert_eq!((delete.action, delete.bundle), (Action::Delete, Some(PathBuf::from("/b"))));
        assert_eq!(parse("-namespace n -id a").unwrap().action, Action::Serve);
        assert_eq!(parse("-info").unwrap().action, Action::Info);
        assert_eq!(parse("-v").unwrap().action, Action::Version);
    }

    #[test]
    fn wrong_ones_are_refused() {
        assert_eq!(parse("start").unwrap_err().to_string(), "shim namespace cannot be empty");
        assert!(parse("-namespace n -what start").unwrap_err().to_string().contains("-what"));
        assert!(parse("-namespace").is_err());
        assert!(parse("-namespace n dance").is_err());
    }
}
