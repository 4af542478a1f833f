//! Bundles: the directory a shim and its runtime work in, one a task.
//!
//! `STATE/io.containerd.runtime.v2.task/NAMESPACE/ID` holds the spec, the mount point of the root file
//! system, the shim's log fifo and what is needed to find the shim again; `ROOT/...` of the same name is the
//! task's working directory, which survives a reboot.

use super::bootstrap::Bootstrap;
use errdefs::{Error, Kind, Result};
use rustix::fs::{Mode, mkfifoat};
use rustix::mount::{UnmountFlags, unmount};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The note that a task's end was told; its own name, as other programs' files are beside it.
const EXIT_TOLD: &str = "exit-told";
/// The note of the sandbox in whose shim a task is.
const SANDBOX: &str = "sandbox";
/// The part of the daemon whose bundles they are: tasks', or sandboxes'.
const TASKS: &str = "io.containerd.runtime.v2.task";
const SANDBOXES: &str = "io.containerd.sandbox.controller.v1.shim";

/// Where bundles live.
#[derive(Clone, Debug)]
pub struct Layout {
    state: PathBuf,
    root: PathBuf,
}

/// One task's bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The task's namespace.
    pub namespace: String,
    /// The task's id.
    pub id: String,
    /// The bundle's directory.
    pub path: PathBuf,
    work: PathBuf,
}

impl Layout {
    /// Bundles of tasks below the daemon's state and root directories.
    pub fn new(state: &Path, root: &Path) -> Layout {
        Layout { state: state.join(TASKS), root: root.join(TASKS) }
    }

    /// Those of sandboxes.
    pub fn of_sandboxes(state: &Path, root: &Path) -> Layout {
        Layout { state: state.join(SANDBOXES), root: root.join(SANDBOXES) }
    }

    /// The bundle of a task, whether it exists or not.
    pub fn bundle(&self, namespace: &str, id: &str) -> Bundle {
        Bundle {
            namespace: namespace.to_owned(),
            id: id.to_owned(),
            path: self.state.join(namespace).join(id),
            work: self.root.join(namespace).join(id),
        }
    }

    /// Makes a task's bundle around `spec`, the bytes of its `config.json`; a sandbox may have none. Nothing is
    /// left if it fails.
    pub fn create(&self, namespace: &str, id: &str, spec: &[u8]) -> Result<Bundle> {
        let bundle = self.bundle(namespace, id);
        for parent in [&self.state, &self.root] {
            let dir = parent.join(namespace);
            DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(&dir)
                .map_err(|e| cannot("make", &dir, e))?;
        }
        make_dir(&bundle.path, 0o700)?;
        let filled = bundle.fill(spec);
        if filled.is_err() {
            let _ = bundle.delete();
        }
        filled.map(|()| bundle)
    }

    /// Every bundle that is there, complete or not. Hidden names are bundles half removed: they are finished.
    pub fn list(&self) -> Result<Vec<Bundle>> {
        let mut found = Vec::new();
        for namespace in names(&self.state)? {
            for id in names(&self.state.join(&namespace))? {
                match id.strip_prefix('.') {
                    Some(id) => self.bundle(&namespace, id).finish_removal(),
                    None => found.push(self.bundle(&namespace, &id)),
                }
            }
        }
        Ok(found)
    }
}

impl Bundle {
    fn fill(&self, spec: &[u8]) -> Result<()> {
        match make_dir(&self.work, 0o711) {
            Err(error) if error.kind() == Kind::AlreadyExists => {
                // A working directory without a bundle is left from before a reboot.
                remove_tree(&self.work)?;
                make_dir(&self.work, 0o711)?;
            }
            made => made?,
        }
        make_dir(&self.path.join("rootfs"), 0o711)?;
        let link = self.path.join("work");
        symlink(&self.work, &link).map_err(|e| cannot("make", &link, e))?;
        if !spec.is_empty() {
            let config = self.path.join("config.json");
            fs::write(&config, spec).map_err(|e| cannot("write", &config, e))?;
            self.admit_mapped_root(spec)?;
        }
        let log = self.log();
        mkfifoat(rustix::fs::CWD, &log, Mode::RWXU).map_err(|e| cannot("make", &log, e.into()))
    }

    /// With a user namespace the container's root must pass through the bundle to its file system.
    fn admit_mapped_root(&self, spec: &[u8]) -> Result<()> {
        let Some(gid) = mapped_root_gid(spec) else { return Ok(()) };
        std::os::unix::fs::chown(&self.path, None, Some(gid)).map_err(|e| cannot("chown", &self.path, e))?;
        fs::set_permissions(&self.path, Permissions::from_mode(0o710))
            .map_err(|e| cannot("chmod", &self.path, e))
    }

    /// The task's working directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The fifo on which the shim logs.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The mount point of the task's root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Notes how to reach the shim, and which binary it is, for the daemon's next life.
    pub fn save_shim(&self, bootstrap: &Bootstrap, binary: &Path) -> Result<()> {
        let json = serde_json::to_vec(bootstrap)
            .map_err(|e| Error::internal("cannot encode bootstrap").with_source(e))?;
        self.replace("shim-binary-path", binary.as_os_str().as_encoded_bytes())?;
        self.replace("bootstrap.json", &json)
    }

    /// Notes that the shim is a sandbox's.
    pub fn save_sandbox(&self, id: &str) -> Result<()> {
        self.replace(SANDBOX, id.as_bytes())
    }

    /// The sandbox in whose shim the task is, if it is in one.
    pub fn sandbox(&self) -> Option<String> {
        fs::read_to_string(self.path.join(SANDBOX)).ok()
    }

    /// How to reach the shim: `bootstrap.json`, or the bare `address` that shims wrote before it.
    pub fn load_bootstrap(&self) -> Result<Bootstrap> {
        let json = self.path.join("bootstrap.json");
        match fs::read(&json) {
            Ok(bytes) => super::bootstrap::parse_answer(&bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let address = self.path.join("address");
                super::bootstrap::parse_answer(&fs::read(&address).map_err(|e| cannot("read", &address, e))?)
            }
            Err(e) => Err(cannot("read", &json, e)),
        }
    }

    /// The binary of the shim, as noted at its start.
    pub fn load_shim_binary(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(self.path.join("shim-binary-path")).ok()?;
        Some(PathBuf::from(text.trim()))
    }

    /// Whether subscribers were told how the task ended.
    pub fn is_exit_told(&self) -> bool {
        self.path.join(EXIT_TOLD).exists()
    }

    /// Notes that they were; with the bundle the note goes.
    pub fn note_exit_told(&self) {
        // A bundle that is gone needs no note.
        let _ = fs::write(self.path.join(EXIT_TOLD), b"");
    }

    /// Whether a process was ever made in the bundle: runtimes write its number.
    pub fn has_process(&self) -> bool {
        self.path.join("init.pid").exists()
    }

    /// Removes the bundle and the working directory; that they are gone already is no failure.
    pub fn delete(&self) -> Result<()> {
        let rootfs = self.rootfs();
        // Empty as a rule; what has a mount on it stays, and is seen to below.
        if fs::remove_dir(&rootfs).is_err() {
            while unmount(&rootfs, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
            remove_tree(&rootfs)?;
        }
        for dir in [&self.path, &self.work] {
            if fs::remove_dir(dir).is_ok() {
                continue;
            }
            let hidden = hidden(dir);
            match fs::rename(dir, &hidden) {
                Ok(()) => remove_tree(&hidden)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(cannot("rename", dir, e)),
            }
        }
        Ok(())
    }

    fn finish_removal(&self) {
        for dir in [&self.path, &self.work] {
            if let Err(error) = remove_tree(&hidden(dir)) {
                tracing::warn!(bundle = %self.path.display(), "{}", error.chain());
            }
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!(".{name}")));
        fs::write(&new, bytes).map_err(|e| cannot("write", &new, e))?;
        fs::rename(&new, &path).map_err(|e| cannot("rename", &new, e))
    }
}

fn hidden(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!(".{name}"))
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| cannot("list", dir, e))?,
    };
    let names = entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(|e| cannot("list", dir, e))
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode).create(path).map_err(|e| match e.kind() {
        // The text is the one containerd's clients know for a task that was not cleaned up.
        io::ErrorKind::AlreadyExists => {
            Error::already_exists(format!("mkdir {}: file exists", path.display()))
        }
        _ => cannot("make", path, e),
    })
}

/// Removes a tree, but never what lies below a mount point: that belongs to somebody else.
fn remove_tree(path: &Path) -> Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(|e| cannot("stat", path, e))?,
    };
    let parent = path.parent().and_then(|parent| fs::metadata(parent).ok());
    if parent.is_some_and(|parent| parent.dev() != meta.dev()) {
        return Err(Error::failed_precondition(format!(
            "cannot remove {}: it is a mount point",
            path.display()
        ))
        .with_hint("Unmount it first."));
    }
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, e)),
        _ => Ok(()),
    }
}

/// The host gid of the container's root group, if the spec maps it in a user namespace.
fn mapped_root_gid(spec: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Spec {
        linux: Option<Linux>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Linux {
        #[serde(default)]
        gid_mappings: Vec<Mapping>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mapping {
        #[serde(rename = "containerID")]
        container: u32,
        #[serde(rename = "hostID")]
        host: u32,
        size: u32,
    }
    let linux = serde_json::from_slice::<Spec>(spec).ok()?.linux?;
    linux.gid_mappings.iter().find(|m| m.container == 0 && m.size > 0).map(|m| m.host)
}

fn cannot(verb: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::StorageFull => Kind::ResourceExhausted,
        _ => Kind::Unknown,
    };
    Error::new(kind, format!("cannot {verb} {}", path.display())).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("state"), &dir.path().join("root"));
        (dir, layout)
    }

    #[test]
    fn a_bundle_is_made_listed_and_removed() {
        let (_dir, layout) = layout();
        let bundle = layout.create("moby", "a", b"{}").unwrap();
        assert_eq!(fs::metadata(&bundle.path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read(bundle.path.join("config.json")).unwrap(), b"{}");
        assert!(bundle.path.join("work").is_dir());
        assert_eq!(layout.create("moby", "a", b"{}").unwrap_err().kind(), Kind::AlreadyExists);
        assert_eq!(layout.list().unwrap().len(), 1);
        bundle.delete().unwrap();
        bundle.delete().unwrap();
        assert!(layout.list().unwrap().is_empty());
        assert!(!bundle.work.exists());
    }

    #[test]
    fn a_removal_that_was_cut_is_finished() {
        let (_dir, layout) = layout();
        let bundle = layout.create("moby", "a", b"{}").unwrap();
        fs::rename(&bundle.path, hidden(&bundle.path)).unwrap();
        assert!(layout.list().unwrap().is_empty());
        assert!(!hidden(&bundle.path).exists());
    }

    #[test]
    fn the_mapped_root_may_enter() {
        let (_dir, layout) = layout();
        let spec = br#"{"linux":{"gidMappings":[{"containerID":0,"hostID":4242,"size":1}]}}"#;
        let bundle = layout.create("moby", "a", spec).unwrap();
        let meta = fs::metadata(&bundle.path).unwrap();
        assert_eq!((meta.gid(), meta.mode() & 0o777), (4242, 0o710));
    }

    #[test]
    fn both_notes_of_an_address_are_read() {
        let (_dir, layout) = layout();
        let bundle = layout.create("moby", "a", b"{}").unwrap();
        assert!(bundle.load_bootstrap().is_err());
        fs::write(bundle.path.join("address"), "unix:///run/s/old").unwrap();
        assert_eq!(bundle.load_bootstrap().unwrap().version, 2);
        let bootstrap =
            Bootstrap { version: 3, address: "unix:///run/s/new".into(), protocol: "ttrpc".into() };
        bundle.save_shim(&bootstrap, Path::new("/bin/shim")).unwrap();
        assert_eq!(bundle.load_bootstrap().unwrap(), bootstrap);
        assert_eq!(bundle.load_shim_binary().unwrap(), Path::new("/bin/shim"));
    }
}
