//! The command line: containerd's own flags and commands.

use crate::VERSION;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Serve.
    Serve,
    /// Print the default configuration.
    ConfigDefault,
    /// Print the configuration in effect.
    ConfigDump,
    /// Print the configuration file in the newest layout.
    ConfigMigrate,
    /// Print every object with what keeps it and what is wrong with it; `hash` reads every blob.
    Fsck { hash: bool },
    /// Print which hosts are asked for an image, in which order and why.
    Hosts { image: String },
    /// Publish the event on standard input, for shims that have no other way.
    Publish { topic: String, namespace: String },
    /// Print this text and end.
    Print(String),
}

/// The flags; each goes before the configuration file.
#[derive(Debug, Default, PartialEq)]
pub struct Flags {
    /// The configuration file, which must exist when named.
    pub config: Option<PathBuf>,
    /// The gRPC socket; the ttrpc one is beside it, with `.ttrpc`.
    pub address: Option<PathBuf>,
    /// Where persistent files are.
    pub root: Option<PathBuf>,
    /// Where files are that a reboot may lose.
    pub state: Option<PathBuf>,
    /// trace, debug, info, warn, error.
    pub log_level: Option<String>,
}

const USAGE: &str = "\
usage: supervisord [FLAGS] [COMMAND]

commands:
  (none)            serve
  config default    print the default configuration
  config dump       print the configuration in effect
  config migrate    print the configuration file in the newest layout
  fsck [--hash]     print every object, what keeps it and what is wrong with it, while no daemon runs; --hash reads
                    every blob
  hosts IMAGE       print the hosts that a pull or push of IMAGE asks, in their order, and why
  publish           publish the event on standard input (--topic TOPIC --namespace NAMESPACE)

flags:
  -c, --config FILE      configuration file (/etc/wherry/supervisord.toml if it exists)
  -a, --address SOCKET   socket of the gRPC services (/run/wherry/supervisord/supervisord.sock)
      --root DIR         persistent files (/var/lib/wherry/supervisord)
      --state DIR        files that a reboot may lose (/run/wherry/supervisord)
  -l, --log-level LEVEL  trace, debug, info, warn, error or fatal
  -h, --help
  -v, --version
";

/// Parses the words after the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<(Flags, Command), lexopt::Error> {
    use lexopt::Arg::{Long, Short, Value};
    use lexopt::ValueExt;
    let mut parser = lexopt::Parser::from_args(words);
    let mut flags = Flags::default();
    let mut positional = Vec::new();
    let (mut topic, mut namespace, mut hash) = (None, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("config") => flags.config = Some(parser.value()?.into()),
            Short('a') | Long("address") => flags.address = Some(parser.value()?.into()),
            Long("root") => flags.root = Some(parser.value()?.into()),
            Long("state") => flags.state = Some(parser.value()?.into()),
            Short('l') | Long("log-level") => flags.log_level = Some(parser.value()?.string()?),
            Long("topic") if positional == ["publish"] => topic = Some(parser.value()?.string()?),
            Long("namespace") if positional == ["publish"] => namespace = Some(parser.value()?.string()?),
            Long("hash") if positional == ["fsck"] => hash = true,
            Short('h') | Long("help") => return Ok((flags, Command::Print(USAGE.into()))),
            Short('v') | Long("version") => {
                return Ok((flags, Command::Print(format!("supervisord wherry v{VERSION}\n"))));
            }
            Value(word) => positional.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<&str> = positional.iter().map(String::as_str).collect();
    let command = match words[..] {
        [] => Command::Serve,
        ["config", "default"] => Command::ConfigDefault,
        ["config", "dump"] => Command::ConfigDump,
        ["config", "migrate"] => Command::ConfigMigrate,
        ["fsck"] => Command::Fsck { hash },
        ["hosts", image] => Command::Hosts { image: image.to_owned() },
        ["publish"] => {
            let missing = |flag: &str| lexopt::Error::from(format!("publish needs --{flag}"));
            let topic = topic.ok_or_else(|| missing("topic"))?;
            Command::Publish { topic, namespace: namespace.ok_or_else(|| missing("namespace"))? }
        }
        _ => return Err(format!("no such command: {}", words.join(" ")).into()),
    };
    Ok((flags, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Flags, Command), lexopt::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_and_commands() {
        let (flags, command) = parsed("--address /a -l debug --root=/r --state /s").unwrap();
        assert_eq!((flags.address, flags.root), (Some("/a".into()), Some("/r".into())));
        assert_eq!(command, Command::Serve);
        let (flags, command) = parsed("--address /a publish --topic /t --namespace n").unwrap();
        assert_eq!(flags.address, Some("/a".into()));
        assert_eq!(command, Command::Publish { topic: "/t".into(), namespace: "n".into() });
        assert_eq!(parsed("config dump").unwrap().1, Command::ConfigDump);
        assert_eq!(parsed("config migrate").unwrap().1, Command::ConfigMigrate);
        assert_eq!(parsed("fsck --hash").unwrap().1, Command::Fsck { hash: true });
        assert_eq!(parsed("hosts a/b").unwrap().1, Command::Hosts { image: "a/b".into() });
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for bad in [
            "--nonsense",
            "frobnicate",
            "config",
            "--hash",
            "hosts",
            "publish --topic /t",
            "--topic /t",
            "config default x",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
