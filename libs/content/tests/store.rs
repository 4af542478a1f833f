//! What containerd's content suite asks of a store (C1), on the local one.

use errdefs::Kind;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;
use wherry_content::{Hasher, Status, Store, WriterOptions};

fn options(reference: &str) -> WriterOptions {
    WriterOptions { reference: reference.into(), ..WriterOptions::default() }
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

#[test]
fn a_blob_is_committed_read_and_removed() {
    let (root, store) = store();
    let data = vec![7; 100_000];
    let digest = Hasher::of(&data);
    let mut writer = store.writer(options("one")).unwrap();
    let before = SystemTime::now();
    for piece in data.chunks(32) {
        writer.write(piece).unwrap();
    }
    let Status { offset, updated, started, .. } = writer.status().clone();
    assert!(offset == data.len() as u64 && updated >= before && started <= before);
    assert_eq!(writer.digest(), digest);
    assert_eq!(writer.commit(0, None).unwrap(), digest);
    let info = store.info(&digest).unwrap();
    assert_eq!(info.size, data.len() as u64);
    let path = root.path().join("blobs/sha256").join(digest.hex());
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o444);
    let mut longer = vec![0; data.len() + 10];
    assert_eq!(store.reader(&digest).unwrap().read_at(&mut longer, 0).unwrap(), data.len());
    assert_eq!(store.walk().unwrap(), [info]);
    assert_eq!(std::fs::read_dir(root.path().join("ingest")).unwrap().count(), 0);
    store.delete(&digest).unwrap();
    assert_eq!(store.delete(&digest).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn one_writer_a_reference() {
    let (_root, store) = store();
    let writer = store.writer(options("r")).unwrap();
    let refused = store.writer(options("r")).err().unwrap();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(refused.to_string().starts_with("ref r locked for "), "{refused}");
    drop(writer);
    store.writer(options("r")).unwrap();
}

#[test]
fn a_failed_check_keeps_the_bytes() {
    let (_root, store) = store();
    let mut writer = store.writer(options("r")).unwrap();
    writer.write(b"hello").unwrap();
    let wrong = Hasher::of(b"other");
    assert_eq!(writer.commit(0, Some(&wrong)).unwrap_err().kind(), Kind::FailedPrecondition);
    assert_eq!(writer.commit(6, None).unwrap_err().kind(), Kind::FailedPrecondition);
    drop(writer);
    let mut writer = store.writer(options("r")).unwrap();
    assert_eq!(writer.status().offset, 5);
    writer.commit(5, Some(&Hasher::of(b"hello"))).unwrap();
}

#[test]
fn the_same_bytes_again_exist_already_and_free_the_reference() {
    let (_root, store) = store();
    for (round, expected) in [None, None, Some(Hasher::of(b"x"))].into_iter().enumerate() {
        let mut writer = store.writer(options("r")).unwrap();
        assert_eq!(writer.status().offset, 0);
        writer.write(b"x").unwrap();
        let outcome = writer.commit(0, expected.as_ref());
        assert_eq!(outcome.err().map(|error| error.kind()), (round > 0).then_some(Kind::AlreadyExists));
    }
    let known = WriterOptions { expected: Some(Hasher::of(b"x")), ..options("s") };
    assert_eq!(store.writer(known).err().unwrap().kind(), Kind::AlreadyExists);
}

#[test]
fn sha512_is_checked_by_hashing_again() {
    let (_root, store) = store();
    let mut hasher = Hasher::new("sha512").unwrap();
    hasher.update(b"abc");
    let mut writer = store.writer(options("r")).unwrap();
    writer.write(b"abc").unwrap();
    assert_eq!(writer.commit(3, Some(&hasher.digest())).unwrap(), hasher.digest());
    assert!(store.reader(&hasher.digest()).is_ok());
}

#[test]
fn status_abort_and_torn_ingests() {
    let (root, store) = store();
    let mut writer = store.writer(WriterOptions { total: 9, ..options("r") }).unwrap();
    writer.write(b"abc").unwrap();
    let open = store.status("r").unwrap();
    assert_eq!((open.offset, open.reference.as_str()), (3, "r"));
    drop(writer);
    assert_eq!(store.status("r").unwrap().total, 9);
    assert_eq!(store.statuses().unwrap().len(), 1);
    // Another total begins anew.
    let writer = store.writer(WriterOptions { total: 8, ..options("r") }).unwrap();
    assert_eq!(writer.status().offset, 0);
    store.abort("r").unwrap();
    drop(writer);
    assert_eq!(store.abort("r").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(store.status("r").unwrap_err().kind(), Kind::NotFound);
    std::fs::create_dir(root.path().join("ingest/torn")).unwrap();
    assert_eq!(store.remove_torn_ingests().unwrap(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_cut_write_resumes(data in prop::collection::vec(any::<u8>(), 1..60_000), cut in 0.0..=1.0, anew in any::<bool>()) {
        let (_root, store) = store();
        let cut = (data.len() as f64 * cut) as usize;
        let total = WriterOptions { total: data.len() as u64, ..options("r") };
        let mut writer = store.writer(total.clone()).unwrap();
        writer.write(&data[..cut]).unwrap();
        let before = writer.status().clone();
        drop(writer);
        let mut writer = store.writer(total).unwrap();
        prop_assert_eq!(writer.status().offset, cut as u64);
        prop_assert_eq!(writer.digest(), Hasher::of(&data[..cut]));
        prop_assert_eq!(writer.status().started, before.started);
        if anew {
            writer.truncate(0).unwrap();
            writer.write(&data).unwrap();
        } else {
            writer.write(&data[cut..]).unwrap();
        }
        prop_assert_eq!(writer.commit(data.len() as u64, None).unwrap(), Hasher::of(&data));
    }
}
