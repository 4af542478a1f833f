//! Putting the table in place: afresh, or over what an earlier life left.
//!
//! A table that is there is changed and not replaced. The kernel applies a batch at once for
//! whoever starts to read a chain, but a packet reads several: were each map and chain there
//! twice for a moment, it could meet the new one before and the old one after the change, and
//! both would be empty for it. So what stays the same is left alone, a chain's rules are
//! exchanged within the chain, and an element that is still wanted is not touched.

use std::collections::{HashMap, HashSet};

use netlink::nft::{Batch, Chain, Element, ElementValue, Table, list_elements};
use netlink::{Result, Socket};
use rustix::io::Errno;

use super::rules::{self, BRIDGE_MAPS};
use super::{IpFamily, Published, by_map};
use crate::bridge::Standing;

/// What makes the table stand whatever it was, with a moment in which it is neither.
pub(super) fn replacement(
    family: IpFamily,
    table: &Table,
    bridges: &[Standing],
    published: &[Published],
) -> Batch {
    let mut batch = Batch::new();
    batch.add_table(table).delete_table(table).add_table(table);
    rules::encode(&mut batch, family, table, bridges);
    for (map, elements) in by_map(published) {
        batch.add_elements(table, map, &elements);
    }
    batch
}

/// What leads from the table as it is, or is not, to the one that is wanted.
pub(super) fn change(
    socket: &mut Socket,
    family: IpFamily,
    table: &Table,
    bridges: &[Standing],
    published: &[Published],
) -> Result<Batch> {
    let mut batch = Batch::new();
    batch.add_table(table);
    let names: HashSet<&str> = bridges.iter().map(|standing| standing.bridge.name.as_str()).collect();
    for (map, _) in BRIDGE_MAPS {
        let keys = existing(socket, table, map)?.into_keys();
        let is_stale = |key: &Vec<u8>| !names.iter().any(|name| Element::link_name(name) == *key);
        delete(&mut batch, table, map, keys.filter(is_stale));
    }
    rules::encode(&mut batch, family, table, bridges);
    for (map, elements) in by_map(published) {
        let mut there = existing(socket, table, map)?;
        let is_there = |element: &Element| match &element.value {
            ElementValue::Data(data) => there.get(&element.key) == Some(data),
            // They accept, one and all.
            _ => there.contains_key(&element.key),
        };
        let (kept, missing): (Vec<_>, Vec<_>) = elements.into_iter().partition(is_there);
        for element in kept {
            there.remove(&element.key);
        }
        delete(&mut batch, table, map, there.into_keys());
        batch.add_elements(table, map, &missing);
    }
    for chain in Chain::list(socket, table)? {
        let bridge = BRIDGE_MAPS.iter().find_map(|(_, prefix)| chain.name.strip_prefix(prefix));
        if bridge.is_some_and(|bridge| !names.contains(bridge)) {
            batch.flush_chain(table, &chain.name).delete_chain(table, &chain.name);
        }
    }
    Ok(batch)
}

fn delete(batch: &mut Batch, table: &Table, map: &str, keys: impl Iterator<Item = Vec<u8>>) {
    let elements: Vec<_> = keys.map(|key| Element { key, value: ElementValue::None }).collect();
    batch.delete_elements(table, map, &elements);
}

/// The elements of a map, none when it is absent.
fn existing(socket: &mut Socket, table: &Table, map: &str) -> Result<HashMap<Vec<u8>, Vec<u8>>> {
    match list_elements(socket, table, map) {
        Ok(elements) => Ok(elements.into_iter().collect()),
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}
