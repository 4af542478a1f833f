//! The key sequence that leaves a container running: `ctrl-p,ctrl-q`.

/// A parsed sequence; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

impl DetachKeys {
    /// Parses `a,ctrl-x,...`.
    ///
    /// # Errors
    /// A key that is neither one character nor `ctrl-` with one of `a-z@[\]^_`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or_else(|| format!("invalid detach keys: {text}"))
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return Some(*byte);
    }
    let [byte] = text.strip_prefix("ctrl-")?.as_bytes() else { return None };
    match byte {
        b'a'..=b'z' => Some(byte - b'a' + 1),
        b'@' => Some(0),
        b'[' | b'\\' | b']' | b'^' | b'_' => Some(byte - b'[' + 27),
        _ => None,
    }
}

/// Looks for the sequence in what is typed.
pub struct DetachScanner {
    keys: Vec<u8>,
    held: usize,
}

/// What to pass on, and whether the sequence is complete.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    pub pass: Vec<u8>,
    pub detach: bool,
}

impl DetachScanner {
    pub fn new(keys: DetachKeys) -> Self {
        Self { keys: keys.0, held: 0 }
    }

    /// Takes input; keys of a begun sequence are held back until it completes or breaks.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut pass = Vec::with_capacity(input.len());
        for byte in input {
            if *byte == self.keys[self.held] {
                self.held += 1;
                if self.held == self.keys.len() {
                    return Scanned { pass, detach: true };
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.held]);
            self.held = 0;
            if *byte == self.keys[0] {
                self.held = 1;
            } else {
                pass.push(*byte);
            }
        }
        Scanned { pass, detach: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_parsed() {
        assert_eq!(DetachKeys::parse("ctrl-p,ctrl-q").unwrap(), DetachKeys::default());
        assert_eq!(DetachKeys::parse("a,ctrl-\\").unwrap().0, [b'a', 28]);
        for text in ["", "ctrl-", "ctrl-1", "ab", "a,,b"] {
            assert!(DetachKeys::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_broken_sequence_is_passed_on() {
        let mut scanner = DetachScanner::new(DetachKeys::default());
        assert_eq!(scanner.scan(&[1, 16]), Scanned { pass: vec![1], detach: false });
        assert_eq!(scanner.scan(&[2]), Scanned { pass: vec![16, 2], detach: false });
        assert_eq!(scanner.scan(&[16, 16, 17, 9]), Scanned { pass: vec![16], detach: true });
    }
}
