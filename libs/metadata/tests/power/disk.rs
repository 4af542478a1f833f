//! A disk that keeps what it was told to keep, and of the rest whatever it likes.
//!
//! What it promises is the least that POSIX and Linux do: fsync(2) of a file keeps its bytes and length, fsync of a
//! directory keeps the names made, changed and removed in it, syncfs(2) keeps everything. Of all else any part may
//! be kept or lost: of a write each sector by itself, of later writes when earlier ones are lost, of names when the
//! names above them are lost. A rename is one step.

use crate::trace::Call;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const SECTOR: usize = 512;

type Id = usize;

/// A change of bytes that no fsync followed yet.
enum Edit {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Default)]
struct Node {
    is_directory: bool,
    kept: Vec<u8>,
    edits: Vec<Edit>,
}

/// A change of names.
struct Naming {
    kept: bool,
    removed: Option<(Id, String)>,
    added: Option<(Id, String, Id)>,
}

struct Open {
    node: Id,
    offset: u64,
}

/// The disk below one directory.
pub struct Disk {
    root: String,
    nodes: Vec<Node>,
    names: HashMap<(Id, String), Id>,
    namings: Vec<Naming>,
    open: HashMap<i64, Open>,
}

/// A source of choices that can be had again.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn edit(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = offset as usize + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset as usize..end].copy_from_slice(data);
}

impl Disk {
    pub fn new(root: &Path) -> Disk {
        let top = Node { is_directory: true, ..Node::default() };
        Disk {
            root: root.to_str().unwrap().to_owned(),
            nodes: vec![top],
            names: HashMap::new(),
            namings: Vec::new(),
            open: HashMap::new(),
        }
    }

    /// The directory and the last name of a path given to a call, if they are on this disk.
    fn place(&self, directory: Option<i64>, path: &str) -> Option<(Id, String)> {
        let (mut at, rest) = match path.strip_prefix(&self.root) {
            Some(rest) => (0, rest),
            None if path.starts_with('/') => return None,
            None => (self.open.get(&directory?)?.node, path),
        };
        let mut words = rest.split('/').filter(|word| !word.is_empty() && *word != ".").peekable();
        while let Some(word) = words.next() {
            if words.peek().is_none() {
                return Some((at, word.to_owned()));
            }
            at = *self.names.get(&(at, word.to_owned()))?;
        }
        Some((at, String::new()))
    }

    fn find(&self, place: &(Id, String)) -> Option<Id> {
        if place.1.is_empty() { Some(place.0) } else { self.names.get(place).copied() }
    }

    fn add(&mut self, place: (Id, String), is_directory: bool) -> Id {
        let id = self.nodes.len();
        self.nodes.push(Node { is_directory, ..Node::default() });
        self.names.insert(place.clone(), id);
        self.namings.push(Naming { kept: false, removed: None, added: Some((place.0, place.1, id)) });
        id
    }

    fn remove(&mut self, place: (Id, String)) {
        self.names.remove(&place);
        self.namings.push(Naming { kept: false, removed: Some(place), added: None });
    }

    /// Does what a call did. One that changes files in a way not known here is refused: the test would lie.
    pub fn apply(&mut self, call: &Call) {
        match call.name.as_str() {
            "openat" => self.open_at(call),
            "close" => drop(self.open.remove(&call.number(0).unwrap_or(-1))),
            "fcntl" | "dup" | "dup2" | "dup3" => self.duplicate(call),
            "lseek" | "read" | "write" => self.sequential(call),
            "pwrite64" => {
                self.edit(call.number(0), |_| Edit::Write(call.number(3).unwrap() as u64, call.bytes(1)))
            }
            "ftruncate" => self.edit(call.number(0), |_| Edit::Length(call.number(1).unwrap() as u64)),
            "fallocate" => self.edit(call.number(0), |_| Edit::Length(call.number(3).unwrap() as u64)),
            "fsync" | "fdatasync" => self.sync(call.number(0)),
            "syncfs" => self.sync_all(),
            "mkdir" | "mkdirat" => {
                let at = usize::from(call.name == "mkdirat");
                if let Some(place) = self.place(call.number(0), &call.text(at)) {
                    self.add(place, true);
                }
            }
            "unlink" | "rmdir" | "unlinkat" => {
                let at = usize::from(call.name == "unlinkat");
                if let Some(place) = self.place(call.number(0), &call.text(at)) {
                    self.remove(place);
                }
            }
            "rename" | "renameat" | "renameat2" => self.rename(call),
            "writev" | "pwritev" | "truncate" | "link" | "linkat" | "symlink" | "symlinkat" | "creat" => {
                let on_disk = call.number(0).is_some_and(|fd| self.open.contains_key(&fd));
                assert!(
                    !on_disk && !format!("{call:?}").contains(&self.root),
                    "unknown to the disk: {call:?}"
                );
            }
            _ => {}
        }
    }

    fn open_at(&mut self, call: &Call) {
        let Some(place) = self.place(call.number(0), &call.text(1)) else { return };
        let node = match self.find(&place) {
            Some(node) => node,
            None if call.has(2, "O_CREAT") => self.add(place, false),
            None => return,
        };
        if call.has(2, "O_TRUNC") {
            self.nodes[node].edits.push(Edit::Length(0));
        }
        self.open.insert(call.returned, Open { node, offset: 0 });
    }

    fn duplicate(&mut self, call: &Call) {
        if call.name == "fcntl" && !call.has(1, "F_DUPFD") {
            return;
        }
        if let Some(node) = call.number(0).and_then(|fd| self.open.get(&fd)).map(|open| open.node) {
            self.open.insert(call.returned, Open { node, offset: 0 });
        }
    }

    fn sequential(&mut self, call: &Call) {
        let Some(open) = call.number(0).and_then(|fd| self.open.get_mut(&fd)) else { return };
        let (node, offset) = (open.node, open.offset);
        match call.name.as_str() {
            "lseek" => open.offset = call.returned as u64,
            name => {
                open.offset += call.returned as u64;
                if name == "write" {
                    let mut data = call.bytes(1);
                    data.truncate(call.returned as usize);
                    self.nodes[node].edits.push(Edit::Write(offset, data));
                }
            }
        }
    }

    fn edit(&mut self, fd: Option<i64>, make: impl Fn(&Open) -> Edit) {
        if let Some(open) = fd.and_then(|fd| self.open.get(&fd)) {
            let edit = make(open);
            self.nodes[open.node].edits.push(edit);
        }
    }

    fn rename(&mut self, call: &Call) {
        let (from, to) = match call.name.as_str() {
            "rename" => (self.place(None, &call.text(0)), self.place(None, &call.text(1))),
            _ => (self.place(call.number(0), &call.text(1)), self.place(call.number(2), &call.text(3))),
        };
        let (Some(from), Some(to)) = (from, to) else { return };
        let Some(node) = self.names.remove(&from) else { return };
        self.names.insert(to.clone(), node);
        let added = Some((to.0, to.1, node));
        self.namings.push(Naming { kept: false, removed: Some(from), added });
    }

    fn sync(&mut self, fd: Option<i64>) {
        let Some(id) = fd.and_then(|fd| self.open.get(&fd)).map(|open| open.node) else { return };
        self.keep(id);
        for naming in &mut self.namings {
            let of = naming.removed.as_ref().is_some_and(|removed| removed.0 == id)
                || naming.added.as_ref().is_some_and(|added| added.0 == id);
            naming.kept |= of;
        }
    }

    fn keep(&mut self, id: Id) {
        let Node { kept, edits, .. } = &mut self.nodes[id];
        for one in edits.drain(..) {
            match one {
                Edit::Write(offset, data) => edit(kept, offset, &data),
                Edit::Length(length) => kept.resize(length as usize, 0),
            }
        }
    }

    fn sync_all(&mut self) {
        (0..self.nodes.len()).for_each(|id| self.keep(id));
        self.namings.iter_mut().for_each(|naming| naming.kept = true);
    }

    /// Writes to the empty directory `to` what may be there if the power fails now.
    pub fn fail(&self, to: &Path, dice: &mut Dice) {
        let names = self.names_after(dice);
        let luck = [0, 10, 50, 90, 100][dice.below(5) as usize];
        let mut stack = vec![(0, to.to_owned())];
        while let Some((id, path)) = stack.pop() {
            if !self.nodes[id].is_directory {
                fs::write(&path, self.bytes_after(id, luck, dice)).unwrap();
                continue;
            }
            if id != 0 {
                fs::create_dir(&path).unwrap();
            }
            let entries = names.iter().filter(|((directory, _), _)| *directory == id);
            let mut entries: Vec<_> = entries.map(|((_, name), node)| (*node, path.join(name))).collect();
            // The same dice give the same disk.
            entries.sort();
            stack.extend(entries);
        }
    }

    /// The names: of those that nothing keeps a part, or, as journals do, all up to some moment.
    fn names_after(&self, dice: &mut Dice) -> HashMap<(Id, String), Id> {
        let last_kept = self.namings.iter().rposition(|naming| naming.kept).map_or(0, |at| at + 1);
        let cut = last_kept + dice.below((self.namings.len() - last_kept) as u64 + 1) as usize;
        let (in_order, luck) = (dice.chance(50), [0, 20, 50, 80][dice.below(4) as usize]);
        let mut names = HashMap::new();
        for (at, naming) in self.namings.iter().enumerate() {
            let stays = naming.kept || if in_order { at < cut } else { dice.chance(luck) };
            if !stays {
                continue;
            }
            if let Some(place) = &naming.removed {
                names.remove(place);
            }
            if let Some((directory, name, node)) = &naming.added {
                names.insert((*directory, name.clone()), *node);
            }
        }
        names
    }

    fn bytes_after(&self, id: Id, luck: u64, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.nodes[id].kept.clone();
        for one in &self.nodes[id].edits {
            match one {
                Edit::Length(length) if dice.chance(luck) => bytes.resize(*length as usize, 0),
                Edit::Length(_) => {}
                Edit::Write(offset, data) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if dice.chance(luck) {
                            edit(&mut bytes, offset + (at * SECTOR) as u64, sector);
                        }
                    }
                }
            }
        }
        bytes
    }
}
