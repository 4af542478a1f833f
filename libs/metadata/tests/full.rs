//! A full disk: a clear error, deletions go on, and everything works again when space returns.

mod support;

use content::WriterOptions;
use errdefs::Kind;
use rustix::mount::{MountFlags, UnmountFlags};
use std::path::PathBuf;
use support::{container, labels, open};
use wherry_metadata::SharingPolicy;

/// A small file system that ends with the test.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_takes_deletions_and_recovers() {
    let root = tempfile::tempdir().unwrap();
    rustix::mount::mount("none", root.path(), "tmpfs", MountFlags::empty(), c"size=16m").unwrap();
    let small = Small(root.path().to_owned());
    let (db, _) = open(root.path(), SharingPolicy::Shared);
    let namespace = db.namespace("a").unwrap();
    let kept = namespace.content().write("kept", b"kept", &labels(&[])).unwrap();
    let options = WriterOptions { reference: "big".into(), ..WriterOptions::default() };
    let mut writer = namespace.content().writer(options).unwrap();
    let full = (0..).find_map(|_| writer.write(&[7; 1 << 18]).err()).unwrap();
    assert_eq!(full.kind(), Kind::ResourceExhausted);
    drop(writer);
    let mut made = 0;
    let refused = loop {
        let mut big = container(&format!("c{made}"));
        big.spec.as_mut().unwrap().value = vec![1; 50_000];
        match namespace.containers().create(big) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), Kind::ResourceExhausted, "{}", refused.chain());
    assert_eq!(namespace.containers().list(&[]).unwrap().len(), made);
    // What is there can be read, and deleted; that is what gives space back.
    assert_eq!(namespace.content().read(&kept, 9).unwrap(), b"kept");
    if made > 0 {
        namespace.containers().delete("c0").unwrap();
    }
    namespace.content().abort("big").unwrap();
    namespace.containers().create(container("after")).unwrap();
    drop((namespace, db));
    let (db, _) = open(root.path(), SharingPolicy::Shared);
    let namespace = db.namespace("a").unwrap();
    namespace.containers().get("after").unwrap();
    assert_eq!(namespace.content().read(&kept, 9).unwrap(), b"kept");
    drop((namespace, db));
    drop(small);
}
