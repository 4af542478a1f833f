//! What a snapshotter remembers of a snapshot, and where.

use crate::snapshotter::{Labels, Usage};
use crate::{Info, Kind};
use containerd_api::Timestamp;
use errdefs::Result;

/// A snapshot's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The number that names its directory; unique for ever.
    pub id: u64,
    /// Active, view or committed.
    pub kind: Kind,
    /// The committed snapshot underneath; empty for none.
    pub parent: String,
    /// Only those the snapshotter acts on.
    pub labels: Labels,
    /// Of a committed one, once somebody asked.
    pub usage: Option<Usage>,
    /// When it was prepared; a commit starts anew.
    pub created_at: Option<Timestamp>,
    /// When its labels last changed.
    pub updated_at: Option<Timestamp>,
}

impl Record {
    /// The record as the API shows it.
    pub fn info(&self, name: &str) -> Info {
        Info {
            name: name.to_owned(),
            parent: self.parent.clone(),
            kind: self.kind as i32,
            created_at: self.created_at,
            updated_at: self.updated_at,
            labels: self.labels.clone(),
        }
    }
}

/// One change of a store.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes or overwrites the record of a name.
    Put(String, Record),
    /// Forgets a name.
    Remove(String),
}

/// Where a snapshotter keeps its records. Reads come from memory; they see every applied change.
pub trait Store: Send + Sync {
    /// One record.
    fn get(&self, name: &str) -> Option<Record>;
    /// Every record, in the order of names.
    fn list(&self) -> Vec<(String, Record)>;
    /// Whether a record has this parent.
    fn has_children(&self, name: &str) -> bool;
    /// A number never given before, not even to snapshots that are gone.
    fn next_id(&self) -> Result<u64>;
    /// Applies changes as one. They are durable no later than whatever the owner writes next.
    fn apply(&self, changes: Vec<Change>) -> Result<()>;
}
