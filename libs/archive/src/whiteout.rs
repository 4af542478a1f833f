//! Whiteouts: how a layer says that something below it is gone (image-spec layer.md#whiteouts).

use crate::{Error, Result};

/// Start of the name of a whiteout file.
pub const PREFIX: &[u8] = b".wh.";
/// Name of the file that hides all that lower layers have in its directory.
pub const OPAQUE: &[u8] = b".wh..wh..opq";
/// Start of the names that aufs used for itself.
const AUFS: &[u8] = b".wh..wh.";

/// How whiteouts are brought into the tree. It belongs to the snapshotter and is never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteouts {
    /// Overlayfs' upper directory: character devices 0:0, and the attribute `trusted.overlay.opaque`.
    Overlay,
    /// Overlayfs' upper directory of an unprivileged mount: the attribute is `user.overlay.opaque`.
    OverlayUser,
    /// The tree itself: what is hidden is removed.
    Remove,
}

impl Whiteouts {
    /// The attribute that makes a directory opaque, where that is the form.
    pub(crate) fn opaque_attribute(self) -> Option<&'static str> {
        match self {
            Whiteouts::Overlay => Some("trusted.overlay.opaque"),
            Whiteouts::OverlayUser => Some("user.overlay.opaque"),
            Whiteouts::Remove => None,
        }
    }
}

/// What the last component of a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Plain,
    /// The directory hides all below.
    Opaque,
    /// This name is gone.
    Gone(&'a [u8]),
    /// Of no use outside aufs.
    Skip,
}

/// Reads the name of something that is no directory.
pub(crate) fn meaning(name: &[u8]) -> Result<Meaning<'_>> {
    if name == OPAQUE {
        return Ok(Meaning::Opaque);
    }
    if name.starts_with(AUFS) {
        return Ok(Meaning::Skip);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Meaning::Plain),
        Some(b"" | b"." | b"..") => {
            Err(Error::invalid(format!("whiteout {:?} names no file", String::from_utf8_lossy(name))))
        }
        Some(hidden) => Ok(Meaning::Gone(hidden)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(meaning(b".wh.a").unwrap(), Meaning::Gone(b"a"));
        assert_eq!(meaning(b"a").unwrap(), Meaning::Plain);
        assert_eq!(meaning(OPAQUE).unwrap(), Meaning::Opaque);
        assert_eq!(meaning(b".wh..wh.plnk").unwrap(), Meaning::Skip);
        for bad in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(meaning(bad).is_err());
        }
    }
}
