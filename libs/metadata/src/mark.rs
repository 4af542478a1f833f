//! Which records of a namespace something refers to.
//!
//! Roots and references are containerd's (core/metadata/gc.go). References never leave a namespace.

use crate::condition::conditions;
use crate::pins::Pin;
use crate::row::{Key, Resource};
use crate::state::{LeaseState, NamespaceState};
use containerd_api::Timestamp;
use snapshots::Labels;
use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

const ROOT: &str = "containerd.io/gc.root";
const EXPIRE: &str = "containerd.io/gc.expire";
const FLAT: &str = "containerd.io/gc.flat";
const REF: &str = "containerd.io/gc.ref.";
const BACK_REF: &str = "containerd.io/gc.bref.";

/// Something that can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node<'a> {
    Content(&'a str),
    Image(&'a str),
    Container(&'a str),
    /// Snapshotter and key.
    Snapshot(&'a str, &'a str),
}

/// Why something is kept: what first led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why<'a> {
    /// It is what roots are: an image, a container.
    Root,
    /// Its label `gc.root`.
    Label,
    Lease(&'a str),
    Sandbox(&'a str),
    /// Something is being made of it.
    Work,
    /// An ingest that will be it, by reference.
    Ingest(&'a str),
    /// Another object refers to it, or is what it says it belongs to.
    Other(Node<'a>),
}

/// Marks a namespace; a reached node is flat when only flat leases reach it.
struct Marker<'a> {
    name: &'a str,
    records: &'a NamespaceState,
    now: SystemTime,
    reached: HashMap<Node<'a>, (bool, Why<'a>)>,
    /// Where the marking is.
    why: Why<'a>,
    queue: Vec<(Node<'a>, bool)>,
    /// Children that name their parent, and snapshots that are kept on a condition.
    children: HashMap<Node<'a>, Vec<Node<'a>>>,
    ingests: HashSet<&'a str>,
}

/// The keys of the records of `name` that nothing refers to.
pub(crate) fn unreferenced(name: &str, records: &NamespaceState, pins: &[Pin], now: SystemTime) -> Vec<Key> {
    mark(name, records, pins, now).sweep()
}

/// What of `name` is kept when nobody is at work, and why. Ingests are roots of their own kind: they are not here.
pub(crate) fn reasons<'a>(
    name: &'a str,
    records: &'a NamespaceState,
    now: SystemTime,
) -> HashMap<Node<'a>, Why<'a>> {
    let reached = mark(name, records, &[], now).reached;
    reached.into_iter().map(|(node, (_, why))| (node, why)).collect()
}

fn mark<'a>(name: &'a str, records: &'a NamespaceState, pins: &[Pin], now: SystemTime) -> Marker<'a> {
    let mut marker = Marker {
        name,
        records,
        now,
        reached: HashMap::new(),
        why: Why::Root,
        queue: Vec::new(),
        children: HashMap::new(),
        ingests: HashSet::new(),
    };
    marker.back_references();
    marker.conditions();
    marker.roots(pins);
    marker.run();
    marker
}

/// The moment a label `gc.expire` names; one that cannot be read is no expiry.
fn expiry(labels: &Labels) -> Option<SystemTime> {
    labels.get(EXPIRE)?.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn is_past(labels: &Labels, now: SystemTime) -> bool {
    expiry(labels).is_some_and(|expiry| expiry < now)
}

fn system_time(stamp: &Timestamp) -> SystemTime {
    let seconds = std::time::Duration::from_secs(u64::try_from(stamp.seconds).unwrap_or(0));
    UNIX_EPOCH + seconds + std::time::Duration::from_nanos(u64::try_from(stamp.nanos).unwrap_or(0))
}

/// Whether `rest` of a label ends there, or goes on as a separate word.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '/'])
}

/// The node that a label `gc.ref.REST` or `gc.bref.REST` with this value names.
fn named<'a>(rest: &'a str, value: &'a str) -> Option<Node<'a>> {
    if let Some(rest) = rest.strip_prefix("content") {
        return ends(rest).then_some(Node::Content(value));
    }
    if let Some(rest) = rest.strip_prefix("image") {
        return ends(rest).then_some(Node::Image(value));
    }
    if let Some(rest) = rest.strip_prefix("container") {
        return ends(rest).then_some(Node::Container(value));
    }
    let snapshotter = rest.strip_prefix("snapshot.")?;
    let snapshotter = snapshotter.split_once('/').map_or(snapshotter, |(name, _)| name);
    Some(Node::Snapshot(snapshotter, value))
}

fn references<'a>(labels: &'a Labels, prefix: &'static str) -> impl Iterator<Item = Node<'a>> {
    labels.iter().filter_map(move |(key, value)| named(key.strip_prefix(prefix)?, value))
}

impl<'a> Marker<'a> {
    fn back_references(&mut self) {
        let records = self.records;
        let mut add = |child: Node<'a>, labels: &'a Labels| {
            for parent in references(labels, BACK_REF) {
                self.children.entry(parent).or_default().push(child);
            }
        };
        for (digest, info) in &records.blobs {
            add(Node::Content(digest), &info.labels);
        }
        for (name, image) in &records.images {
            add(Node::Image(name), &image.labels);
        }
        for (snapshotter, snapshots) in &records.snapshots {
            for (key, snapshot) in snapshots {
                add(Node::Snapshot(snapshotter, key), &snapshot.labels);
            }
        }
    }

    /// Snapshots that are kept by an object as long as they are what it says.
    fn conditions(&mut self) {
        let (records, now) = (self.records, self.now);
        let mut add = |object: Node<'a>, labels: &'a Labels| {
            for condition in conditions(labels) {
                let snapshot = records.snapshot(condition.snapshotter, condition.key);
                if snapshot.is_some_and(|snapshot| condition.holds(&snapshot.labels, now)) {
                    let kept = Node::Snapshot(condition.snapshotter, condition.key);
                    self.children.entry(object).or_default().push(kept);
                }
            }
        };
        for (digest, info) in &records.blobs {
            add(Node::Content(digest), &info.labels);
        }
        for (name, image) in &records.images {
            add(Node::Image(name), &image.labels);
        }
    }

    fn roots(&mut self, pins: &[Pin]) {
        let (records, now) = (self.records, self.now);
        for (id, lease) in records.leases.iter().filter(|(_, lease)| !is_past(&lease.lease.labels, now)) {
            self.why = Why::Lease(id);
            self.lease(lease);
        }
        self.why = Why::Root;
        for (name, image) in &records.images {
            if !is_past(&image.labels, now) {
                self.reach(Node::Image(name), false);
            }
        }
        for id in records.containers.keys() {
            self.reach(Node::Container(id), false);
        }
        for (id, sandbox) in &records.sandboxes {
            self.why = Why::Sandbox(id);
            self.follow(&sandbox.labels);
        }
        self.why = Why::Label;
        for (digest, _) in records.blobs.iter().filter(|(_, info)| info.labels.contains_key(ROOT)) {
            self.reach(Node::Content(digest), false);
        }
        for (snapshotter, snapshots) in &records.snapshots {
            for (key, _) in snapshots.iter().filter(|(_, snapshot)| snapshot.labels.contains_key(ROOT)) {
                self.reach(Node::Snapshot(snapshotter, key), false);
            }
        }
        self.why = Why::Work;
        self.pinned(pins);
        for (reference, ingest) in &records.ingests {
            let lives = ingest.expires_at.as_ref().is_some_and(|stamp| system_time(stamp) > self.now);
            if lives {
                self.ingests.insert(reference);
            }
        }
        for reference in self.ingests.clone() {
            if let Some(ingest) = records.ingests.get(reference).filter(|ingest| !ingest.expected.is_empty())
            {
                self.why = Why::Ingest(reference);
                self.reach(Node::Content(&ingest.expected), false);
            }
        }
    }

    fn lease(&mut self, lease: &'a LeaseState) {
        let flat = lease.lease.labels.contains_key(FLAT);
        for resource in &lease.held {
            match resource {
                Resource::Content(digest) => self.reach(Node::Content(digest), flat),
                Resource::Image(name) => self.reach(Node::Image(name), flat),
                Resource::Snapshot(snapshotter, key) => self.reach(Node::Snapshot(snapshotter, key), flat),
                Resource::Ingest(reference) => drop(self.ingests.insert(reference)),
            }
        }
    }

    /// Work in progress: parents of snapshots in the making, open ingests, blobs being committed.
    fn pinned(&mut self, pins: &[Pin]) {
        let records = self.records;
        for pin in pins {
            match pin {
                Pin::Parent(namespace, snapshotter, key) if namespace == self.name => {
                    let found = records.snapshots.get_key_value(snapshotter);
                    let found = found.and_then(|(name, all)| Some((name, all.get_key_value(key)?.0)));
                    if let Some((snapshotter, key)) = found {
                        self.reach(Node::Snapshot(snapshotter, key), false);
                    }
                }
                Pin::Ingest(namespace, reference) if namespace == self.name => {
                    if let Some((reference, _)) = records.ingests.get_key_value(reference) {
                        self.ingests.insert(reference);
                    }
                }
                _ => {}
            }
        }
    }

    /// Marks; a node already reached flat is looked at again when it is now reached in full.
    fn reach(&mut self, node: Node<'a>, flat: bool) {
        match self.reached.get(&node) {
            Some((false, _)) => {}
            Some((true, _)) if flat => {}
            _ => {
                self.reached.insert(node, (flat, self.why));
                self.queue.push((node, flat));
            }
        }
    }

    fn follow(&mut self, labels: &'a Labels) {
        for node in references(labels, REF) {
            self.reach(node, false);
        }
    }

    fn run(&mut self) {
        while let Some((node, flat)) = self.queue.pop() {
            self.why = Why::Other(node);
            self.visit(node, flat);
            if !flat {
                for child in self.children.get(&node).cloned().unwrap_or_default() {
                    self.reach(child, false);
                }
            }
        }
    }

    fn visit(&mut self, node: Node<'a>, flat: bool) {
        let records = self.records;
        match node {
            Node::Content(digest) => {
                if let Some(info) = records.blobs.get(digest).filter(|_| !flat) {
                    self.follow(&info.labels);
                }
            }
            Node::Image(name) => {
                let Some(image) = records.images.get(name) else { return };
                if let Some(target) = &image.target {
                    self.reach(Node::Content(&target.digest), flat);
                }
                if !flat {
                    self.follow(&image.labels);
                }
            }
            Node::Container(id) => {
                let Some(container) = records.containers.get(id) else { return };
                if !container.snapshot_key.is_empty() {
                    self.reach(Node::Snapshot(&container.snapshotter, &container.snapshot_key), false);
                }
                self.follow(&container.labels);
            }
            Node::Snapshot(snapshotter, key) => {
                let Some(snapshot) = records.snapshot(snapshotter, key) else { return };
                if !snapshot.parent.is_empty() {
                    self.reach(Node::Snapshot(snapshotter, &snapshot.parent), flat);
                }
                if !flat {
                    self.follow(&snapshot.labels);
                }
            }
        }
    }

    fn sweep(self) -> Vec<Key> {
        let name = || self.name.to_owned();
        let lost = |node: Node| !self.reached.contains_key(&node);
        let mut keys = Vec::new();
        let records = self.records;
        for (id, lease) in &records.leases {
            if is_past(&lease.lease.labels, self.now) {
                let held = lease.held.iter().map(|resource| Key::Held(name(), id.clone(), resource.clone()));
                keys.extend(held);
                keys.push(Key::Lease(name(), id.clone()));
            }
        }
        let images = records.images.keys().filter(|image| lost(Node::Image(image)));
        keys.extend(images.map(|image| Key::Image(name(), image.clone())));
        let blobs = records.blobs.keys().filter(|digest| lost(Node::Content(digest)));
        keys.extend(blobs.map(|digest| Key::Blob(name(), digest.clone())));
        let ingests = records.ingests.keys().filter(|reference| !self.ingests.contains(reference.as_str()));
        keys.extend(ingests.map(|reference| Key::Ingest(name(), reference.clone())));
        for (snapshotter, snapshots) in &records.snapshots {
            let all = snapshots.keys().filter(|key| lost(Node::Snapshot(snapshotter, key)));
            keys.extend(all.map(|key| Key::Snapshot(name(), snapshotter.clone(), key.clone())));
        }
        keys
    }
}
