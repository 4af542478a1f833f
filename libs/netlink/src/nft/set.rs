//! Sets and maps, and their elements.

use std::net::IpAddr;

use super::batch::named;
use super::expression::{NFTA_LIST_ELEM, value};
use super::{SUBSYSTEM, Table, Verdict, header};
use crate::parse::Attributes;
use crate::request::{Request, flags};
use crate::{Result, Socket};

const NEWSET: u16 = SUBSYSTEM | 9;
const NEWSETELEM: u16 = SUBSYSTEM | 12;
const GETSETELEM: u16 = SUBSYSTEM | 13;
const DELSETELEM: u16 = SUBSYSTEM | 14;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_LIST_ELEMENTS: u16 = 3;
const NFTA_ELEM_KEY: u16 = 1;
const NFTA_ELEM_DATA: u16 = 2;
const NFTA_SET_USERDATA: u16 = 13;
/// `NFTNL_UDATA_SET_KEYBYTEORDER` of libnftnl: a type-length-value by which `nft` reads keys.
const UDATA_KEY_BYTE_ORDER: u8 = 0;
const HOST_ENDIAN: u32 = 1;
const BIG_ENDIAN: u32 = 2;
const NFT_SET_MAP: u32 = 8;
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;

/// Types as `nft` numbers them; the kernel only looks at the lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A transport protocol's number.
    Protocol,
    /// A port.
    Service,
    /// A link's name.
    LinkName,
}

impl DataType {
    fn number(self) -> u32 {
        match self {
            DataType::Ipv4 => 7,
            DataType::Ipv6 => 8,
            DataType::Protocol => 12,
            DataType::Service => 13,
            DataType::LinkName => 41,
        }
    }

    /// Bytes in a register; a part of a concatenation takes whole words.
    fn length(self, parts: usize) -> u32 {
        let bytes = match self {
            DataType::Ipv4 => 4,
            DataType::Ipv6 => 16,
            DataType::Protocol => 1,
            DataType::Service => 2,
            DataType::LinkName => 16,
        };
        if parts > 1 { u32::next_multiple_of(bytes, 4) } else { bytes }
    }
}

fn type_and_length(types: &[DataType]) -> (u32, u32) {
    types
        .iter()
        .fold((0, 0), |(kind, length), part| ((kind << 6) | part.number(), length + part.length(types.len())))
}

/// What a map's keys map to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: it is a set.
    None,
    /// A concatenation.
    Data(Vec<DataType>),
    /// A verdict.
    Verdict,
}

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Its key, a concatenation.
    pub key: Vec<DataType>,
    /// What the keys map to.
    pub value: Value,
}

impl Set {
    pub(super) fn encode(&self, request: &mut Request, table: &Table, id: u32) {
        let (key_type, key_length) = type_and_length(&self.key);
        let mut message = request.message(NEWSET, flags::CREATE | flags::ACK, &header(table.family));
        named(&mut message, table);
        message.string(NFTA_SET_NAME, &self.name);
        message.u32_be(NFTA_SET_FLAGS, if self.value == Value::None { 0 } else { NFT_SET_MAP });
        message
            .u32_be(NFTA_SET_KEY_TYPE, key_type)
            .u32_be(NFTA_SET_KEY_LEN, key_length)
            .u32_be(NFTA_SET_ID, id);
        let order = if self.key == [DataType::LinkName] { HOST_ENDIAN } else { BIG_ENDIAN };
        message
            .bytes(NFTA_SET_USERDATA, &[&[UDATA_KEY_BYTE_ORDER, 4], order.to_ne_bytes().as_slice()].concat());
        match &self.value {
            Value::None => {}
            Value::Data(types) => {
                let (kind, length) = type_and_length(types);
                message.u32_be(NFTA_SET_DATA_TYPE, kind).u32_be(NFTA_SET_DATA_LEN, length);
            }
            Value::Verdict => {
                message.u32_be(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
            }
        }
    }
}

/// What an element maps its key to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementValue {
    /// Nothing: it is in a set.
    None,
    /// Bytes, parts padded to words.
    Data(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// One element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key, parts padded to words.
    pub key: Vec<u8>,
    /// What it maps to.
    pub value: ElementValue,
}

impl Element {
    /// Bytes of a link's name as a key.
    pub fn link_name(name: &str) -> Vec<u8> {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    }

    /// Bytes of a protocol's number as a part of a concatenation.
    pub fn protocol(number: u8) -> [u8; 4] {
        [number, 0, 0, 0]
    }

    /// Bytes of a port as a part of a concatenation.
    pub fn service(port: u16) -> [u8; 4] {
        let [high, low] = port.to_be_bytes();
        [high, low, 0, 0]
    }

    /// Bytes of an address and a port as a concatenation.
    pub fn address_and_service(address: IpAddr, port: u16) -> Vec<u8> {
        [Element::address(address), Element::service(port).to_vec()].concat()
    }

    /// Bytes of an address.
    pub fn address(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    pub(super) fn encode_all(
        request: &mut Request,
        table: &Table,
        set: &str,
        elements: &[Element],
        add: bool,
    ) {
        let (kind, create) = if add { (NEWSETELEM, flags::CREATE) } else { (DELSETELEM, 0) };
        let mut message = request.message(kind, flags::ACK | create, &header(table.family));
        named(&mut message, table);
        message.string(NFTA_SET_NAME, set).nest(NFTA_LIST_ELEMENTS, |list| {
            for element in elements {
                list.nest(NFTA_LIST_ELEM, |inside| {
                    value(inside, NFTA_ELEM_KEY, &element.key);
                    match &element.value {
                        ElementValue::Data(bytes) if add => value(inside, NFTA_ELEM_DATA, bytes),
                        ElementValue::Verdict(verdict) if add => verdict.encode(inside, NFTA_ELEM_DATA),
                        _ => {}
                    }
                });
            }
        });
    }
}

/// The keys and data of a set or map, in no order; verdicts have no data.
///
/// # Errors
/// `ENOENT` when the table or the set is absent.
pub fn list_elements(socket: &mut Socket, table: &Table, set: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut request = Request::new();
    let mut message = request.message(GETSETELEM, flags::DUMP, &header(table.family));
    named(&mut message, table);
    message.string(NFTA_SET_NAME, set);
    drop(message);
    let mut elements = Vec::new();
    socket.exchange(&mut request, |_, message| {
        let Some(list) = Attributes::after(message.payload, 4).find(NFTA_LIST_ELEMENTS) else { return };
        for element in list.nested() {
            let bytes = |kind| Some(element.nested().find(kind)?.nested().find(1)?.payload.to_vec());
            elements.extend(bytes(NFTA_ELEM_KEY).map(|key| (key, bytes(NFTA_ELEM_DATA).unwrap_or_default())));
        }
    })?;
    Ok(elements)
}
