//! What may stand where the cursor is: from the grammar alone, or a kind of name to ask for.

use crate::app::GLOBAL_FLAGS;
use crate::commands;
use crate::grammar::{self, Command, Flag, Matches, Resolved, resolve};
use crate::plugins;
use crate::session;

/// Do not add a blank.
const NO_SPACE: u8 = 2;
/// Do not offer files.
const NO_FILES: u8 = 4;

/// Candidates and what the shell shall do with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    found: Vec<(String, String)>,
    directive: u8,
}

/// A kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Container,
    Running,
    Stopped,
    Paused,
    /// `NAME:` and a path in it.
    ContainerPath,
    Image,
    Network,
    Volume,
    Context,
    Anything,
}

/// Where the cursor is.
#[derive(Debug, PartialEq)]
pub enum Place {
    Listed(Candidates),
    /// The engine is asked; `prefix` stands before each name (`--network=`).
    Asked {
        kind: Kind,
        prefix: String,
    },
}

impl Candidates {
    pub fn of(found: Vec<(String, String)>) -> Self {
        Self { found, directive: NO_FILES }
    }

    /// Nothing, or files.
    pub fn none(files: bool) -> Self {
        Self { found: Vec::new(), directive: if files { 0 } else { NO_FILES } }
    }

    fn words(words: &[&str]) -> Self {
        Self::of(words.iter().map(|word| ((*word).to_owned(), String::new())).collect())
    }

    pub fn prefix(&mut self, prefix: &str) {
        for (word, _) in &mut self.found {
            word.insert_str(0, prefix);
        }
    }

    pub fn followed_by(mut self, mark: &str) -> Self {
        self.found.iter_mut().for_each(|(word, _)| word.push_str(mark));
        // What is no container may be a file here.
        self.directive = NO_SPACE;
        self
    }

    /// Those that begin with what is typed, in the form that scripts read.
    pub fn shown(&self, current: &str, described: bool) -> String {
        let mut fitting: Vec<_> = self.found.iter().filter(|(word, _)| word.starts_with(current)).collect();
        fitting.sort();
        fitting.dedup();
        let line = |(word, about): &(String, String)| {
            if described && !about.is_empty() { format!("{word}\t{about}\n") } else { format!("{word}\n") }
        };
        let lines: String = fitting.into_iter().map(line).collect();
        format!("{lines}:{}\n", self.directive)
    }
}

impl Place {
    /// Finds the place after the words `before`, of which `globals` are the first.
    pub fn of(before: &[String], current: &str, globals: &Matches) -> Self {
        let given = before.len() - globals.args.len();
        let all: Vec<&'static Flag> = GLOBAL_FLAGS.iter().collect();
        if globals.args.is_empty() {
            return match open_flag(&all, before, current) {
                Some((flag, prefix)) => value_of(flag, prefix),
                None if current.starts_with('-') => Self::Listed(flags(&all)),
                None => Self::Listed(first_words(globals)),
            };
        }
        match resolve(commands::ALL, commands::GROUPS, &globals.args) {
            Resolved::Group(group, None) => Self::Listed(verbs(group.name)),
            Resolved::Command(command, depth) => of_command(command, &before[given + depth..], current),
            _ => Self::Listed(Candidates::none(false)),
        }
    }
}

fn first_words(globals: &Matches) -> Candidates {
    let top =
        commands::ALL.iter().flat_map(|command| command.paths.iter().map(|path| (*path, command.about)));
    let mut found: Vec<(String, String)> = top
        .filter(|(path, _)| !path.contains(' '))
        .map(|(path, about)| (path.to_owned(), about.to_owned()))
        .collect();
    found.extend(commands::GROUPS.iter().map(|group| (group.name.to_owned(), group.about.to_owned())));
    found.extend(
        plugins::all(&session::config_of(globals))
            .into_iter()
            .map(|plugin| (plugin.name, "Plugin".to_owned())),
    );
    Candidates::of(found)
}

fn verbs(group: &str) -> Candidates {
    let all =
        commands::ALL.iter().flat_map(|command| command.paths.iter().map(|path| (*path, command.about)));
    let verb = |(path, about): (&str, &str)| {
        Some((path.strip_prefix(group)?.strip_prefix(' ')?.to_owned(), about.to_owned()))
    };
    Candidates::of(all.filter_map(verb).collect())
}

fn flags(all: &[&'static Flag]) -> Candidates {
    let shown =
        all.iter().filter(|flag| !flag.hidden).map(|flag| (format!("--{}", flag.name), flag.help.to_owned()));
    Candidates::of(shown.chain([("--help".to_owned(), "Show help".to_owned())]).collect())
}

/// The flag whose value is being typed, and what stands before the value in the same word.
fn open_flag(all: &[&'static Flag], before: &[String], current: &str) -> Option<(&'static Flag, String)> {
    let long =
        |name: &str| all.iter().find(|flag| flag.name == name && flag.kind != grammar::Kind::Bool).copied();
    if let Some((name, _)) = current.strip_prefix("--").and_then(|text| text.split_once('=')) {
        return Some((long(name)?, format!("--{name}=")));
    }
    let last = before.last()?;
    if let Some(name) = last.strip_prefix("--") {
        return Some((long(name).filter(|_| !name.contains('='))?, String::new()));
    }
    let short = last.strip_prefix('-')?.chars().last()?;
    let flag = all.iter().find(|flag| flag.short == Some(short) && flag.kind != grammar::Kind::Bool)?;
    Some((flag, String::new()))
}

/// What a flag may be set to.
fn value_of(flag: &Flag, prefix: String) -> Place {
    let asked = |kind: Kind, prefix: String| Place::Asked { kind, prefix };
    let words = match flag.name {
        "network" | "net" => return asked(Kind::Network, prefix),
        "volumes-from" | "link" => return asked(Kind::Container, prefix),
        "context" | "from" => return asked(Kind::Context, prefix),
        "volume" | "mount" | "env-file" | "label-file" | "cidfile" | "output" | "input" | "config"
        | "device" | "tlscacert" | "tlscert" | "tlskey" | "checkpoint-dir" => {
            return Place::Listed(Candidates::none(true));
        }
        "pull" => Candidates::words(&["always", "missing", "never"]),
        "restart" => Candidates::words(&["no", "always", "on-failure", "unless-stopped"]),
        "log-driver" => {
            Candidates::words(&["json-file", "local", "none", "syslog", "journald", "gelf", "fluentd"])
        }
        "log-level" => Candidates::words(&["debug", "info", "warn", "error", "fatal"]),
        "type" => Candidates::words(&["container", "image", "network", "volume"]),
        "format" => Candidates::words(&["json", "table"]),
        "platform" => Candidates::words(&[
            "linux/amd64",
            "linux/arm64",
            "linux/arm/v7",
            "linux/386",
            "linux/riscv64",
            "linux/s390x",
            "linux/ppc64le",
        ]),
        "pid" | "uts" | "userns" => Candidates::words(&["host"]),
        "cgroupns" => Candidates::words(&["host", "private"]),
        "ipc" => Candidates::words(&["host", "none", "private", "shareable"]),
        "attach" => Candidates::words(&["stdin", "stdout", "stderr"]),
        "signal" | "stop-signal" => {
            Candidates::words(&["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"])
        }
        "driver" => Candidates::words(&["bridge", "host", "local", "macvlan", "none"]),
        "env" => Candidates::of(std::env::vars().map(|(name, _)| (name, String::new())).collect()),
        "filter" => Candidates {
            directive: NO_FILES | NO_SPACE,
            ..Candidates::words(&["label=", "name=", "id=", "status=", "driver=", "dangling=true", "until="])
        },
        _ => Candidates::none(false),
    };
    let mut words = words;
    words.prefix(&prefix);
    Place::Listed(words)
}

fn of_command(command: &'static Command, before: &[String], current: &str) -> Place {
    let all: Vec<&'static Flag> = command.flags().collect();
    if let Some((flag, prefix)) = open_flag(&all, before, current) {
        return value_of(flag, prefix);
    }
    let given = grammar::parse(&all, command.stops_at_positional, before).unwrap_or_default().args;
    let are_flags_over = command.stops_at_positional && !given.is_empty();
    if current.starts_with('-') && !are_flags_over {
        return Place::Listed(flags(&all));
    }
    positional(command, given.len())
}

/// By the usage line: its words in order, the last one for all that follow.
fn positional(command: &Command, index: usize) -> Place {
    let words: Vec<&str> = command.usage.split_whitespace().collect();
    let word =
        words.get(index).or(words.last().filter(|word| word.ends_with("...]"))).copied().unwrap_or_default();
    let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
    let verb = command.paths[0].rsplit(' ').next().unwrap_or_default();
    let kind = match word {
        _ if verb == "cp" && index < 2 => Kind::ContainerPath,
        _ if command.paths[0] == "completion" => {
            return Place::Listed(Candidates::words(&["bash", "zsh", "fish"]));
        }
        word if word.starts_with("CONTAINER") => match verb {
            "attach" | "exec" | "kill" | "stop" | "pause" | "top" | "port" | "stats" => Kind::Running,
            "start" => Kind::Stopped,
            "unpause" => Kind::Paused,
            _ => Kind::Container,
        },
        "NAME|ID" => Kind::Anything,
        word if ["IMAGE", "SOURCE_IMAGE", "TARGET_IMAGE", "NAME", "REPOSITORY"]
            .iter()
            .any(|name| word.starts_with(name)) =>
        {
            Kind::Image
        }
        word if word.starts_with("NETWORK") => Kind::Network,
        word if word.starts_with("VOLUME") => Kind::Volume,
        word if word.starts_with("CONTEXT") => Kind::Context,
        "COMMAND" | "ARG" | "FILE" | "file|URL" | "PATH" => return Place::Listed(Candidates::none(true)),
        _ => return Place::Listed(Candidates::none(false)),
    };
    Place::Asked { kind, prefix: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Place {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap();
        let globals: Vec<&'static Flag> = GLOBAL_FLAGS.iter().collect();
        let parsed = grammar::parse(&globals, true, &words).unwrap_or_default();
        Place::of(&words, &current, &parsed)
    }

    fn listed(line: &str) -> String {
        let current = line.rsplit(' ').next().unwrap();
        match at(line) {
            Place::Listed(candidates) => candidates.shown(current, false),
            place => panic!("{place:?}"),
        }
    }

    #[test]
    fn the_grammar_answers() {
        assert_eq!(listed("ima"), "image\nimages\n:4\n");
        assert_eq!(listed("-H unix:///x rmi --no"), "--no-prune\n:4\n");
        assert_eq!(listed("volume ru"), ":4\n");
        assert_eq!(listed("network cr"), "create\n:4\n");
        assert_eq!(listed("run --pull "), "always\nmissing\nnever\n:4\n");
        assert_eq!(listed("run --pull=n"), "--pull=never\n:4\n");
        assert_eq!(listed("run -v "), ":0\n");
        assert_eq!(listed("run busybox -"), ":0\n");
        assert!(listed("--t").contains("--tlsverify\n"));
    }

    #[test]
    fn names_are_asked_for_by_kind() {
        for (line, kind, prefix) in [
            ("stop ", Kind::Running, ""),
            ("start x ", Kind::Stopped, ""),
            ("unpause ", Kind::Paused, ""),
            ("rm -f ", Kind::Container, ""),
            ("run ", Kind::Image, ""),
            ("run --network ", Kind::Network, ""),
            ("run --network=", Kind::Network, "--network="),
            ("run -it --volumes-from ", Kind::Container, ""),
            ("network connect ", Kind::Network, ""),
            ("network connect net ", Kind::Container, ""),
            ("inspect x ", Kind::Anything, ""),
            ("volume rm ", Kind::Volume, ""),
            ("-c ", Kind::Context, ""),
            ("cp ", Kind::ContainerPath, ""),
        ] {
            assert_eq!(at(line), Place::Asked { kind, prefix: prefix.to_owned() }, "{line}");
        }
    }
}
