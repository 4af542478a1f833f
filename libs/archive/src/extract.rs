//! Brings plain files into a directory: an archive that is no layer.

use std::io::BufRead;
use std::os::fd::BorrowedFd;

use rustix::fs::{self, AtFlags, FileType};

use crate::entry::{Entry, Kind};
use crate::ids::Ids;
use crate::root::Directory;
use crate::{Applied, Error, Lowers, Options, Result, Whiteouts, apply};

/// How to extract.
#[derive(Clone, Debug, Default)]
pub struct Extract {
    /// A directory never takes the place of something else, nor something else that of a directory.
    pub keeps_kinds: bool,
    /// User and group of everything that is made, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// The archive's ids, and those of `owner`, are a container's: on disk they become the host's.
    pub ids: Option<Ids>,
}

/// As [`apply()`](crate::apply()), but names that begin with `.wh.` are names like any other.
///
/// # Errors
/// As [`apply()`](crate::apply()), and when kinds are to be kept and differ.
pub fn extract<R: BufRead>(root: BorrowedFd<'_>, stream: R, extract: Extract) -> Result<Applied> {
    let options = Options { whiteouts: Whiteouts::Remove, lowers: Lowers::NONE };
    apply::run(root, stream, options, Some(extract))
}

impl Extract {
    /// To whom an entry shall belong on disk.
    pub(crate) fn owner_of(&self, entry: &Entry) -> Result<(u32, u32)> {
        let owner = self.owner.unwrap_or((entry.uid, entry.gid));
        self.ids.as_ref().map_or(Ok(owner), |ids| ids.outside(owner, &entry.path))
    }

    pub(crate) fn check(&self, parent: &Directory, name: &[u8], entry: &Entry) -> Result<()> {
        if !self.keeps_kinds {
            return Ok(());
        }
        let Ok(stat) = fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let path = String::from_utf8_lossy(&entry.path);
        match (is_directory, entry.kind == Kind::Directory) {
            (true, false) => {
                Err(Error::invalid(format!("cannot overwrite directory \"{path}\" with non-directory")))
            }
            (false, true) => {
                Err(Error::invalid(format!("cannot overwrite non-directory \"{path}\" with directory")))
            }
            _ => Ok(()),
        }
    }
}
