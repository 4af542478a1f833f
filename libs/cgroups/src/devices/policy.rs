//! A list of device rules reduced to what the kernel can hold: a default and exceptions from it.

use std::collections::BTreeMap;
use std::fmt;

use runtime_spec::DeviceRule;

use crate::error::{Error, Result};

/// What a device node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Block,
    Char,
}

/// A set of devices; `None` stands for all numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Devices {
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
}

/// Bits of what may be done: BPF_DEVCG_ACC_* of linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access(pub u8);

impl Access {
    pub(crate) const MKNOD: u8 = 1;
    pub(crate) const READ: u8 = 2;
    pub(crate) const WRITE: u8 = 4;
    pub(crate) const ALL: Access = Access(7);

    fn parse(text: &str) -> Result<Access> {
        let mut bits = 0;
        for letter in text.chars() {
            bits |= match letter {
                'r' => Access::READ,
                'w' => Access::WRITE,
                'm' => Access::MKNOD,
                // Means nothing; configurations for runc have it beside the others.
                'a' => 0,
                _ => return Err(Error::invalid("device access", text, "it has letters other than rwm")),
            };
        }
        Ok(if bits == 0 { Access::ALL } else { Access(bits) })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(Access::READ, "r"), (Access::WRITE, "w"), (Access::MKNOD, "m")];
        letters.iter().filter(|(bit, _)| self.0 & bit != 0).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

impl fmt::Display for Devices {
    /// As devices.allow takes it: "c 1:3", "b 8:*".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = if self.kind == Kind::Char { "c" } else { "b" };
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

impl Devices {
    /// True when every device of `other` is one of these.
    fn covers(&self, other: &Devices) -> bool {
        let wide = |mine: Option<u32>, theirs: Option<u32>| mine.is_none() || mine == theirs;
        self.kind == other.kind && wide(self.major, other.major) && wide(self.minor, other.minor)
    }

    /// True when some device is in both.
    fn meets(&self, other: &Devices) -> bool {
        let same = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && same(self.major, other.major) && same(self.minor, other.minor)
    }
}

/// Everything is allowed or denied but for the exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub allow: bool,
    /// Devices with the access that goes against the default.
    pub exceptions: BTreeMap<Devices, Access>,
}

impl Policy {
    /// Runs the rules in order over a policy that denies all.
    ///
    /// Errors: [`Error::Invalid`] for a word or number out of range, and for a rule that would
    /// punch a hole into a wider exception ("allow b *:*, deny b 8:0"): v1 would take it and do
    /// nothing, which people would not expect of a prohibition.
    pub(crate) fn from_rules(rules: &[DeviceRule]) -> Result<Policy> {
        let mut policy = Policy { allow: false, exceptions: BTreeMap::new() };
        rules.iter().try_for_each(|rule| policy.add(rule))?;
        Ok(policy)
    }

    /// The first rule that cannot be added, by its place.
    pub(crate) fn fault(rules: &[DeviceRule]) -> Option<(usize, Error)> {
        let mut policy = Policy { allow: false, exceptions: BTreeMap::new() };
        rules.iter().enumerate().find_map(|(place, rule)| Some((place, policy.add(rule).err()?)))
    }

    fn add(&mut self, rule: &DeviceRule) -> Result<()> {
        let access = Access::parse(&rule.access)?;
        let kind = match rule.kind.as_str() {
            "" | "a" => {
                self.allow = rule.allow;
                self.exceptions.clear();
                return Ok(());
            }
            "c" | "u" => Kind::Char,
            "b" => Kind::Block,
            other => return Err(Error::invalid("device type", other, "it is none of a, b, c, u")),
        };
        let devices = Devices { kind, major: number(rule.major)?, minor: number(rule.minor)? };
        if rule.allow != self.allow {
            let bits = self.exceptions.entry(devices).or_insert(Access(0));
            bits.0 |= access.0;
            return Ok(());
        }
        let wider =
            |(d, a): (&Devices, &Access)| a.0 & access.0 != 0 && d.meets(&devices) && !devices.covers(d);
        if self.exceptions.iter().any(wider) {
            return Err(Error::invalid(
                "device rule",
                format!("{devices} {access}"),
                "it is part of a wider rule before it, and the kernel cannot except it from that",
            ));
        }
        for (_, bits) in self.exceptions.iter_mut().filter(|(d, _)| devices.covers(d)) {
            bits.0 &= !access.0;
        }
        self.exceptions.retain(|_, bits| bits.0 != 0);
        Ok(())
    }

    /// What devices.list of v1 says. It hides the exceptions of a policy that allows by default.
    pub(crate) fn parse_list(text: &str) -> Option<Policy> {
        let mut policy = Policy { allow: false, exceptions: BTreeMap::new() };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let kind = match words.next()? {
                "a" => return Some(Policy { allow: true, exceptions: BTreeMap::new() }),
                "b" => Kind::Block,
                "c" => Kind::Char,
                _ => return None,
            };
            let (major, minor) = words.next()?.split_once(':')?;
            let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
            let devices = Devices { kind, major: number(major)?, minor: number(minor)? };
            policy.exceptions.insert(devices, Access::parse(words.next()?).ok()?);
        }
        Some(policy)
    }
}

/// -1 and absence mean all numbers.
fn number(value: Option<i64>) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(Error::invalid("device number", n, "it does not fit 32 bits")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<DeviceRule> {
        text.split(',')
            .map(|rule| {
                let w: Vec<&str> = rule.split_whitespace().collect();
                let n = |s: &str| if s == "*" { None } else { s.parse().ok() };
                let (major, minor) = w[2].split_once(':').unwrap();
                DeviceRule {
                    allow: w[0] == "+",
                    kind: w[1].into(),
                    major: n(major),
                    minor: n(minor),
                    access: w[3].into(),
                }
            })
            .collect()
    }

    fn shown(text: &str) -> Vec<String> {
        let policy = Policy::from_rules(&rules(text)).unwrap();
        let mut out = vec![if policy.allow { "+".to_owned() } else { "-".to_owned() }];
        out.extend(policy.exceptions.iter().map(|(d, a)| format!("{d} {a}")));
        out
    }

    #[test]
    fn rules_reduce() {
        assert_eq!(shown("- a *:* rwm,+ c 1:3 r,+ c 1:3 w,- c 10:229 rwm"), ["-", "c 1:3 rw"]);
        assert_eq!(shown("- a *:* rwm,+ c 1:3 rwm,- c 1:* w"), ["-", "c 1:3 rm"]);
        assert_eq!(shown("+ c 1:3 rwm,+ a *:* rwm,- b 8:0 w"), ["+", "b 8:0 w"]);
        assert_eq!(shown("+ c 1:3 rwm,- a *:* rwm"), ["-"]);
    }

    #[test]
    fn holes_are_refused() {
        for text in ["+ b *:* rwm,- b 8:0 rwm", "+ c 1:* rw,- c *:3 r"] {
            assert!(Policy::from_rules(&rules(text)).is_err(), "{text}");
        }
        // No shared access, no hole.
        assert_eq!(shown("+ b *:* m,- b 8:0 rw"), ["-", "b *:* m"]);
    }

    #[test]
    fn bad_words_are_refused() {
        for text in ["+ x 1:3 r", "+ c 1:3 rx", "+ c 4294967296:3 r", "+ c -2:3 r", "+ p 1:3 r"] {
            assert!(Policy::from_rules(&rules(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_of_the_kernel_are_read() {
        let policy = Policy::parse_list("c 1:3 rwm\nb 8:* r\n").unwrap();
        assert_eq!(policy, Policy::from_rules(&rules("+ c 1:3 rwm,+ b 8:* r")).unwrap());
        assert!(Policy::parse_list("a *:* rwm\n").unwrap().allow);
        assert!(Policy::parse_list("?").is_none());
    }
}
