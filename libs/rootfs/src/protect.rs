//! Masked and read-only paths (config-linux.md#masked-paths).

use std::path::Path;

use mount::{Options, Tree};
use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;
use syscalls::mount_attr::Change;

use crate::error::{At, Cause, Error};
use crate::walk::{Handle, Root, type_of};

const READONLY: Change = Change { set: 1, clear: 0, propagation: 0 };

/// Hides and protects paths of one root.
///
/// Works before the root is changed: what hides a file is the host's own `/dev/null`, which the
/// container cannot have replaced (CVE-2025-31133).
#[derive(Debug)]
pub struct Protector<'a> {
    root: &'a Root,
    null: Option<Tree>,
    empty: Option<Tree>,
    label: &'a str,
}

impl<'a> Protector<'a> {
    /// `label` is the SELinux label of what hides directories, empty for none.
    pub fn new(root: &'a Root, label: &'a str) -> Protector<'a> {
        Protector { root, null: None, empty: None, label }
    }

    /// Hides a path; one that does not exist is left so.
    pub fn mask(&mut self, path: &Path) -> Result<(), Error> {
        let step = || format!("error masking path {path:?}");
        let target = match self.root.find(path) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(errno) => return Err(errno).at(step),
        };
        if type_of(&target).at(step)? == FileType::Directory {
            self.cover_directory(&target).at(step)
        } else {
            self.cover_file(&target).at(step)
        }
    }

    /// Makes a path and what is mounted below read-only; one that does not exist is left so.
    pub fn make_readonly(&self, path: &Path) -> Result<(), Error> {
        let step = || format!("error making path {path:?} read-only");
        let target = match self.root.find(path) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(errno) => return Err(errno).at(step),
        };
        let tree = Tree::copy_of(&target, true).at(step)?;
        tree.change(READONLY, true).at(step)?;
        tree.attach(&target).at(step)
    }

    /// Covers a directory. One superblock serves all: the first cover is attached itself, since
    /// to let go of an unattached mount costs a grace period; the others are copies of it.
    fn cover_directory(&mut self, target: &Handle) -> Result<(), Cause> {
        if let Some(first) = &self.empty {
            return Ok(copy_detached(first)?.attach(target)?);
        }
        let words = ["nosuid", "nodev", "noexec", "nr_blocks=1", "nr_inodes=1"];
        let mut options = Options::parse(&words).map_err(|error| Cause::Refused(error.to_string()))?;
        options.change.set |= READONLY.set;
        if !self.label.is_empty() {
            options.data.push(("context".to_owned(), Some(self.label.to_owned())));
        }
        let tree = self.empty.insert(Tree::filesystem("tmpfs", "tmpfs", &options)?);
        Ok(tree.attach(target)?)
    }

    /// Covers a file with the null device, in the same way.
    fn cover_file(&mut self, target: &Handle) -> Result<(), Cause> {
        if let Some(first) = &self.null {
            return Ok(copy_detached(first)?.attach(target)?);
        }
        let tree = Tree::copy(Path::new("/dev/null"), false, false)?;
        let stat = fs::statat(&tree, c"", AtFlags::EMPTY_PATH)?;
        let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == fs::makedev(1, 3);
        if !is_null {
            return Err(Cause::Refused("/dev/null is not the null device".to_owned()));
        }
        let tree = self.null.insert(tree);
        Ok(tree.attach(target)?)
    }
}

fn copy_detached(tree: &Tree) -> Result<Tree, mount::Error> {
    Tree::copy_of(tree, false)
}
