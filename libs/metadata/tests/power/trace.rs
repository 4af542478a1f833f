//! The system calls of a process, as strace(1) tells them with every string in hexadecimal.

use std::collections::HashMap;

/// One call that has returned.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<String>,
    pub returned: i64,
}

impl Call {
    /// An argument that is a number, in whatever base; `AT_FDCWD` and the like are none.
    pub fn number(&self, at: usize) -> Option<i64> {
        let text = self.arguments.get(at)?;
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// An argument that is a string of bytes.
    pub fn bytes(&self, at: usize) -> Vec<u8> {
        let text = self.arguments[at].trim_matches('"');
        assert!(!self.arguments[at].ends_with("..."), "strace cut a string short");
        text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    pub fn text(&self, at: usize) -> String {
        String::from_utf8(self.bytes(at)).unwrap()
    }

    pub fn has(&self, at: usize, word: &str) -> bool {
        self.arguments.get(at).is_some_and(|argument| argument.contains(word))
    }
}

/// Every call that succeeded, in the order of their returns.
pub fn parse(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begun.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => unfinished.remove(pid).unwrap_or_default() + end,
            None => rest.to_owned(),
        };
        calls.extend(call(&whole).filter(|call| call.returned >= 0));
    }
    calls
}

fn call(line: &str) -> Option<Call> {
    let (before, returned) = line.rsplit_once(" = ")?;
    let returned = returned.split_whitespace().next()?;
    let returned = match returned.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).unwrap_or(0),
        None => returned.parse().ok()?,
    };
    let (name, arguments) = before.trim_end().strip_suffix(')')?.split_once('(')?;
    let arguments = arguments.split(", ").map(str::to_owned).collect();
    Some(Call { name: name.to_owned(), arguments, returned })
}
