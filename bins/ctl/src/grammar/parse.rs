//! Words to flags and positional arguments: long and short flags, clusters, `--x=y`, `--`.

use std::collections::BTreeMap;

use crate::grammar::{Flag, Kind};
use crate::options::{duration, size};

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    values: BTreeMap<&'static str, Vec<String>>,
    pub args: Vec<String>,
    /// Asked for `--help` (or `-h` where that is no flag).
    pub help: bool,
    /// The path as typed: `run` or `container run`.
    pub path: String,
}

/// A flag that is none, or whose value is none; the texts are pflag's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(pub String);

impl Matches {
    /// The flag was given.
    pub fn changed(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(|values| values.last()).is_some_and(|value| is_true(value))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    /// The text, or empty.
    pub fn text_or_empty(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// The text as a value of one's own.
    pub fn string(&self, name: &str) -> String {
        self.text_or_empty(name).to_owned()
    }

    pub fn list(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// An integer flag's value; it was checked when parsed.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// A size flag's value in bytes.
    pub fn bytes(&self, name: &str) -> Option<i64> {
        size::parse_bytes(self.text(name)?).ok()
    }

    /// A duration flag's value in nanoseconds.
    pub fn nanos(&self, name: &str) -> Option<i64> {
        duration::parse(self.text(name)?).ok()
    }

    /// `--platform`, else `DOCKER_DEFAULT_PLATFORM`; empty for none.
    pub fn platform(&self) -> String {
        let given = self.text("platform").map(str::to_owned);
        given.or_else(|| std::env::var("DOCKER_DEFAULT_PLATFORM").ok()).unwrap_or_default()
    }

    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map(String::as_str).unwrap_or_default()
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// Parses the words after a command's path.
///
/// # Errors
/// An unknown flag, a missing or a wrong value.
pub fn parse(
    flags: &[&'static Flag],
    stops_at_positional: bool,
    words: &[String],
) -> Result<Matches, ParseError> {
    let mut parser = Parser { flags, matches: Matches::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parser.matches.args.extend(words.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            parser.long(long, &mut words)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parser.cluster(&word[1..], &mut words)?;
        } else {
            parser.matches.args.push(word.clone());
            if stops_at_positional {
                parser.matches.args.extend(words.cloned());
                break;
            }
        }
        if parser.matches.help {
            break;
        }
    }
    Ok(parser.matches)
}

struct Parser<'a> {
    flags: &'a [&'static Flag],
    matches: Matches,
}

impl Parser<'_> {
    fn long<'w>(
        &mut self,
        text: &str,
        words: &mut impl Iterator<Item = &'w String>,
    ) -> Result<(), ParseError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(ParseError(format!("bad flag syntax: --{text}")));
        }
        let Some(flag) = self.flags.iter().find(|flag| flag.name == name) else {
            if name == "help" {
                self.matches.help = value.as_deref().is_none_or(is_true);
                return Ok(());
            }
            return Err(ParseError(format!("unknown flag: --{name}")));
        };
        let value = match value {
            Some(value) => value,
            None if flag.kind == Kind::Bool => "true".to_owned(),
            None => words
                .next()
                .cloned()
                .ok_or_else(|| ParseError(format!("flag needs an argument: --{name}")))?,
        };
        self.set(flag, value)
    }

    /// `-it`, `-p80:80`, `-e=x`.
    fn cluster<'w>(
        &mut self,
        text: &str,
        words: &mut impl Iterator<Item = &'w String>,
    ) -> Result<(), ParseError> {
        let mut rest = text;
        while let Some(short) = rest.chars().next() {
            rest = &rest[short.len_utf8()..];
            let Some(flag) = self.flags.iter().find(|flag| flag.short == Some(short)) else {
                if short == 'h' {
                    self.matches.help = true;
                    return Ok(());
                }
                return Err(ParseError(format!("unknown shorthand flag: '{short}' in -{text}")));
            };
            if let Some(value) = rest.strip_prefix('=') {
                return self.set(flag, value.to_owned());
            }
            if flag.kind == Kind::Bool {
                self.set(flag, "true".to_owned())?;
                continue;
            }
            let value = if rest.is_empty() {
                let missing = || ParseError(format!("flag needs an argument: '{short}' in -{text}"));
                words.next().cloned().ok_or_else(missing)?
            } else {
                rest.to_owned()
            };
            return self.set(flag, value);
        }
        Ok(())
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), ParseError> {
        let checked = flag.check.and_then(|check| check(&value).err());
        if let Some(reason) = complaint(flag.kind, &value).or(checked) {
            return Err(ParseError(format!(
                "invalid argument {value:?} for \"{}\" flag: {reason}",
                flag.shown()
            )));
        }
        let values = self.matches.values.entry(flag.name).or_default();
        match flag.kind {
            Kind::List => values.push(value),
            Kind::Strings => values.extend(value.split(',').map(str::to_owned)),
            _ => *values = vec![value],
        }
        Ok(())
    }
}

/// What is wrong with a value of this kind.
fn complaint(kind: Kind, value: &str) -> Option<String> {
    let syntax = |function: &str| {
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let signed = function != "ParseUint" || digits == value;
        let reason = if is_number && signed { "value out of range" } else { "invalid syntax" };
        format!("strconv.{function}: parsing {value:?}: {reason}")
    };
    match kind {
        Kind::Bool if !is_true(value) && !is_false(value) => Some(syntax("ParseBool")),
        Kind::Int if value.parse::<i64>().is_err() => Some(syntax("ParseInt")),
        Kind::Uint if value.parse::<u64>().is_err() => Some(syntax("ParseUint")),
        Kind::Cpus => size::parse_cpus(value).err(),
        Kind::Bytes if value == "-1" => Some("invalid size: '-1'".to_owned()),
        Kind::Bytes | Kind::BytesOrNone => size::parse_bytes(value).err(),
        Kind::Duration => duration::parse(value).err(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::bool("interactive", "").short('i'),
        Flag::bool("tty", "").short('t'),
        Flag::list("env", "").short('e'),
        Flag::text("name", ""),
        Flag::int("last", "").short('n'),
        Flag::list("filter", ""),
        Flag::bytes("memory", "").short('m'),
    ];

    fn run(line: &str, stops: bool) -> Result<Matches, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&FLAGS.iter().collect::<Vec<_>>(), stops, &words).map_err(|error| error.0)
    }

    #[test]
    fn clusters_values_and_the_first_positional() {
        let got = run("-it -e A=1 -eB=2 -e=C --name=x image -z --name y", true).unwrap();
        assert!(got.flag("interactive") && got.flag("tty"));
        assert_eq!(got.list("env"), ["A=1", "B=2", "C"]);
        assert_eq!(got.text("name"), Some("x"));
        assert_eq!(got.args, ["image", "-z", "--name", "y"]);
        let got = run("a --tty=false -n5 b --filter x --filter y -- -z", false).unwrap();
        assert!(!got.flag("tty") && got.changed("tty"));
        assert_eq!((got.int("last"), got.list("filter").len()), (Some(5), 2));
        assert_eq!(got.args, ["a", "b", "-z"]);
        assert_eq!(run("-", false).unwrap().args, ["-"]);
        assert!(run("-h", false).unwrap().help);
    }

    #[test]
    fn errors_are_pflags() {
        for (line, error) in [
            ("--bogus", "unknown flag: --bogus"),
            ("-iZ", "unknown shorthand flag: 'Z' in -iZ"),
            ("--name", "flag needs an argument: --name"),
            ("-ie", "flag needs an argument: 'e' in -ie"),
            (
                "--tty=maybe",
                "invalid argument \"maybe\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                "-n 99999999999999999999",
                "invalid argument \"99999999999999999999\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
            ),
            (
                "-n x",
                "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            ("-m abc", "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
        ] {
            assert_eq!(run(line, false).unwrap_err(), error);
        }
    }
}
