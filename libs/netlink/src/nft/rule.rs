//! Rules: expressions in the order in which a packet meets them.

use super::batch::named;
use super::expression::NFTA_LIST_ELEM;
use super::{Expression, SUBSYSTEM, Table, header};
use crate::parse::Attributes;
use crate::request::{Request, flags};
use crate::{Header, Result, Socket};

const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_POSITION: u16 = 6;
const NFTA_RULE_USERDATA: u16 = 7;
/// `NFTNL_UDATA_RULE_COMMENT` of libnftnl: a type-length-value that `nft` prints.
const UDATA_COMMENT: u8 = 0;

/// Where in its chain a rule goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Behind all others.
    #[default]
    Last,
    /// Before all others.
    First,
    /// Behind the rule of this handle.
    After(u64),
}

/// A rule to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its chain.
    pub chain: String,
    /// Its place.
    pub position: Position,
    /// What it does.
    pub expressions: Vec<Expression>,
    /// What `nft list` says about it, at most 127 bytes.
    pub comment: Option<&'static str>,
}

impl Rule {
    /// A rule at the end of a chain.
    pub fn new(chain: &str, expressions: Vec<Expression>) -> Rule {
        Rule { chain: chain.to_owned(), position: Position::Last, expressions, comment: None }
    }

    /// The same with a comment.
    pub fn comment(mut self, comment: &'static str) -> Rule {
        self.comment = Some(comment);
        self
    }

    /// The same at another place.
    pub fn at(mut self, position: Position) -> Rule {
        self.position = position;
        self
    }

    pub(super) fn encode(&self, request: &mut Request, table: &Table) {
        let append = if self.position == Position::First { 0 } else { flags::APPEND };
        let mut message =
            request.message(NEWRULE, flags::CREATE | flags::ACK | append, &header(table.family));
        named(&mut message, table);
        message.string(NFTA_RULE_CHAIN, &self.chain);
        if let Position::After(handle) = self.position {
            message.u64_be(NFTA_RULE_POSITION, handle);
        }
        message.nest(NFTA_RULE_EXPRESSIONS, |list| {
            self.expressions.iter().for_each(|expression| expression.encode(list))
        });
        if let Some(comment) = self.comment {
            let mut bytes = vec![UDATA_COMMENT, comment.len() as u8 + 1];
            bytes.extend_from_slice(comment.as_bytes());
            bytes.push(0);
            message.bytes(NFTA_RULE_USERDATA, &bytes);
        }
    }
}

/// What is needed to know about a rule of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its handle, unique in its table.
    pub handle: u64,
    /// The chain that it jumps to.
    pub jumps_to: Option<String>,
}

impl RuleInfo {
    /// Reads an answer: the chain's name and the rule.
    pub fn parse(message: Header<'_>) -> Option<(String, RuleInfo)> {
        let attributes = || Attributes::after(message.payload, 4);
        if message.kind != NEWRULE {
            return None;
        }
        let chain = attributes().find(NFTA_RULE_CHAIN)?.string()?.to_owned();
        let handle = attributes().find(NFTA_RULE_HANDLE)?.u64_be()?;
        let jumps_to = attributes().find(NFTA_RULE_EXPRESSIONS).and_then(|list| {
            let elements = list.nested().filter(|element| element.kind == NFTA_LIST_ELEM);
            // Expression data 2, immediate data 2, verdict 2, chain 2.
            let jump = |element: crate::Attribute<'_>| {
                let verdict = element.nested().find(2)?.nested().find(2)?.nested().find(2)?;
                verdict.nested().find(2)?.string().map(str::to_owned)
            };
            elements
                .filter(|element| {
                    element.nested().find(1).and_then(|name| name.string()) == Some("immediate")
                })
                .find_map(jump)
        });
        Some((chain, RuleInfo { handle, jumps_to }))
    }

    /// The rules of a chain, in order.
    pub fn list(socket: &mut Socket, table: &Table, chain: &str) -> Result<Vec<RuleInfo>> {
        let mut request = Request::new();
        let mut message = request.message(GETRULE, flags::DUMP, &header(table.family));
        named(&mut message, table);
        message.string(NFTA_RULE_CHAIN, chain);
        drop(message);
        let mut rules = Vec::new();
        socket.exchange(&mut request, |_, message| {
            let table_name =
                Attributes::after(message.payload, 4).find(NFTA_RULE_TABLE).and_then(|name| name.string());
            if table_name == Some(table.name.as_str()) {
                rules
                    .extend(RuleInfo::parse(message).filter(|(name, _)| name == chain).map(|(_, rule)| rule));
            }
        })?;
        Ok(rules)
    }
}
