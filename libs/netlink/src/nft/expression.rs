//! Expressions: the instructions that a rule is made of.

use super::TableFamily;
use crate::request::Message;

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
pub(super) const NFTA_LIST_ELEM: u16 = 1;

/// Keys of [`Expression::Meta`].
pub mod meta {
    /// The packet's mark, 4 bytes.
    pub const MARK: u32 = 3;
    /// Name of the link that the packet came by, 16 bytes.
    pub const IIFNAME: u32 = 6;
    /// Name of the link that it leaves by, 16 bytes.
    pub const OIFNAME: u32 = 7;
    /// Transport protocol, 1 byte.
    pub const L4PROTO: u32 = 16;
}

/// Keys and bits of [`Expression::Ct`].
pub mod ct {
    /// State of the connection, a bit each.
    pub const STATE: u32 = 0;
    /// What was done to the connection, a bit each.
    pub const STATUS: u32 = 2;
    /// Bits of [`STATE`]: of a known connection, or caused by one.
    pub const ESTABLISHED_RELATED: u32 = 2 | 4;
    /// Bit of [`STATUS`]: its destination was translated.
    pub const DNAT: u32 = 1 << 5;
}

/// A register: one of four of 16 bytes, which are also sixteen of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// The first 16 bytes.
    pub const FIRST: Register = Register(1);

    /// The 4 bytes of this number, 0 to 15; numbers 0 to 3 are [`Register::FIRST`].
    pub fn word(number: u32) -> Register {
        Register(8 + number)
    }
}

/// What to do with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Drop it for good.
    Drop,
    /// End this base chain.
    Accept,
    /// Back to where the jump was.
    Return,
    /// On with another chain, and back.
    Jump(String),
}

impl Verdict {
    pub(super) fn encode(&self, message: &mut Message<'_>, kind: u16) {
        let (code, chain) = match self {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
            Verdict::Return => (-5, None),
        };
        message.nest(kind, |data| {
            data.nest(NFTA_DATA_VERDICT, |verdict| {
                verdict.u32_be(NFTA_VERDICT_CODE, code as u32);
                if let Some(chain) = chain {
                    verdict.string(NFTA_VERDICT_CHAIN, chain);
                }
            });
        });
    }
}

pub(super) fn value(message: &mut Message<'_>, kind: u16, bytes: &[u8]) {
    message.nest(kind, |data| {
        data.bytes(NFTA_DATA_VALUE, bytes);
    });
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads a property of the packet.
    Meta {
        /// Of [`meta`].
        key: u32,
        /// Where to.
        to: Register,
    },
    /// Loads a property of the connection.
    Ct {
        /// Of [`ct`].
        key: u32,
        /// Where to.
        to: Register,
    },
    /// Loads bytes of the network header.
    Network {
        /// First byte.
        offset: u32,
        /// How many.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Loads bytes of the transport header.
    Transport {
        /// First byte.
        offset: u32,
        /// How many.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Loads the routing type of the destination address: 2 is this host's own.
    DestinationType {
        /// Where to.
        to: Register,
    },
    /// Masks the 4 or more bytes of a register.
    Mask {
        /// Both source and destination.
        register: Register,
        /// The bytes to keep.
        mask: Vec<u8>,
    },
    /// Goes on when the register is, or is not, these bytes.
    Compare {
        /// Whose value.
        register: Register,
        /// Whether it must be equal.
        equal: bool,
        /// The bytes; a prefix of what was loaded when shorter.
        bytes: Vec<u8>,
    },
    /// Goes on when the register's value is in a set.
    Contained {
        /// The set.
        set: String,
        /// The key.
        register: Register,
    },
    /// Goes on with the value that a map has for the register's.
    Mapped {
        /// The map.
        map: String,
        /// The key.
        register: Register,
        /// Where to.
        to: Register,
    },
    /// Does what a verdict map says for the register's value; goes on when it says nothing.
    VerdictMap {
        /// The map.
        map: String,
        /// The key.
        register: Register,
    },
    /// Does this.
    Do(Verdict),
    /// Sends the connection to the address and port in registers.
    DestinationNat {
        /// The family of the address, which is the table's.
        family: TableFamily,
        /// Address.
        address: Register,
        /// Port.
        port: Register,
    },
    /// Loads bytes.
    Load {
        /// Where to.
        to: Register,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Gives the connection the source address in a register.
    SourceNat {
        /// The family of the address, which is the table's.
        family: TableFamily,
        /// Address.
        address: Register,
    },
    /// Gives the connection the address of the link that it leaves by.
    Masquerade,
    /// Counts packets and bytes.
    Counter,
}

impl Expression {
    pub(super) fn encode(&self, list: &mut Message<'_>) {
        list.nest(NFTA_LIST_ELEM, |element| {
            element.string(NFTA_EXPR_NAME, self.name());
            element.nest(NFTA_EXPR_DATA, |data| self.encode_data(data));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Expression::Meta { .. } => "meta",
            Expression::Ct { .. } => "ct",
            Expression::Network { .. } | Expression::Transport { .. } => "payload",
            Expression::DestinationType { .. } => "fib",
            Expression::Mask { .. } => "bitwise",
            Expression::Compare { .. } => "cmp",
            Expression::Contained { .. } | Expression::Mapped { .. } | Expression::VerdictMap { .. } => {
                "lookup"
            }
            Expression::Do(_) | Expression::Load { .. } => "immediate",
            Expression::DestinationNat { .. } | Expression::SourceNat { .. } => "nat",
            Expression::Masquerade => "masq",
            Expression::Counter => "counter",
        }
    }

    fn encode_data(&self, data: &mut Message<'_>) {
        match self {
            Expression::Meta { key, to } => {
                data.u32_be(2, *key).u32_be(1, to.0);
            }
            Expression::Ct { key, to } => {
                data.u32_be(2, *key).u32_be(1, to.0);
            }
            Expression::Network { offset, length, to } => payload(data, 1, *offset, *length, *to),
            Expression::Transport { offset, length, to } => payload(data, 2, *offset, *length, *to),
            Expression::DestinationType { to } => {
                // Result 3: address type; flag 2: of the destination.
                data.u32_be(1, to.0).u32_be(2, 3).u32_be(3, 2);
            }
            Expression::Mask { register, mask } => {
                data.u32_be(1, register.0).u32_be(2, register.0).u32_be(3, mask.len() as u32);
                value(data, 4, mask);
                value(data, 5, &vec![0; mask.len()]);
            }
            Expression::Compare { register, equal, bytes } => {
                data.u32_be(1, register.0).u32_be(2, u32::from(!equal));
                value(data, 3, bytes);
            }
            Expression::Contained { set, register } => {
                data.string(1, set).u32_be(2, register.0);
            }
            Expression::Mapped { map, register, to } => {
                data.string(1, map).u32_be(2, register.0).u32_be(3, to.0);
            }
            Expression::VerdictMap { map, register } => {
                // Register 0 is the verdict.
                data.string(1, map).u32_be(2, register.0).u32_be(3, 0);
            }
            Expression::Do(verdict) => {
                data.u32_be(1, 0);
                verdict.encode(data, 2);
            }
            Expression::DestinationNat { family, address, port } => {
                // Type 1: destination.
                data.u32_be(1, 1).u32_be(2, *family as u32).u32_be(3, address.0).u32_be(5, port.0);
            }
            Expression::Load { to, bytes } => {
                data.u32_be(1, to.0);
                value(data, 2, bytes);
            }
            Expression::SourceNat { family, address } => {
                // Type 0: source.
                data.u32_be(1, 0).u32_be(2, *family as u32).u32_be(3, address.0);
            }
            Expression::Masquerade | Expression::Counter => {}
        }
    }
}

fn payload(data: &mut Message<'_>, base: u32, offset: u32, length: u32, to: Register) {
    data.u32_be(1, to.0).u32_be(2, base).u32_be(3, offset).u32_be(4, length);
}
