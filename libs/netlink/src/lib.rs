//! Netlink messages: links, addresses, routes, nftables.
//!
//! Small and synchronous: a [`Request`] is built of one or more messages, sent by a [`Socket`] in
//! one go, and its answers are read before the call returns. A socket belongs to the network
//! namespace of the thread that opened it, for ever.

mod address;
mod error;
mod link;
mod parse;
mod request;
mod route;
mod socket;
mod watch;

pub mod conntrack;
pub mod nft;

pub use address::{Address, add_address, delete_address};
pub use error::{Error, Result};
pub use link::{
    BridgePort, Change, Child, ChildKind, Link, Target, VethPair, add_bridge, add_child, add_loose_pair,
    add_parent, add_veth_pair, change_link, delete_link,
};
pub use parse::{Attribute, Attributes, Header, Messages};
pub use request::{Message, Request, flags};
pub use route::{Route, add_default_route, add_link_default_route, delete_default_route};
pub use socket::{Family, Socket};
pub use watch::Watch;
