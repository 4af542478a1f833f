//! The table: a line a row, with the ratio.

use crate::side::{Pair, Side};
use integration::Invocation;
use std::time::{Duration, Instant};

/// The table, printed as it grows.
pub struct Table {
    /// How often what is short is done.
    pub rounds: usize,
    words: Vec<String>,
    /// Whether the group itself is wanted, whatever its rows are called.
    whole: bool,
}

/// What a figure is of, and which is better.
#[derive(Clone, Copy)]
pub enum Unit {
    Millis,
    Kib,
    MibPerSecond,
}

impl Table {
    pub fn new(rounds: usize) -> Table {
        let words = std::env::var("ROWS").unwrap_or_default();
        let words = words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        println!("{:<50}{:>8}{:>12}{:>12}{:>8}", "median of turns", "", "wherry", "docker", "ratio");
        Table { rounds, words, whole: false }
    }

    /// Whether anything of a group is wanted.
    pub fn begin(&mut self, group: &str) -> bool {
        self.whole = if self.words.is_empty() { group != "thousand" } else { self.has(group) };
        self.whole || (!self.words.is_empty() && group != "thousand")
    }

    /// Whether a row is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.whole || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Prints a row.
    pub fn row(&self, name: &str, unit: Unit, ours: f64, theirs: f64) {
        let (text, ratio) = match unit {
            Unit::Millis => ("ms", theirs / ours),
            Unit::Kib => ("KiB", theirs / ours),
            Unit::MibPerSecond => ("MiB/s", ours / theirs),
        };
        let digits = if ours < 10.0 { 2 } else { 1 };
        println!("{name:<50}{text:>8}{ours:>12.digits$}{theirs:>12.digits$}{ratio:>8.1}");
    }

    /// A row of `rounds` turns of whatever takes time, ours and theirs by turns.
    pub fn turns(&self, name: &str, rounds: usize, pair: &Pair, mut turn: impl FnMut(&Side) -> Duration) {
        if self.wants(name) {
            let [ours, theirs] = medians(rounds, pair, &mut turn);
            self.row(name, Unit::Millis, millis(ours), millis(theirs));
        }
    }

    /// A row of client calls, one after another.
    pub fn calls(&self, name: &str, rounds: usize, pair: &Pair, calls: &[&[&str]]) {
        self.turns(name, rounds, pair, |side| calls.iter().map(|call| timed(side.call(call))).sum());
    }

    /// A row of `mib` moved in each turn.
    pub fn rate(
        &self,
        name: &str,
        rounds: usize,
        mib: usize,
        pair: &Pair,
        mut turn: impl FnMut(&Side) -> Duration,
    ) {
        if self.wants(name) {
            let [ours, theirs] = medians(rounds, pair, &mut turn).map(|took| mib as f64 / took.as_secs_f64());
            self.row(name, Unit::MibPerSecond, ours, theirs);
        }
    }
}

fn medians(rounds: usize, pair: &Pair, turn: &mut impl FnMut(&Side) -> Duration) -> [Duration; 2] {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(turn(&pair.ours));
        theirs.push(turn(&pair.theirs));
    }
    [middle(ours), middle(theirs)]
}

/// How long a program takes that has to succeed.
pub fn timed(invocation: Invocation) -> Duration {
    let started = Instant::now();
    let outcome = invocation.run().expect("the client runs");
    let took = started.elapsed();
    outcome.expect_code(0);
    took
}

/// How long `work` takes.
pub fn timing(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

pub fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How many MiB logs, images and streams are made of.
pub fn mib() -> usize {
    std::env::var("MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
}
