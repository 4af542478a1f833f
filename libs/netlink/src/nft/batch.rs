//! A batch: what is in it happens at once, or not at all.

use super::{Chain, Element, Rule, SUBSYSTEM, Set, TableFamily, header};
use crate::parse::Attributes;
use crate::request::{Message, Request, flags};
use crate::{Result, Socket};

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM;
const GETTABLE: u16 = SUBSYSTEM | 1;
const DELTABLE: u16 = SUBSYSTEM | 2;
const DELCHAIN: u16 = SUBSYSTEM | 5;
const DELRULE: u16 = SUBSYSTEM | 8;
const NEWGEN: u16 = SUBSYSTEM | 15;
const GETGEN: u16 = SUBSYSTEM | 16;
const NFTA_GEN_ID: u16 = 1;
const NFTA_TABLE_NAME: u16 = 1;
/// Of chains and rules alike.
const TABLE: u16 = 1;
/// Elements in one message: a list's length is 16 bits.
const ELEMENTS_IN_MESSAGE: usize = 400;

/// A table by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its family.
    pub family: TableFamily,
    /// Its name, at most 255 bytes.
    pub name: String,
}

/// Changes that are applied in one transaction.
#[derive(Debug)]
pub struct Batch {
    request: Request,
    sets: u32,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

impl Batch {
    /// An empty one.
    pub fn new() -> Batch {
        let mut request = Request::new();
        // res_id names the subsystem.
        request.message(NFNL_MSG_BATCH_BEGIN, 0, &[0, 0, 0, 10]);
        Batch { request, sets: 0 }
    }

    /// Makes a table; one that exists stays as it is.
    pub fn add_table(&mut self, table: &Table) -> &mut Self {
        self.request
            .message(NEWTABLE, flags::CREATE | flags::ACK, &header(table.family))
            .string(NFTA_TABLE_NAME, &table.name);
        self
    }

    /// Deletes a table with everything in it. An absent one fails the batch: [`Batch::add_table`]
    /// first makes this "if it exists".
    pub fn delete_table(&mut self, table: &Table) -> &mut Self {
        self.request
            .message(DELTABLE, flags::ACK, &header(table.family))
            .string(NFTA_TABLE_NAME, &table.name);
        self
    }

    /// Makes a chain; one that exists stays as it is.
    pub fn add_chain(&mut self, table: &Table, chain: &Chain) -> &mut Self {
        chain.encode(&mut self.request, table);
        self
    }

    /// Deletes a chain that no rule jumps to, with its rules.
    pub fn delete_chain(&mut self, table: &Table, chain: &str) -> &mut Self {
        self.request
            .message(DELCHAIN, flags::ACK, &header(table.family))
            .string(TABLE, &table.name)
            .string(3, chain);
        self
    }

    /// Deletes the rules of a chain.
    pub fn flush_chain(&mut self, table: &Table, chain: &str) -> &mut Self {
        self.request
            .message(DELRULE, flags::ACK, &header(table.family))
            .string(TABLE, &table.name)
            .string(2, chain);
        self
    }

    /// Adds a rule.
    pub fn add_rule(&mut self, table: &Table, rule: &Rule) -> &mut Self {
        rule.encode(&mut self.request, table);
        self
    }

    /// Deletes one rule by its handle.
    pub fn delete_rule(&mut self, table: &Table, chain: &str, handle: u64) -> &mut Self {
        self.request
            .message(DELRULE, flags::ACK, &header(table.family))
            .string(TABLE, &table.name)
            .string(2, chain)
            .u64_be(3, handle);
        self
    }

    /// Makes a set or a map; one that exists stays as it is.
    pub fn add_set(&mut self, table: &Table, set: &Set) -> &mut Self {
        self.sets += 1;
        set.encode(&mut self.request, table, self.sets);
        self
    }

    /// Adds elements. One whose key exists with the same value is left alone, with another value
    /// it fails the batch.
    pub fn add_elements(&mut self, table: &Table, set: &str, elements: &[Element]) -> &mut Self {
        for chunk in elements.chunks(ELEMENTS_IN_MESSAGE) {
            Element::encode_all(&mut self.request, table, set, chunk, true);
        }
        self
    }

    /// Deletes elements by their keys. An absent one fails the batch with `ENOENT`.
    pub fn delete_elements(&mut self, table: &Table, set: &str, elements: &[Element]) -> &mut Self {
        for chunk in elements.chunks(ELEMENTS_IN_MESSAGE) {
            Element::encode_all(&mut self.request, table, set, chunk, false);
        }
        self
    }

    /// Applies the batch. An empty one does nothing.
    ///
    /// # Errors
    /// The first refusal; nothing has changed then.
    pub fn commit(mut self, socket: &mut Socket) -> Result<()> {
        if self.request.len() == 1 {
            return Ok(());
        }
        self.request.message(NFNL_MSG_BATCH_END, 0, &[0, 0, 0, 10]);
        let bytes = self.request.bytes()?.len();
        if bytes > 64 << 10 {
            socket.reserve_send_bytes(bytes * 2);
        }
        socket.transact(&mut self.request)
    }
}

impl Table {
    /// A table of the family `ip`.
    pub fn ip(name: &str) -> Table {
        Table { family: TableFamily::Ip, name: name.to_owned() }
    }

    /// A table of the family `ip6`.
    pub fn ip6(name: &str) -> Table {
        Table { family: TableFamily::Ip6, name: name.to_owned() }
    }

    /// The names of all tables of a family.
    pub fn list(socket: &mut Socket, family: TableFamily) -> Result<Vec<String>> {
        let mut request = Request::new();
        request.message(GETTABLE, flags::DUMP, &header(family));
        let mut names = Vec::new();
        socket.exchange(&mut request, |_, message| {
            let name = Attributes::after(message.payload, 4).find(NFTA_TABLE_NAME);
            names.extend(name.and_then(|name| name.string()).map(str::to_owned));
        })?;
        Ok(names)
    }
}

/// The number of the ruleset, which every applied batch of anybody's makes one higher.
pub fn generation(socket: &mut Socket) -> Result<u32> {
    let mut request = Request::new();
    request.message(GETGEN, flags::ACK, &header(TableFamily::Ip));
    let mut number = None;
    socket.exchange(&mut request, |_, message| {
        if message.kind == NEWGEN {
            number = Attributes::after(message.payload, 4).find(NFTA_GEN_ID).and_then(|id| id.u32_be());
        }
    })?;
    number.ok_or(crate::Error::NoAnswer)
}

pub(super) fn named(message: &mut Message<'_>, table: &Table) {
    message.string(TABLE, &table.name);
}
