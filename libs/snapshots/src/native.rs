//! Each snapshot a full copy of its parent: works on every file system.

use crate::base::{Base, failed};
use crate::copy;
use crate::record::Record;
use crate::snapshotter::{Labels, Snapshotter, Usage};
use crate::{Info, Kind, Mount, Store};
use errdefs::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The native snapshotter.
pub struct Native {
    base: Base,
}

impl Native {
    /// Opens the directory.
    pub fn open(root: PathBuf, store: Arc<dyn Store>) -> Result<Native> {
        Ok(Native { base: Base::open(root, store, false)? })
    }

    fn make(&self, key: &str, parent: &str, kind: Kind, labels: &Labels) -> Result<Vec<Mount>> {
        let (draft, record) = self.base.begin(key, parent, kind, labels)?;
        let ancestors = self.base.ancestors(&record)?;
        self.fill(&record, &ancestors)?;
        let mounts = self.mounts_of(&record, &ancestors);
        self.base.finish(draft, key, record)?;
        Ok(mounts)
    }

    fn fill(&self, record: &Record, ancestors: &[u64]) -> Result<()> {
        let directory = self.base.make_directory(record.id, 0o755)?;
        if let (Some(&below), Kind::Active) = (ancestors.first(), record.kind) {
            let below = self.base.directory(below);
            copy::tree(&below, &directory).map_err(|cause| failed("copy", &below, cause))?;
        }
        Ok(())
    }

    /// A view needs no copy: it is its parent, read-only.
    fn mounts_of(&self, record: &Record, ancestors: &[u64]) -> Vec<Mount> {
        let (id, mode) = match (record.kind, ancestors.first()) {
            (Kind::Active, _) => (record.id, "rw"),
            (_, Some(&parent)) => (parent, "ro"),
            (_, None) => (record.id, "ro"),
        };
        let source = self.base.directory(id).display().to_string();
        let options = vec!["rbind".into(), mode.into()];
        vec![Mount { r#type: "bind".into(), source, options, ..Mount::default() }]
    }
}

impl Snapshotter for Native {
    fn root(&self) -> &Path {
        self.base.root()
    }

    fn stat(&self, key: &str) -> Result<Info> {
        Ok(self.base.record(key)?.info(key))
    }

    fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        self.base.update(info, paths)
    }

    fn usage(&self, key: &str) -> Result<Usage> {
        let id = self.base.record(key)?.id;
        self.base.usage(key, &self.base.directory(id))
    }

    fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        let record = self.base.record(key)?;
        if record.kind == Kind::Committed {
            return Err(Error::failed_precondition(format!("requested snapshot {key} not active or view")));
        }
        Ok(self.mounts_of(&record, &self.base.ancestors(&record)?))
    }

    fn prepare(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, Kind::Active, labels)
    }

    fn view(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, Kind::View, labels)
    }

    /// A parent cannot be given at commit: the copy was made from what was below at the start.
    fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()> {
        if !parent.is_empty() && self.base.record(key)?.parent != parent {
            return Err(Error::unimplemented("cannot rebase a native snapshot"));
        }
        self.base.commit(name, key, parent, labels)
    }

    fn remove(&self, key: &str) -> Result<()> {
        self.base.remove(key)
    }

    fn walk(&self) -> Result<Vec<Info>> {
        Ok(self.base.walk())
    }

    fn heal(&self) -> Result<Vec<String>> {
        self.base.heal(|_| &[], |record| self.fill(record, &self.base.ancestors(record)?))
    }

    fn cleanup(&self) -> Result<()> {
        self.base.cleanup()
    }
}
