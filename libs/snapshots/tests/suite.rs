//! What containerd's snapshotter suite asks (C2), on every snapshotter, with real mounts.

use errdefs::Kind as Failure;
use rustix::mount::{MountFlags, UnmountFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wherry_snapshots::{
    Change, Kind, Labels, MemoryStore, Mount, Native, Overlay, OverlayOptions, Record, Snapshotter, Store,
};

struct Fixture {
    root: tempfile::TempDir,
    snapshotter: Arc<dyn Snapshotter>,
}

fn fixtures() -> Vec<Fixture> {
    let native = tempfile::tempdir().unwrap();
    let overlay = tempfile::tempdir().unwrap();
    let options = OverlayOptions { sync_commit: false, sync_remove: true, ..OverlayOptions::default() };
    let store = || Arc::new(MemoryStore::default());
    vec![
        Fixture {
            snapshotter: Arc::new(Native::open(native.path().join("root"), store()).unwrap()),
            root: native,
        },
        Fixture {
            snapshotter: Arc::new(Overlay::open(overlay.path().join("root"), store(), options).unwrap()),
            root: overlay,
        },
    ]
}

/// A mount that ends with the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

impl Fixture {
    fn mount(&self, name: &str, mounts: &[Mount]) -> Mounted {
        let target = self.root.path().join("mnt").join(name);
        fs::create_dir_all(&target).unwrap();
        let [mount] = mounts else { panic!("one mount, not {mounts:?}") };
        if mount.r#type == "bind" {
            rustix::mount::mount_bind(mount.source.as_str(), &target).unwrap();
            if mount.options.iter().any(|option| option == "ro") {
                rustix::mount::mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"").unwrap();
            }
        } else {
            let data = std::ffi::CString::new(mount.options.join(",")).unwrap();
            rustix::mount::mount("overlay", &target, "overlay", MountFlags::empty(), data.as_c_str())
                .unwrap();
        }
        Mounted(target)
    }

    /// Prepares over `parent`, lets `change` work in it, commits it as `name`.
    fn layer(&self, name: &str, parent: &str, change: impl FnOnce(&Path)) {
        let key = format!("{name}-active");
        let mounts = self.snapshotter.prepare(&key, parent, &Labels::new()).unwrap();
        let mounted = self.mount(&key, &mounts);
        change(&mounted.0);
        drop(mounted);
        self.snapshotter.commit(name, &key, "", &Labels::new()).unwrap();
    }
}

#[test]
fn layers_build_on_each_other() {
    for fixture in fixtures() {
        let snapshotter = &fixture.snapshotter;
        fixture.layer("one", "", |root| {
            fs::write(root.join("a"), "1").unwrap();
            fs::create_dir(root.join("dir")).unwrap();
            fs::write(root.join("dir/hidden"), "x").unwrap();
        });
        assert_eq!(snapshotter.stat("one-active").unwrap_err().kind(), Failure::NotFound);
        fixture.layer("two", "one", |root| {
            assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
            fs::write(root.join("a"), "2").unwrap();
            fs::remove_dir_all(root.join("dir")).unwrap();
            fs::create_dir(root.join("dir")).unwrap();
        });
        fixture.layer("three", "two", |root| fs::write(root.join("dir/new"), "y").unwrap());
        let view = fixture.mount("view", &snapshotter.view("view", "three", &Labels::new()).unwrap());
        assert_eq!(fs::read_to_string(view.0.join("a")).unwrap(), "2");
        assert!(!view.0.join("dir/hidden").exists() && view.0.join("dir/new").exists());
        assert!(fs::write(view.0.join("a"), "3").is_err(), "a view is read-only");
        drop(view);
        let info = snapshotter.stat("two").unwrap();
        assert_eq!((info.parent.as_str(), info.kind()), ("one", Kind::Committed));
        let names: Vec<_> = snapshotter.walk().unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(names, ["one", "three", "two", "view"]);
        for (name, failure) in [("two", Failure::FailedPrecondition), ("none", Failure::NotFound)] {
            assert_eq!(snapshotter.remove(name).unwrap_err().kind(), failure);
        }
        for name in ["view", "three", "two", "one"] {
            snapshotter.remove(name).unwrap();
        }
        assert!(snapshotter.walk().unwrap().is_empty());
    }
}

#[test]
fn keys_are_taken_once_and_may_be_used_again() {
    for fixture in fixtures() {
        let snapshotter = &fixture.snapshotter;
        let none = Labels::new();
        fixture.layer("base", "", |_| {});
        snapshotter.prepare("k", "base", &none).unwrap();
        for kind in [
            snapshotter.prepare("k", "", &none).unwrap_err().kind(),
            snapshotter.view("k", "base", &none).unwrap_err().kind(),
            snapshotter.prepare("base", "", &none).unwrap_err().kind(),
            snapshotter.commit("base", "k", "", &none).unwrap_err().kind(),
        ] {
            assert_eq!(kind, Failure::AlreadyExists);
        }
        assert_eq!(snapshotter.prepare("x", "none", &none).unwrap_err().kind(), Failure::NotFound);
        assert_eq!(snapshotter.prepare("x", "k", &none).unwrap_err().kind(), Failure::InvalidArgument);
        assert_eq!(snapshotter.mounts("base").unwrap_err().kind(), Failure::FailedPrecondition);
        assert_eq!(
            snapshotter.commit("y", "base", "", &none).unwrap_err().kind(),
            Failure::FailedPrecondition
        );
        assert_eq!(snapshotter.commit("y", "none", "", &none).unwrap_err().kind(), Failure::NotFound);
        snapshotter.remove("k").unwrap();
        snapshotter.view("k", "base", &none).unwrap();
        assert_eq!(snapshotter.commit("y", "k", "", &none).unwrap_err().kind(), Failure::FailedPrecondition);
    }
}

#[test]
fn labels_change_by_path() {
    for fixture in fixtures() {
        let snapshotter = &fixture.snapshotter;
        let label = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
        snapshotter.prepare("k", "", &label("a", "1")).unwrap();
        let mut info = snapshotter.stat("k").unwrap();
        assert_eq!(info.created_at, info.updated_at);
        info.labels = Labels::from([("b".into(), "2".into()), ("c".into(), "3".into())]);
        info.parent = "ignored".into();
        let updated = snapshotter.update(&info, &["labels.b".into()]).unwrap();
        assert_eq!(updated.labels.len(), 2);
        assert_eq!((updated.created_at, updated.parent.as_str()), (info.created_at, ""));
        assert_eq!(snapshotter.update(&info, &["labels".into()]).unwrap().labels, info.labels);
        assert_eq!(
            snapshotter.update(&info, &["parent".into()]).unwrap_err().kind(),
            Failure::InvalidArgument
        );
    }
}

#[test]
fn usage_counts_what_is_written() {
    for fixture in fixtures() {
        fixture.layer("base", "", |root| {
            fs::write(root.join("a"), vec![1; 100_000]).unwrap();
            fs::hard_link(root.join("a"), root.join("b")).unwrap();
        });
        for _ in 0..2 {
            let usage = fixture.snapshotter.usage("base").unwrap();
            assert_eq!(usage.inodes, 2);
            assert!((100_000..150_000).contains(&usage.size), "{usage:?}");
        }
    }
}

#[test]
fn overlay_rebases_at_commit_only_what_has_no_parent() {
    let fixture = fixtures().pop().unwrap();
    let (snapshotter, none) = (&fixture.snapshotter, Labels::new());
    fixture.layer("base", "", |_| {});
    fixture.layer("other", "", |_| {});
    snapshotter.prepare("a", "", &none).unwrap();
    assert_eq!(snapshotter.commit("top", "a", "none", &none).unwrap_err().kind(), Failure::NotFound);
    snapshotter.commit("top", "a", "base", &none).unwrap();
    assert_eq!(snapshotter.stat("top").unwrap().parent, "base");
    assert_eq!(snapshotter.remove("base").unwrap_err().kind(), Failure::FailedPrecondition);
    snapshotter.prepare("b", "base", &none).unwrap();
    assert_eq!(snapshotter.commit("x", "b", "other", &none).unwrap_err().kind(), Failure::InvalidArgument);
    snapshotter.commit("x", "b", "base", &none).unwrap();
}

#[test]
fn overlay_mounts_are_containerds() {
    let fixture = fixtures().pop().unwrap();
    let (snapshotter, none) = (&fixture.snapshotter, Labels::new());
    let options = |mounts: Vec<Mount>| (mounts[0].r#type.clone(), mounts[0].options.join(","));
    let alone = options(snapshotter.prepare("a", "", &none).unwrap());
    assert_eq!(alone, ("bind".into(), "rw,rbind".into()));
    snapshotter.commit("base", "a", "", &none).unwrap();
    let view = options(snapshotter.view("v", "base", &none).unwrap());
    assert_eq!(view, ("bind".into(), "ro,rbind".into()));
    let dir = fixture.root.path().join("root/snapshots");
    let dir = dir.display();
    let (kind, active) = options(snapshotter.prepare("b", "base", &none).unwrap());
    assert_eq!(kind, "overlay");
    assert!(
        active.starts_with(&format!("workdir={dir}/3/work,upperdir={dir}/3/fs,lowerdir={dir}/1/fs")),
        "{active}"
    );
    let mapped = Labels::from([
        ("containerd.io/snapshot/uidmapping".into(), "0:1000:10".into()),
        ("containerd.io/snapshot/gidmapping".into(), "0:2000:10".into()),
    ]);
    let (_, mapped) = options(snapshotter.prepare("m", "base", &mapped).unwrap());
    assert!(mapped.starts_with("uidmap=0:1000:10,gidmap=0:2000:10,workdir="), "{mapped}");
    use std::os::unix::fs::MetadataExt;
    let upper = fs::metadata(fixture.root.path().join("root/snapshots/4/fs")).unwrap();
    assert_eq!((upper.uid(), upper.gid(), upper.mode() & 0o777), (1000, 2000, 0o755));
}

#[test]
fn cleanup_takes_only_what_nothing_names() {
    for fixture in fixtures() {
        fixture.layer("base", "", |root| fs::write(root.join("a"), "1").unwrap());
        let orphan = fixture.root.path().join("root/snapshots/999/fs");
        fs::create_dir_all(&orphan).unwrap();
        fixture.snapshotter.cleanup().unwrap();
        assert!(!orphan.exists());
        let view = fixture.mount("v", &fixture.snapshotter.view("v", "base", &Labels::new()).unwrap());
        assert!(view.0.join("a").exists());
    }
}

#[test]
fn a_directory_that_a_crash_left_is_not_taken_for_a_new_one() {
    for fixture in fixtures() {
        let stale = fixture.root.path().join("root/snapshots/1/fs");
        fs::create_dir_all(&stale).unwrap();
        fs::write(stale.join("stale"), "").unwrap();
        let mounts = fixture.snapshotter.prepare("a", "", &Labels::new()).unwrap();
        assert_eq!(fs::read_dir(&mounts[0].source).unwrap().count(), 0);
    }
}

#[test]
fn what_a_power_failure_took_is_made_anew_or_named() {
    for fixture in fixtures() {
        let (snapshotter, none) = (&fixture.snapshotter, Labels::new());
        fixture.layer("base", "", |root| fs::write(root.join("a"), "1").unwrap());
        fixture.layer("lost", "base", |_| {});
        snapshotter.prepare("active", "base", &none).unwrap();
        snapshotter.view("view", "base", &none).unwrap();
        assert_eq!(snapshotter.heal().unwrap(), Vec::<String>::new());
        for id in [2, 3, 4] {
            fs::remove_dir_all(fixture.root.path().join(format!("root/snapshots/{id}"))).unwrap();
        }
        assert_eq!(snapshotter.heal().unwrap(), ["lost"]);
        for key in ["active", "view"] {
            let mounted = fixture.mount(key, &snapshotter.mounts(key).unwrap());
            assert_eq!(fs::read_to_string(mounted.0.join("a")).unwrap(), "1");
        }
    }
}

/// A store that loses its disk.
struct Broken(MemoryStore);

impl Store for Broken {
    fn get(&self, name: &str) -> Option<Record> {
        self.0.get(name)
    }
    fn list(&self) -> Vec<(String, Record)> {
        self.0.list()
    }
    fn has_children(&self, name: &str) -> bool {
        self.0.has_children(name)
    }
    fn next_id(&self) -> errdefs::Result<u64> {
        self.0.next_id()
    }
    fn apply(&self, _: Vec<Change>) -> errdefs::Result<()> {
        Err(errdefs::Error::unavailable("no disk"))
    }
}

#[test]
fn a_failed_prepare_leaves_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(Broken(MemoryStore::default()));
    let overlay = Overlay::open(root.path().join("root"), store, OverlayOptions::default()).unwrap();
    assert_eq!(overlay.prepare("a", "", &Labels::new()).unwrap_err().kind(), Failure::Unavailable);
    assert_eq!(fs::read_dir(root.path().join("root/snapshots")).unwrap().count(), 0);
}
