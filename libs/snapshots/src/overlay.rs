//! Layers merged by the kernel's overlayfs.

use crate::base::{Base, failed};
use crate::mapping::Mapping;
use crate::probe::{self, Abilities};
use crate::record::Record;
use crate::snapshotter::{Labels, Snapshotter, Usage, Whiteouts};
use crate::{Info, Kind, Mount, Store};
use errdefs::{Error, Result};
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Label: the upper directory of an active snapshot.
const LABEL_UPPERDIR: &str = "containerd.io/snapshot/overlay.upperdir";

/// Settings of the overlayfs snapshotter (containerd's `io.containerd.snapshotter.v1.overlayfs`).
#[derive(Clone, Debug, Default)]
pub struct OverlayOptions {
    /// Mount options put after the directories.
    pub mount_options: Vec<String>,
    /// Whether snapshots carry the label `containerd.io/snapshot/overlay.upperdir`.
    pub upperdir_label: bool,
    /// Whether `remove` waits for the files to be gone.
    pub sync_remove: bool,
    /// Whether `commit` syncs the layer's file system before its record (ours; containerd does not). Whoever
    /// applies a diff here has synced already; this is for layers that were written by other means.
    pub sync_commit: bool,
}

/// The overlayfs snapshotter.
pub struct Overlay {
    base: Base,
    options: OverlayOptions,
    abilities: Abilities,
}

impl Overlay {
    /// Opens the directory; refused where the file system cannot hold overlay layers (no d_type).
    pub fn open(root: PathBuf, store: Arc<dyn Store>, options: OverlayOptions) -> Result<Overlay> {
        let base = Base::open(root, store, options.sync_remove)?;
        let abilities = probe::abilities(base.root())?;
        Ok(Overlay { base, options, abilities })
    }

    fn upper(&self, id: u64) -> String {
        self.base.directory(id).join("fs").display().to_string()
    }

    fn make(&self, key: &str, parent: &str, kind: Kind, labels: &Labels) -> Result<Vec<Mount>> {
        let mapping = Mapping::from_labels(labels)?;
        if mapping.is_some() && !self.abilities.remap_ids {
            return Err(Error::unimplemented(
                "cannot map ids of a snapshot: the kernel has no id-mapped overlays",
            ));
        }
        let (draft, record) = self.base.begin(key, parent, kind, labels)?;
        let ancestors = self.base.ancestors(&record)?;
        self.base.make_directory(draft.id, 0o700)?;
        self.make_directories(&record, &ancestors, mapping.as_ref())?;
        let mounts = self.mounts_of(&record, &ancestors)?;
        self.base.finish(draft, key, record)?;
        Ok(mounts)
    }

    /// `fs` looks like the root of the layer below, so that the merged root has its owner and mode.
    fn make_directories(&self, record: &Record, ancestors: &[u64], mapping: Option<&Mapping>) -> Result<()> {
        let directory = self.base.directory(record.id);
        let upper = directory.join("fs");
        make_part(&upper, 0o755)?;
        if record.kind == Kind::Active {
            make_part(&directory.join("work"), 0o711)?;
        }
        let owner = match (mapping, ancestors.first()) {
            (Some(mapping), _) => mapping.root,
            (None, Some(&parent)) => {
                let below = PathBuf::from(self.upper(parent));
                let meta = fs::metadata(&below).map_err(|cause| failed("stat", &below, cause))?;
                (meta.uid(), meta.gid())
            }
            (None, None) => return Ok(()),
        };
        if owner == (0, 0) {
            return Ok(());
        }
        std::os::unix::fs::chown(&upper, Some(owner.0), Some(owner.1))
            .map_err(|cause| failed("change owner of", &upper, cause))
    }

    /// The mounts of containerd's overlay snapshotter, option by option.
    fn mounts_of(&self, record: &Record, ancestors: &[u64]) -> Result<Vec<Mount>> {
        let mut options = Vec::new();
        if let Some(mapping) = Mapping::from_labels(&record.labels)? {
            options.push(format!("uidmap={}", mapping.uid_map));
            options.push(format!("gidmap={}", mapping.gid_map));
        }
        let active = record.kind == Kind::Active;
        let alone = match ancestors {
            [] => Some(record.id),
            [parent] if !active => Some(*parent),
            _ => None,
        };
        if let Some(id) = alone {
            options.push(if active { "rw" } else { "ro" }.into());
            options.push("rbind".into());
            return Ok(vec![Mount {
                r#type: "bind".into(),
                source: self.upper(id),
                options,
                ..Mount::default()
            }]);
        }
        if active {
            options.push(format!("workdir={}", self.base.directory(record.id).join("work").display()));
            options.push(format!("upperdir={}", self.upper(record.id)));
        }
        let lower: Vec<String> = ancestors.iter().map(|&id| self.upper(id)).collect();
        options.push(format!("lowerdir={}", lower.join(":")));
        options.extend(self.options.mount_options.iter().cloned());
        if self.abilities.userxattr {
            options.push("userxattr".into());
        }
        if self.abilities.index_off
            && !self.options.mount_options.iter().any(|option| option.starts_with("index="))
        {
            options.push("index=off".into());
        }
        Ok(vec![Mount { r#type: "overlay".into(), source: "overlay".into(), options, ..Mount::default() }])
    }

    fn labelled(&self, mut info: Info, id: u64) -> Info {
        if self.options.upperdir_label {
            info.labels.insert(LABEL_UPPERDIR.into(), self.upper(id));
        }
        info
    }
}

impl Snapshotter for Overlay {
    fn capabilities(&self) -> Vec<String> {
        let remap = self.abilities.remap_ids.then_some("remap-ids");
        remap.into_iter().chain(self.abilities.rebase.then_some("rebase")).map(str::to_owned).collect()
    }

    fn whiteouts(&self) -> Whiteouts {
        if self.abilities.userxattr { Whiteouts::OverlayUser } else { Whiteouts::Overlay }
    }

    fn root(&self) -> &Path {
        self.base.root()
    }

    fn stat(&self, key: &str) -> Result<Info> {
        let record = self.base.record(key)?;
        Ok(self.labelled(record.info(key), record.id))
    }

    fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        self.base.update(info, paths)
    }

    fn usage(&self, key: &str) -> Result<Usage> {
        let id = self.base.record(key)?.id;
        self.base.usage(key, Path::new(&self.upper(id)))
    }

    fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        let record = self.base.record(key)?;
        if record.kind == Kind::Committed {
            return Err(Error::failed_precondition(format!("requested snapshot {key} not active or view")));
        }
        self.mounts_of(&record, &self.base.ancestors(&record)?)
    }

    fn prepare(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, Kind::Active, labels)
    }

    fn view(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        self.make(key, parent, Kind::View, labels)
    }

    fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()> {
        let record = self.base.record(key)?;
        if self.options.sync_commit && record.kind == Kind::Active {
            sync(Path::new(&self.upper(record.id)))?;
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
        let parts = |kind| if kind == Kind::Active { &["fs", "work"][..] } else { &["fs"] };
        self.base.heal(parts, |record| {
            let mapping = Mapping::from_labels(&record.labels)?;
            let directory = self.base.directory(record.id);
            if !directory.is_dir() {
                self.base.make_directory(record.id, 0o700)?;
            }
            self.make_directories(record, &self.base.ancestors(record)?, mapping.as_ref())
        })
    }

    fn cleanup(&self) -> Result<()> {
        self.base.cleanup()
    }
}

/// Makes a directory unless it is there, with this mode whatever the umask is.
fn make_part(path: &Path, mode: u32) -> Result<()> {
    let made = match fs::create_dir(path) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode))),
    };
    made.map_err(|cause| failed("make directory", path, cause))
}

/// Makes everything on the layer's file system durable (syncfs(2)): a record must not outlive its files.
fn sync(directory: &Path) -> Result<()> {
    rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|directory| rustix::fs::syncfs(&directory))
        .map_err(|cause| failed("sync", directory, cause.into()))
}
