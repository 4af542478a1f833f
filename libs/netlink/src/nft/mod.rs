//! nftables: tables, chains, rules, sets and maps by nfnetlink, in atomic batches.
//!
//! The numbers are those of `linux/netfilter/nf_tables.h`; what is built here is what `nft` would
//! build, so `nft list ruleset` prints it back as text.

mod batch;
mod chain;
mod expression;
mod rule;
mod set;

pub use batch::{Batch, Table, generation};
pub use chain::{BaseChain, Chain, ChainKind, Hook, Policy};
pub use expression::{Expression, Register, Verdict, ct, meta};
pub use rule::{Position, Rule, RuleInfo};
pub use set::{DataType, Element, ElementValue, Set, Value, list_elements};

/// Address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TableFamily {
    /// IPv4 and IPv6 together.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// Packets between ports of a bridge.
    Bridge = 7,
    /// IPv6.
    Ip6 = 10,
}

const SUBSYSTEM: u16 = 10 << 8;

/// `struct nfgenmsg`.
fn header(family: TableFamily) -> [u8; 4] {
    [family as u8, 0, 0, 0]
}
