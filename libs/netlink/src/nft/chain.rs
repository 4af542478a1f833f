//! Chains: lists of rules, some of them attached to a hook.

use super::batch::named;
use super::{SUBSYSTEM, Table, header};
use crate::parse::Attributes;
use crate::request::{Request, flags};
use crate::{Header, Result, Socket};

const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;

/// Where in the packet's way a base chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hook {
    /// Before routing.
    Prerouting = 0,
    /// For this host.
    Input = 1,
    /// Through this host.
    Forward = 2,
    /// From this host.
    Output = 3,
    /// After routing.
    Postrouting = 4,
}

/// What a base chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Lets through or drops.
    Filter,
    /// Translates addresses; sees the first packet of a connection.
    Nat,
}

/// What becomes of a packet at the end of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// It is dropped.
    Drop = 0,
    /// It goes on.
    Accept = 1,
}

/// The hook of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// What it is for.
    pub kind: ChainKind,
    /// Where it stands.
    pub hook: Hook,
    /// Its place among the chains of that hook; lower is earlier.
    pub priority: i32,
    /// What becomes of a packet at its end.
    pub policy: Policy,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its hook; none for one that is only jumped to.
    pub base: Option<BaseChain>,
}

impl Chain {
    /// A chain that is only jumped to.
    pub fn regular(name: &str) -> Chain {
        Chain { name: name.to_owned(), base: None }
    }

    /// A chain at a hook, whose policy is to accept.
    pub fn base(name: &str, kind: ChainKind, hook: Hook, priority: i32) -> Chain {
        Chain {
            name: name.to_owned(),
            base: Some(BaseChain { kind, hook, priority, policy: Policy::Accept }),
        }
    }

    pub(super) fn encode(&self, request: &mut Request, table: &Table) {
        let mut message = request.message(NEWCHAIN, flags::CREATE | flags::ACK, &header(table.family));
        named(&mut message, table);
        message.string(NFTA_CHAIN_NAME, &self.name);
        if let Some(base) = self.base {
            message
                .nest(NFTA_CHAIN_HOOK, |hook| {
                    hook.u32_be(NFTA_HOOK_HOOKNUM, base.hook as u32)
                        .u32_be(NFTA_HOOK_PRIORITY, base.priority as u32);
                })
                .u32_be(NFTA_CHAIN_POLICY, base.policy as u32)
                .string(NFTA_CHAIN_TYPE, if base.kind == ChainKind::Nat { "nat" } else { "filter" });
        }
    }

    /// Reads an answer: the table's name and the chain.
    pub fn parse(message: Header<'_>) -> Option<(String, Chain)> {
        let attributes = || Attributes::after(message.payload, 4);
        if message.kind != NEWCHAIN {
            return None;
        }
        let table = attributes().find(NFTA_CHAIN_TABLE)?.string()?.to_owned();
        let name = attributes().find(NFTA_CHAIN_NAME)?.string()?.to_owned();
        let base = attributes().find(NFTA_CHAIN_HOOK).and_then(|hook| {
            let number = hook.nested().find(NFTA_HOOK_HOOKNUM)?.u32_be()?;
            let priority = hook.nested().find(NFTA_HOOK_PRIORITY)?.u32_be()? as i32;
            let hook = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting]
                .get(number as usize)
                .copied()?;
            let policy = match attributes().find(NFTA_CHAIN_POLICY)?.u32_be()? {
                0 => Policy::Drop,
                _ => Policy::Accept,
            };
            let kind = match attributes().find(NFTA_CHAIN_TYPE)?.string()? {
                "nat" => ChainKind::Nat,
                _ => ChainKind::Filter,
            };
            Some(BaseChain { kind, hook, priority, policy })
        });
        Some((table, Chain { name, base }))
    }

    /// The chains of a table; none when the table is absent.
    pub fn list(socket: &mut Socket, table: &Table) -> Result<Vec<Chain>> {
        let mut request = Request::new();
        request.message(GETCHAIN, flags::DUMP, &header(table.family));
        let mut chains = Vec::new();
        socket.exchange(&mut request, |_, message| {
            chains.extend(
                Chain::parse(message).filter(|(name, _)| *name == table.name).map(|(_, chain)| chain),
            );
        })?;
        Ok(chains)
    }
}
