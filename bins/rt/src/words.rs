//! Command lines as data: options before and after the arguments, in Go's and in GNU's manner.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    pub long: &'static str,
    pub short: Option<char>,
    /// The name of its value; none for a switch.
    pub value: Option<&'static str>,
    pub help: &'static str,
}

/// A switch.
pub const fn switch(long: &'static str, short: Option<char>, help: &'static str) -> Opt {
    Opt { long, short, value: None, help }
}

/// An option with a value.
pub const fn value(long: &'static str, short: Option<char>, name: &'static str, help: &'static str) -> Opt {
    Opt { long, short, value: Some(name), help }
}

/// What one command accepts.
#[derive(Debug, Clone, Copy)]
pub struct Grammar {
    pub name: &'static str,
    /// The arguments in words, such as `<container-id> [signal]`.
    pub arguments: &'static str,
    pub about: &'static str,
    pub least: usize,
    pub most: usize,
    pub options: &'static [&'static [Opt]],
    /// The first argument ends the options: what follows is somebody else's command line.
    pub ends_at_argument: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Words {
    options: Vec<(&'static str, String)>,
    pub arguments: Vec<String>,
}

impl Words {
    /// Whether a switch is on; the last one counts.
    pub fn has(&self, long: &str) -> bool {
        self.value(long) == Some(ON)
    }

    /// The last value of an option.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.all(long).last()
    }

    /// All values of an option in order.
    pub fn all<'a>(&'a self, long: &str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |option| option.0 == long).map(|option| option.1.as_str())
    }

    /// A value that is a number.
    pub fn number<T: std::str::FromStr>(&self, long: &str) -> Result<Option<T>, Failure> {
        self.value(long)
            .map(|text| {
                text.parse().map_err(|_| {
                    Failure::new(format!("invalid value {text:?} for flag -{long}: parse error"))
                })
            })
            .transpose()
    }
}

const HELP: Opt = switch("help", Some('h'), "show help");

impl Grammar {
    /// Reads a command's words and checks the number of arguments.
    pub fn read(&self, words: &[String]) -> Result<Words, Failure> {
        let found = self.split(words)?.0;
        if found.has("help") || (self.least..=self.most).contains(&found.arguments.len()) {
            return Ok(found);
        }
        let wanted = match (self.least, self.most) {
            (least, most) if least == most => format!("exactly {least}"),
            (least, usize::MAX) => format!("a minimum of {least}"),
            (least, _) if found.arguments.len() < least => format!("a minimum of {least}"),
            (_, most) => format!("a maximum of {most}"),
        };
        print!("Incorrect Usage.\n\n{}", self.help());
        Err(Failure::new(format!("{:?} requires {wanted} argument(s)", self.name)))
    }

    /// Reads options and arguments; with `ends_at_argument` also says where the arguments began.
    pub fn split(&self, words: &[String]) -> Result<(Words, usize), Failure> {
        let mut found = Words::default();
        let mut index = 0;
        while let Some(word) = words.get(index) {
            index += 1;
            if word == "--" {
                found.arguments.extend_from_slice(&words[index..]);
                return Ok((found, index));
            }
            let Some(body) = word.strip_prefix('-').filter(|body| !body.is_empty()) else {
                found.arguments.push(word.clone());
                if self.ends_at_argument {
                    found.arguments.extend_from_slice(&words[index..]);
                    return Ok((found, index - 1));
                }
                continue;
            };
            index = self.option(body, words, index, &mut found)?;
        }
        Ok((found, index))
    }

    fn option(
        &self,
        body: &str,
        words: &[String],
        mut index: usize,
        found: &mut Words,
    ) -> Result<usize, Failure> {
        let long = body.strip_prefix('-');
        let (name, attached) = match long.unwrap_or(body).split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long.unwrap_or(body), None),
        };
        let option = self.find(name).or_else(|| self.find(&name.to_ascii_lowercase()));
        if let Some(option) = option {
            let value = match (option.value, attached) {
                (Some(_), Some(value)) => value,
                (None, Some(value)) => truth(name, &value)?.to_owned(),
                (None, None) => ON.to_owned(),
                (Some(_), None) => {
                    let value = words
                        .get(index)
                        .cloned()
                        .ok_or_else(|| Failure::new(format!("flag needs an argument: -{name}")))?;
                    index += 1;
                    value
                }
            };
            found.options.push((option.long, value));
            return Ok(index);
        }
        if long.is_none() {
            return self.cluster(body, words, index, found);
        }
        Err(unknown(body))
    }

    /// Short switches in one word, the last of which may take the rest or the next word as value.
    fn cluster(
        &self,
        body: &str,
        words: &[String],
        index: usize,
        found: &mut Words,
    ) -> Result<usize, Failure> {
        for (at, letter) in body.char_indices() {
            let option = self.find(letter.encode_utf8(&mut [0; 4])).ok_or_else(|| unknown(body))?;
            if option.value.is_none() {
                found.options.push((option.long, ON.to_owned()));
                continue;
            }
            let rest = &body[at + letter.len_utf8()..];
            if rest.is_empty() {
                let value = words
                    .get(index)
                    .ok_or_else(|| Failure::new(format!("flag needs an argument: -{letter}")))?;
                found.options.push((option.long, value.clone()));
                return Ok(index + 1);
            }
            found.options.push((option.long, rest.to_owned()));
            return Ok(index);
        }
        Ok(index)
    }

    fn find(&self, name: &str) -> Option<&Opt> {
        let mut letters = name.chars();
        let letter = letters.next().filter(|_| letters.next().is_none());
        self.options
            .iter()
            .copied()
            .flatten()
            .chain([&HELP])
            .find(|option| option.long == name || (letter.is_some() && option.short == letter))
    }

    /// The help text.
    pub fn help(&self) -> String {
        let mut text = format!(
            "NAME:\n   {name} - {about}\n\nUSAGE:\n   {name} [options] {arguments}\n\nOPTIONS:\n",
            name = format!("{} {}", program(), self.name).trim_end(),
            about = self.about,
            arguments = self.arguments
        );
        for option in self.options.iter().copied().flatten().chain([&HELP]) {
            let mut left = format!("--{}", option.long);
            if let Some(short) = option.short {
                left.push_str(&format!(", -{short}"));
            }
            if let Some(value) = option.value {
                left.push_str(&format!(" {value}"));
            }
            text.push_str(&format!("   {left:<34} {}\n", option.help));
        }
        text
    }
}

/// What this program was called as.
fn program() -> String {
    let called = syscalls::entry::words().into_iter().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_name);
    name.map_or_else(|| "rt".into(), |name| name.to_string_lossy().into_owned())
}

/// The words of a switch that is on and of one that is off.
const ON: &str = "true";
const OFF: &str = "false";

/// Reads the value of a switch as Go does.
fn truth(name: &str, value: &str) -> Result<&'static str, Failure> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(ON),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(OFF),
        _ => Err(Failure::new(format!("invalid boolean value {value:?} for -{name}: parse error"))),
    }
}

fn unknown(name: &str) -> Failure {
    println!("Incorrect Usage: flag provided but not defined: -{}", name.trim_start_matches('-'));
    Failure::new(format!("flag provided but not defined: -{}", name.trim_start_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: Grammar = Grammar {
        name: "kill",
        arguments: "<container-id> [signal]",
        about: "",
        least: 1,
        most: 2,
        options: &[&[switch("all", Some('a'), ""), value("bundle", Some('b'), "DIR", "")]],
        ends_at_argument: false,
    };

    fn read(words: &[&str]) -> Result<Words, Failure> {
        GRAMMAR.read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_stand_before_and_after() {
        for words in [
            &["--all", "--bundle", "x", "id", "9"][..],
            &["id", "-a", "9", "--bundle=x"],
            &["id", "9", "-abx"],
            &["-bundle", "x", "id", "9", "-all"],
        ] {
            let found = read(words).unwrap();
            assert!(found.has("all"));
            assert_eq!(found.value("bundle"), Some("x"));
            assert_eq!(found.arguments, ["id", "9"]);
        }
    }

    #[test]
    fn switches_take_the_truths_of_go() {
        for (word, on) in
            [("--all", true), ("--all=1", true), ("-all=T", true), ("--all=0", false), ("-a=f", false)]
        {
            assert_eq!(read(&["id", word]).unwrap().has("all"), on, "{word}");
        }
        assert!(!read(&["-a", "id", "--all=FALSE"]).unwrap().has("all"));
        let wrong = read(&["id", "--all=maybe"]).unwrap_err().message;
        assert_eq!(wrong, "invalid boolean value \"maybe\" for -all: parse error");
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read(&["--nope", "id"]).unwrap_err().message.contains("nope"));
        assert_eq!(read(&[]).unwrap_err().message, "\"kill\" requires a minimum of 1 argument(s)");
        assert!(read(&["id", "-b"]).is_err());
    }

    #[test]
    fn a_foreign_command_line_is_left_alone() {
        let grammar = Grammar { ends_at_argument: true, most: usize::MAX, ..GRAMMAR };
        let words: Vec<String> = ["-a", "id", "ls", "-la"].iter().map(|w| (*w).to_owned()).collect();
        let found = grammar.read(&words).unwrap();
        assert_eq!(found.arguments, ["id", "ls", "-la"]);
    }
}
