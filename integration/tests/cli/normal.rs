//! What two runs may differ in is made the same: IDs, times, sizes of columns, the name of the program.

use std::sync::LazyLock;

use integration::Outcome;
use regex_lite::Regex;
use serde_json::Value;

/// Patterns and what stands for them, in this order.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\bctl\b", "docker"),
        (r"\b[0-9a-f]{64}\b", "<ID>"),
        (r"\b[0-9a-f]{12}\b", "<id>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:?\d\d| UTC|Z)*", "<time>"),
        (r"(Less than a second|About an? \w+|\d+ \w+) ago", "<age>"),
        (r"Up (Less than a second|About an? \w+|\d+ \w+)", "Up <age>"),
        // The stock client's own slips: a doubled letter, a type's name, options that its usage forgets.
        (r"SRun '", "Run '"),
        (r"(can't evaluate field \w+) in type .*", "$1"),
        (r"\[OPTIONS\] (NETWORK|CONTEXT) \[", "$1 ["),
        (r" +", " "),
    ]
    .map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name))
    .into()
});

/// An outcome that can be compared.
#[derive(Debug, PartialEq)]
pub struct Normal {
    code: i32,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Normal {
    /// What only one of the two has, `-` before what is this one's.
    pub fn difference(&self, other: &Normal) -> String {
        let mut told = String::new();
        if self.code != other.code {
            told.push_str(&format!("- code {}\n+ code {}\n", self.code, other.code));
        }
        for (mine, theirs) in [(&self.stdout, &other.stdout), (&self.stderr, &other.stderr)] {
            let only = |mark: char, from: &[String], of: &[String]| -> String {
                from.iter().filter(|line| !of.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
            };
            told.push_str(&only('-', mine, theirs));
            told.push_str(&only('+', theirs, mine));
        }
        told
    }
}

/// The outcome of a client whose own word is `tag`.
pub fn normal(outcome: &Outcome, tag: &str) -> Normal {
    let text = |text: &str| {
        PATTERNS.iter().fold(text.replace(tag, "<own>"), |text, (pattern, name)| {
            pattern.replace_all(&text, *name).into_owned()
        })
    };
    let mut stdout: Vec<String> = text(&outcome.stdout).lines().map(without_nulls).collect();
    // What is as old, as large, and as good a match has no order.
    stdout.sort();
    let said = text(&outcome.stderr);
    // Hints are ours; that a status was one is the stock client's to repeat.
    let stderr = said.lines().filter(|line| !line.starts_with("hint: ") && *line != "exit status 1");
    Normal { code: outcome.code, stdout, stderr: stderr.map(str::to_owned).collect() }
}

/// A line of JSON in one order, without what is null.
fn without_nulls(line: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|_, value| !value.is_null());
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    if !line.starts_with(['{', '[']) {
        return line.to_owned();
    }
    match serde_json::from_str::<Value>(line) {
        Ok(mut value) => {
            strip(&mut value);
            value.to_string()
        }
        Err(_) => line.to_owned(),
    }
}
