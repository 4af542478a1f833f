//! From the words after the global flags to a command.

use crate::grammar::{Command, Group};

/// Where the words lead.
pub enum Resolved {
    /// A command, and how many words its path has.
    Command(&'static Command, usize),
    /// A group without a verb, or with one that is none.
    Group(&'static Group, Option<String>),
    Unknown(String),
    /// No words.
    Root,
}

/// Finds the command that `words` begin with.
pub fn resolve(commands: &[&'static Command], groups: &'static [Group], words: &[String]) -> Resolved {
    let Some(first) = words.first() else { return Resolved::Root };
    let find = |path: &str| commands.iter().find(|command| command.paths.contains(&path)).copied();
    if let Some(group) = groups.iter().find(|group| group.name == *first) {
        let verb = words.get(1).filter(|word| !word.starts_with('-'));
        return match verb.and_then(|verb| find(&format!("{first} {verb}"))) {
            Some(command) => Resolved::Command(command, 2),
            None => Resolved::Group(group, verb.cloned()),
        };
    }
    match find(first) {
        Some(command) => Resolved::Command(command, 1),
        None => Resolved::Unknown(first.clone()),
    }
}

/// The known word nearest to `word`, if it is near.
pub fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if word.len() <= 5 { 1 } else { 2 };
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; two swapped letters are one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_word() {
        let known = ["run", "ps", "images", "inspect"];
        assert_eq!(closest("rnu", known.into_iter()), Some("run"));
        assert_eq!(closest("imags", known.into_iter()), Some("images"));
        assert_eq!(closest("frobnicate", known.into_iter()), None);
    }
}
