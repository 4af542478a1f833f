//! Hashing beside the writing.

use crate::{Digest, Hasher};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// What is shorter is hashed where it is written: a thread costs more.
const SHORT_BYTES: usize = 1 << 20;
/// How much goes to the other thread at once.
const PIECE_BYTES: usize = 256 << 10;
/// How many pieces may wait there.
const DEPTH: usize = 8;

/// The digest of a stream: of its start made by the caller, of the rest on a thread of its own, so that bytes are
/// hashed while those after them come and are written.
pub(crate) struct Hashing {
    hasher: Hasher,
    seen: usize,
    aside: Option<Aside>,
}

/// The thread, which ends when this is dropped.
struct Aside {
    orders: SyncSender<Order>,
    gathered: Vec<u8>,
    /// Buffers to use again.
    spent: Receiver<Vec<u8>>,
}

enum Order {
    Take(Vec<u8>),
    /// Tells the digest of all that was taken and of what follows, which is taken later.
    Tell(Vec<u8>, Sender<Digest>),
}

impl Hashing {
    /// Goes on where `hasher` is.
    pub(crate) fn from(hasher: Hasher) -> Hashing {
        Hashing { hasher, seen: 0, aside: None }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.seen += data.len();
        if self.aside.is_none() && self.seen > SHORT_BYTES {
            self.aside = Aside::start(self.hasher.clone());
        }
        match &mut self.aside {
            Some(aside) => aside.update(data),
            None => self.hasher.update(data),
        }
    }

    /// The SHA-256 digest of the bytes so far.
    pub(crate) fn digest(&self) -> Digest {
        self.aside.as_ref().map_or_else(|| self.hasher.digest(), Aside::digest)
    }
}

impl Aside {
    /// None when no thread can be had.
    fn start(mut hasher: Hasher) -> Option<Aside> {
        let (orders, taken) = sync_channel(DEPTH);
        let (give_back, spent) = channel();
        let work = move || {
            for order in taken {
                match order {
                    Order::Take(piece) => {
                        hasher.update(&piece);
                        let _ = give_back.send(piece);
                    }
                    Order::Tell(rest, answer) => {
                        let mut hasher = hasher.clone();
                        hasher.update(&rest);
                        let _ = answer.send(hasher.digest());
                    }
                }
            }
        };
        std::thread::Builder::new().name("hashing".to_owned()).spawn(work).ok()?;
        Some(Aside { orders, gathered: Vec::with_capacity(PIECE_BYTES), spent })
    }

    fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(PIECE_BYTES - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            data = later;
            if self.gathered.len() == PIECE_BYTES {
                let mut next = self.spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE_BYTES));
                next.clear();
                let piece = std::mem::replace(&mut self.gathered, next);
                self.order(Order::Take(piece));
            }
        }
    }

    fn digest(&self) -> Digest {
        let (answer, told) = channel();
        self.order(Order::Tell(self.gathered.clone(), answer));
        told.recv().expect("the thread hashes as long as this lives")
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("the thread hashes as long as this lives");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn any_cut_gives_the_same(cuts in prop::collection::vec(1usize..700_000, 0..12), ask in 0usize..12) {
            let data: Vec<u8> = (0..cuts.iter().sum::<usize>()).map(|at| (at % 251) as u8).collect();
            let mut hashing = Hashing::from(Hasher::sha256());
            let mut from = 0;
            for (number, cut) in cuts.iter().enumerate() {
                hashing.update(&data[from..from + cut]);
                from += cut;
                if number == ask {
                    prop_assert_eq!(hashing.digest(), Hasher::of(&data[..from]));
                }
            }
            prop_assert_eq!(hashing.digest(), Hasher::of(&data));
        }
    }
}
