//! The key sequence that leaves a container's terminal.

use errdefs::{Error, Result};

/// The sequence as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        // ctrl-p, ctrl-q
        DetachKeys(vec![16, 17])
    }
}

impl DetachKeys {
    /// No sequence leaves.
    pub fn none() -> DetachKeys {
        DetachKeys(Vec::new())
    }

    /// Reads `ctrl-p,ctrl-q` or single characters; empty is the default.
    ///
    /// # Errors
    /// A word that is no key.
    pub fn parse(text: &str) -> Result<DetachKeys> {
        if text.is_empty() {
            return Ok(DetachKeys::default());
        }
        let bad = || Error::invalid_argument(format!("Invalid detach keys ({text}) provided"));
        let key = |word: &str| match (word.strip_prefix("ctrl-").map(str::as_bytes), word.as_bytes()) {
            (Some([letter @ b'a'..=b'z']), _) => Ok(letter - b'a' + 1),
            (Some([sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]), _) => Ok(sign & 0x1f),
            (None, [byte]) => Ok(*byte),
            _ => Err(bad()),
        };
        text.split(',').map(key).collect::<Result<_>>().map(DetachKeys)
    }
}

/// Watches input for the sequence. A part of it is held back until it is clear whether the rest
/// follows.
pub struct Escape {
    keys: DetachKeys,
    seen: usize,
}

impl Escape {
    pub fn new(keys: DetachKeys) -> Escape {
        Escape { keys, seen: 0 }
    }

    /// What goes on to the container, and whether the client left.
    pub fn pass(&mut self, input: &[u8]) -> (Vec<u8>, bool) {
        let keys = &self.keys.0;
        let mut output = Vec::with_capacity(input.len());
        if keys.is_empty() {
            output.extend_from_slice(input);
            return (output, false);
        }
        for byte in input {
            if *byte == keys[self.seen] {
                self.seen += 1;
                if self.seen == keys.len() {
                    self.seen = 0;
                    return (output, true);
                }
                continue;
            }
            output.extend_from_slice(&keys[..self.seen]);
            self.seen = 0;
            if *byte == keys[0] && keys.len() > 1 {
                self.seen = 1;
            } else {
                output.push(*byte);
            }
        }
        (output, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_are_read() {
        assert_eq!(DetachKeys::parse("").unwrap().0, [16, 17]);
        assert_eq!(DetachKeys::parse("ctrl-a,x,ctrl-[").unwrap().0, [1, b'x', 27]);
        assert!(DetachKeys::parse("ctrl-1").is_err());
        assert!(DetachKeys::parse("ab").is_err());
    }

    #[test]
    fn the_sequence_leaves_even_in_pieces() {
        let mut escape = Escape::new(DetachKeys::default());
        assert_eq!(escape.pass(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(escape.pass(b"\x11b"), (vec![], true));
        assert_eq!(escape.pass(b"\x10x"), (b"\x10x".to_vec(), false));
        assert_eq!(escape.pass(b"\x10\x10\x11"), (b"\x10".to_vec(), true));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_without_the_sequence(input in prop::collection::vec(0_u8..=17, 0..64)) {
            let mut escape = Escape::new(DetachKeys::default());
            let (mut output, is_left) = escape.pass(&input);
            if !is_left {
                output.extend(vec![16; escape.seen]);
                prop_assert_eq!(output, input);
            }
        }
    }
}
