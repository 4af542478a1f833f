//! Lines of a `schemata` file: `L3:0=7f0;1=1f`.

use std::collections::BTreeMap;

/// Whether `text` can be one line of the file: a resource, a colon, and something after it.
pub fn is_line(text: &str) -> bool {
    let shape = text
        .split_once(':')
        .is_some_and(|(name, shares)| !name.trim().is_empty() && !shares.trim().is_empty());
    shape && !text.contains(['\n', '\0'])
}

/// One line: the resource's name and the share of each of its domains, by number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub name: &'a str,
    pub shares: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    /// Reads a line; none when it is no such line. Leading zeros of a share mean nothing.
    pub fn parse(text: &'a str) -> Option<Line<'a>> {
        let (name, list) = text.split_once(':')?;
        let shares = list.split(';').map(str::trim).filter(|one| !one.is_empty()).map(|one| {
            let (domain, share) = one.split_once('=')?;
            let share = share.trim();
            let plain = share.trim_start_matches('0');
            Some((domain.trim(), if plain.is_empty() && !share.is_empty() { "0" } else { plain }))
        });
        Some(Line { name: name.trim(), shares: shares.collect::<Option<_>>()? })
    }

    /// Whether every share here is the same in `other`, which may have more.
    fn is_within(&self, other: &Line<'_>) -> bool {
        let same = |(domain, share): (&&str, &&str)| {
            other.shares.get(domain).is_some_and(|found| found.eq_ignore_ascii_case(share))
        };
        self.name == other.name && self.shares.iter().all(same)
    }
}

/// Whether the file's text grants what `wanted` says.
pub(crate) fn grants(file: &str, wanted: &str) -> bool {
    let Some(wanted) = Line::parse(wanted) else { return false };
    file.lines().filter_map(Line::parse).any(|line| wanted.is_within(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "    L3:0=7ff;1=01f\n    MB:0=100;1=70\n";

    #[test]
    fn shares_are_compared_by_what_they_mean() {
        for same in ["L3:0=7ff;1=1f", "L3:1=1F", "L3:0=07ff", "MB:0=100", "MB: 1=70 ; 0=100"] {
            assert!(grants(FILE, same), "{same}");
        }
        for other in ["L3:0=7f", "L3:2=1", "L2:0=7ff", "MB:0=10", "", "L3", "L3:0"] {
            assert!(!grants(FILE, other), "{other}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        assert!(is_line("L3:0=f"));
        for wrong in ["", "L3", "L3:", ":0=f", "L3:0=f\nMB:0=10", "L3:0=f\0"] {
            assert!(!is_line(wrong), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(file in "\\PC{0,60}", wanted in "\\PC{0,40}") {
            let _ = grants(&file, &wanted);
        }

        #[test]
        fn what_is_written_is_granted(shares in prop::collection::btree_map(0_u8..9, 0_u32.., 1..5)) {
            let list: Vec<String> = shares.iter().map(|(domain, share)| format!("{domain}={share:x}")).collect();
            let line = format!("L3:{}", list.join(";"));
            prop_assert!(grants(&line, &line));
        }
    }
}
