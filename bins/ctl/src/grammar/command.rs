//! Commands as data.

use std::future::Future;
use std::pin::Pin;

use crate::grammar::{Exit, Failure, Flag, Matches};
use crate::session::Session;

/// What a command does.
pub type RunFuture<'a> = Pin<Box<dyn Future<Output = Result<Exit, Failure>> + 'a>>;
pub type Run = for<'a> fn(&'a Session, &'a Matches) -> RunFuture<'a>;

/// How many positional arguments a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Between(usize, usize),
}

/// One verb.
pub struct Command {
    /// Every path that reaches it, the one help prefers first: `["container run", "run"]`.
    pub paths: &'static [&'static str],
    /// What follows the path in a usage line.
    pub usage: &'static str,
    /// One line, no full stop.
    pub about: &'static str,
    pub flags: &'static [&'static [Flag]],
    pub arity: Arity,
    /// Flags end at the first positional argument (`run IMAGE -x`: `-x` is the container's).
    pub stops_at_positional: bool,
    pub run: Run,
}

/// A word that only leads to verbs: `container`.
pub struct Group {
    pub name: &'static str,
    pub about: &'static str,
}

impl Arity {
    /// What is wrong with `count` arguments, in Docker's words.
    pub fn complaint(self, count: usize) -> Option<String> {
        let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
        match self {
            Self::None if count > 0 => Some("accepts no arguments".to_owned()),
            Self::Exactly(n) if count != n => Some(format!("requires {n} {}", plural(n))),
            Self::AtLeast(n) if count < n => Some(format!("requires at least {n} {}", plural(n))),
            Self::AtMost(n) if count > n => Some(format!("requires at most {n} {}", plural(n))),
            Self::Between(low, high) if count < low || count > high => {
                Some(format!("requires at least {low} and at most {high} {}", plural(high)))
            }
            _ => None,
        }
    }
}

impl Command {
    /// Whether it makes no sense without an engine to speak to.
    pub fn needs_engine(&self) -> bool {
        !self.paths[0].starts_with("context ")
    }

    /// All its flags.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().flat_map(|table| table.iter())
    }
}
