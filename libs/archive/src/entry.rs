//! One entry of an archive.

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    /// A second name of the file that [`Entry::link`] names.
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// A point in time, as seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A stretch of data in a sparse file; what lies between stretches is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// Name and metadata of an entry. Paths are bytes, as the archive spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: at most 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Length of the file as it will be, holes included.
    pub size: u64,
    pub modified: Time,
    /// Target of a hard or symbolic link.
    pub link: Vec<u8>,
    /// Device numbers, of devices only.
    pub device: (u32, u32),
    /// Extended attributes in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a sparse file has data; `None` for files without holes.
    pub segments: Option<Vec<Segment>>,
}

impl Entry {
    /// An entry of `kind` at `path`, owned by root, made at the epoch.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Entry {
        Entry {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            modified: Time::default(),
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
            segments: None,
        }
    }
}
