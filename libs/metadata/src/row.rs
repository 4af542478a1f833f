//! A record as it is stored: one row with a key that says what it is.

use containerd_api::Timestamp;
use containerd_api::services::containers::v1::Container;
use containerd_api::services::content::v1::Info;
use containerd_api::services::images::v1::Image;
use containerd_api::services::leases::v1::Lease;
use containerd_api::services::namespaces::v1::Namespace;
use containerd_api::types::Sandbox;
use errdefs::{Error, Result};
use prost::Message;
use snapshots::{Kind, Labels, Record, Usage};

/// An ingest of a namespace.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ingest {
    /// The reference in the content store, `NS/SEQ/ref`.
    #[prost(string, tag = "1")]
    pub backend: String,
    #[prost(string, tag = "2")]
    pub expected: String,
    /// None while a lease holds it.
    #[prost(message, optional, tag = "3")]
    pub expires_at: Option<Timestamp>,
}

/// A snapshot of a namespace.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Snapshot {
    /// The name in the snapshotter, `NS/SEQ/key`.
    #[prost(string, tag = "1")]
    pub backend: String,
    /// The parent's key in this namespace.
    #[prost(string, tag = "2")]
    pub parent: String,
    #[prost(map = "string, string", tag = "3")]
    pub labels: Labels,
    #[prost(message, optional, tag = "4")]
    pub created_at: Option<Timestamp>,
    #[prost(message, optional, tag = "5")]
    pub updated_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct BackendRecord {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(string, tag = "3")]
    parent: String,
    #[prost(map = "string, string", tag = "4")]
    labels: Labels,
    #[prost(uint64, tag = "5")]
    size: u64,
    #[prost(uint64, tag = "6")]
    inodes: u64,
    #[prost(message, optional, tag = "7")]
    created_at: Option<Timestamp>,
    #[prost(message, optional, tag = "8")]
    updated_at: Option<Timestamp>,
    #[prost(bool, tag = "9")]
    measured: bool,
}

/// What a lease can hold. The names are those of the API's resource types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resource {
    Content(String),
    Ingest(String),
    Image(String),
    /// Snapshotter and key.
    Snapshot(String, String),
}

impl Resource {
    /// The API's type and id.
    pub(crate) fn words(&self) -> (String, String) {
        match self {
            Resource::Content(id) => ("content".into(), id.clone()),
            Resource::Ingest(id) => ("ingests".into(), id.clone()),
            Resource::Image(id) => ("images".into(), id.clone()),
            Resource::Snapshot(snapshotter, key) => (format!("snapshots/{snapshotter}"), key.clone()),
        }
    }

    fn from_words(kind: &str, id: &str) -> Option<Resource> {
        Some(match kind {
            "content" => Resource::Content(id.into()),
            "ingests" => Resource::Ingest(id.into()),
            "images" => Resource::Image(id.into()),
            _ => Resource::Snapshot(kind.strip_prefix("snapshots/")?.into(), id.into()),
        })
    }
}

/// What a row is about. Strings in order: namespace first, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Namespace(String),
    Container(String, String),
    Image(String, String),
    Blob(String, String),
    Ingest(String, String),
    /// Namespace, snapshotter, key.
    Snapshot(String, String, String),
    /// Snapshotter, name.
    Backend(String, String),
    Lease(String, String),
    /// Namespace, lease.
    Held(String, String, Resource),
    Sandbox(String, String),
    /// The numbers given out so far end before this one.
    Sequence,
}

/// A row with its record.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Namespace(Namespace),
    Container(String, Container),
    Image(String, Image),
    Blob(String, Info),
    Ingest(String, String, Ingest),
    Snapshot(String, String, String, Snapshot),
    Backend(String, String, Record),
    Lease(String, Lease),
    Held(String, String, Resource),
    Sandbox(String, Sandbox),
    Sequence(u64),
}

/// One change of the records.
// Lists of changes are short and short-lived: a box each would cost more than the room it saves.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Row),
    Remove(Key),
}

impl Key {
    /// One letter for the kind, then each string after its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (letter, parts): (u8, Vec<&str>) = match self {
            Key::Namespace(name) => (b'N', vec![name]),
            Key::Container(namespace, id) => (b'C', vec![namespace, id]),
            Key::Image(namespace, name) => (b'I', vec![namespace, name]),
            Key::Blob(namespace, digest) => (b'B', vec![namespace, digest]),
            Key::Ingest(namespace, reference) => (b'G', vec![namespace, reference]),
            Key::Snapshot(namespace, snapshotter, key) => (b'S', vec![namespace, snapshotter, key]),
            Key::Backend(snapshotter, name) => (b'K', vec![snapshotter, name]),
            Key::Lease(namespace, id) => (b'L', vec![namespace, id]),
            Key::Held(namespace, lease, resource) => {
                let (kind, id) = resource.words();
                return encode(b'R', &[namespace, lease, &kind, &id]);
            }
            Key::Sandbox(namespace, id) => (b'X', vec![namespace, id]),
            Key::Sequence => (b'#', vec![]),
        };
        encode(letter, &parts)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Key> {
        let (&letter, rest) = bytes.split_first()?;
        let mut parts = Parts(rest);
        let key = match letter {
            b'N' => Key::Namespace(parts.take()?),
            b'C' => Key::Container(parts.take()?, parts.take()?),
            b'I' => Key::Image(parts.take()?, parts.take()?),
            b'B' => Key::Blob(parts.take()?, parts.take()?),
            b'G' => Key::Ingest(parts.take()?, parts.take()?),
            b'S' => Key::Snapshot(parts.take()?, parts.take()?, parts.take()?),
            b'K' => Key::Backend(parts.take()?, parts.take()?),
            b'L' => Key::Lease(parts.take()?, parts.take()?),
            b'R' => {
                let (namespace, lease, kind, id) =
                    (parts.take()?, parts.take()?, parts.take()?, parts.take()?);
                Key::Held(namespace, lease, Resource::from_words(&kind, &id)?)
            }
            b'X' => Key::Sandbox(parts.take()?, parts.take()?),
            b'#' => Key::Sequence,
            _ => return None,
        };
        parts.0.is_empty().then_some(key)
    }
}

fn encode(letter: u8, parts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![letter];
    for part in parts {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn take(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        String::from_utf8(part.to_vec()).ok()
    }
}

impl Row {
    /// What it is about.
    pub(crate) fn key(&self) -> Key {
        match self {
            Row::Namespace(record) => Key::Namespace(record.name.clone()),
            Row::Container(namespace, record) => Key::Container(namespace.clone(), record.id.clone()),
            Row::Image(namespace, record) => Key::Image(namespace.clone(), record.name.clone()),
            Row::Blob(namespace, record) => Key::Blob(namespace.clone(), record.digest.clone()),
            Row::Ingest(namespace, reference, _) => Key::Ingest(namespace.clone(), reference.clone()),
            Row::Snapshot(namespace, snapshotter, key, _) => {
                Key::Snapshot(namespace.clone(), snapshotter.clone(), key.clone())
            }
            Row::Backend(snapshotter, name, _) => Key::Backend(snapshotter.clone(), name.clone()),
            Row::Lease(namespace, record) => Key::Lease(namespace.clone(), record.id.clone()),
            Row::Held(namespace, lease, resource) => {
                Key::Held(namespace.clone(), lease.clone(), resource.clone())
            }
            Row::Sandbox(namespace, record) => Key::Sandbox(namespace.clone(), record.sandbox_id.clone()),
            Row::Sequence(_) => Key::Sequence,
        }
    }

    /// The record's bytes.
    pub(crate) fn value(&self) -> Vec<u8> {
        match self {
            Row::Namespace(record) => record.encode_to_vec(),
            Row::Container(_, record) => record.encode_to_vec(),
            Row::Image(_, record) => record.encode_to_vec(),
            Row::Blob(_, record) => record.encode_to_vec(),
            Row::Ingest(_, _, record) => record.encode_to_vec(),
            Row::Snapshot(_, _, _, record) => record.encode_to_vec(),
            Row::Backend(_, _, record) => backend_message(record).encode_to_vec(),
            Row::Lease(_, record) => record.encode_to_vec(),
            Row::Held(..) => Vec::new(),
            Row::Sandbox(_, record) => record.encode_to_vec(),
            Row::Sequence(next) => next.to_be_bytes().to_vec(),
        }
    }

    /// Reads a stored row. DataLoss when it makes no sense.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Row> {
        let lost = || {
            Error::new(
                errdefs::Kind::DataLoss,
                format!("cannot decode record {:?}", key.escape_ascii().to_string()),
            )
        };
        let parsed = Key::decode(key).ok_or_else(lost)?;
        Row::with_key(parsed, value).map_err(|cause| lost().with_source(cause))
    }

    fn with_key(key: Key, value: &[u8]) -> std::result::Result<Row, prost::DecodeError> {
        Ok(match key {
            Key::Namespace(_) => Row::Namespace(Message::decode(value)?),
            Key::Container(namespace, _) => Row::Container(namespace, Message::decode(value)?),
            Key::Image(namespace, _) => Row::Image(namespace, Message::decode(value)?),
            Key::Blob(namespace, _) => Row::Blob(namespace, Message::decode(value)?),
            Key::Ingest(namespace, reference) => Row::Ingest(namespace, reference, Message::decode(value)?),
            Key::Snapshot(namespace, snapshotter, key) => {
                Row::Snapshot(namespace, snapshotter, key, Message::decode(value)?)
            }
            Key::Backend(snapshotter, name) => {
                Row::Backend(snapshotter, name, backend_record(Message::decode(value)?))
            }
            Key::Lease(namespace, _) => Row::Lease(namespace, Message::decode(value)?),
            Key::Held(namespace, lease, resource) => Row::Held(namespace, lease, resource),
            Key::Sandbox(namespace, _) => Row::Sandbox(namespace, Message::decode(value)?),
            Key::Sequence => Row::Sequence(value.try_into().map_or(0, u64::from_be_bytes)),
        })
    }
}

fn backend_message(record: &Record) -> BackendRecord {
    let usage = record.usage.unwrap_or_default();
    BackendRecord {
        id: record.id,
        kind: record.kind as i32,
        parent: record.parent.clone(),
        labels: record.labels.clone(),
        size: usage.size,
        inodes: usage.inodes,
        created_at: record.created_at,
        updated_at: record.updated_at,
        measured: record.usage.is_some(),
    }
}

fn backend_record(message: BackendRecord) -> Record {
    Record {
        id: message.id,
        kind: Kind::try_from(message.kind).unwrap_or(Kind::Unknown),
        parent: message.parent,
        labels: message.labels,
        usage: message.measured.then_some(Usage { size: message.size, inodes: message.inodes }),
        created_at: message.created_at,
        updated_at: message.updated_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resource() -> impl Strategy<Value = Resource> {
        prop_oneof![
            ".*".prop_map(Resource::Content),
            ".*".prop_map(Resource::Ingest),
            ".*".prop_map(Resource::Image),
            (".*", ".*").prop_map(|(snapshotter, key)| Resource::Snapshot(snapshotter, key)),
        ]
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            ".*".prop_map(Key::Namespace),
            (".*", ".*").prop_map(|(a, b)| Key::Container(a, b)),
            (".*", ".*", ".*").prop_map(|(a, b, c)| Key::Snapshot(a, b, c)),
            (".*", ".*", resource()).prop_map(|(a, b, c)| Key::Held(a, b, c)),
            Just(Key::Sequence),
        ]
    }

    proptest! {
        #[test]
        fn keys_survive_storage(key in key()) {
            prop_assert_eq!(Key::decode(&key.encode()), Some(key));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(key in prop::collection::vec(any::<u8>(), 0..40),
                                            value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Row::decode(&key, &value);
        }
    }
}
