//! Cutting a stream into lines, long ones into pieces of 16 KiB as Docker does.

use crate::Time;

/// The longest piece, in bytes.
pub(crate) const PIECE_BYTES: usize = 16 * 1024;

/// What is left of a stream's last line, and when that line began.
#[derive(Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
    /// The time of the line being cut, while pieces of it were given out or are held.
    began: Option<Time>,
}

impl Lines {
    /// Takes in `bytes` that came at `now`; gives out (time, piece, whether its line ends here).
    pub(crate) fn push(&mut self, now: Time, mut bytes: &[u8], mut out: impl FnMut(Time, &[u8], bool)) {
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.rest.len();
            let window = &bytes[..bytes.len().min(room)];
            let end = memchr::memchr(b'\n', window);
            let time = *self.began.get_or_insert(now);
            match end {
                Some(end) => {
                    self.give(time, &bytes[..end], true, &mut out);
                    self.began = None;
                    bytes = &bytes[end + 1..];
                }
                None if window.len() == room => {
                    self.give(time, &bytes[..room], false, &mut out);
                    bytes = &bytes[room..];
                }
                None => {
                    self.rest.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// The stream has ended: gives out what is left.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(Time, &[u8], bool)) {
        if let (false, Some(time)) = (self.rest.is_empty(), self.began.take()) {
            self.give(time, &[], false, &mut out);
        }
    }

    fn give(&mut self, time: Time, more: &[u8], ends: bool, out: &mut impl FnMut(Time, &[u8], bool)) {
        if self.rest.is_empty() {
            return out(time, more, ends);
        }
        let mut piece = std::mem::take(&mut self.rest);
        piece.extend_from_slice(more);
        out(time, &piece, ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[Vec<u8>]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.push(Time(1), chunk, |_, piece, ends| seen.push((piece.to_vec(), ends)));
        }
        lines.finish(|_, piece, ends| seen.push((piece.to_vec(), ends)));
        seen
    }

    #[test]
    fn a_line_of_exactly_one_piece_ends_with_an_empty_one() {
        let mut line = vec![b'x'; PIECE_BYTES];
        assert_eq!(cut(&[line.clone()]), [(line.clone(), false)]);
        line.push(b'\n');
        let pieces = [(line[..PIECE_BYTES].to_vec(), false), (Vec::new(), true)];
        assert_eq!(cut(&[line.clone()]), pieces);
        assert_eq!(cut(&[line[..PIECE_BYTES].to_vec(), b"\n".to_vec()]), pieces);
        assert_eq!(cut(&[line[1..].to_vec()]).len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_moved(
            chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 1_usize..2000), 0..30),
        ) {
            let chunks: Vec<Vec<u8>> = chunks.into_iter().map(|(part, times)| part.repeat(times)).collect();
            let whole: Vec<u8> = chunks.concat();
            let mut joined = Vec::new();
            for (piece, ends) in cut(&chunks) {
                prop_assert!(piece.len() <= PIECE_BYTES);
                prop_assert!(!piece.contains(&b'\n'));
                joined.extend_from_slice(&piece);
                if ends { joined.push(b'\n'); }
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
