//! What containerd's content suite asks of namespaces (C1.15 to C1.20).

mod support;

use containerd_api::services::namespaces::v1::Namespace as Record;
use content::{Digest, Hasher, WriterOptions};
use errdefs::{Kind, Result};
use support::{fixture, fixture_with, labels};
use wherry_metadata::{CommitOptions, ContentWriter, Namespace, SharingPolicy};

fn open(
    namespace: &Namespace,
    reference: &str,
    expected: Option<&Digest>,
    total: u64,
) -> Result<ContentWriter> {
    namespace.content().writer(WriterOptions {
        reference: reference.into(),
        total,
        expected: expected.cloned(),
    })
}

fn commit(writer: &mut ContentWriter) -> Result<Digest> {
    writer.commit(CommitOptions::default())
}

#[test]
fn labels_and_times_of_a_blob() {
    let fixture = fixture();
    let content = fixture.ns("a").content();
    let digest = content.write("r", b"hello", &labels(&[("k1", "v1"), ("k2", "v2")])).unwrap();
    let first = content.info(&digest).unwrap();
    assert_eq!((first.size, first.labels.len()), (5, 2));
    let mut change = first.clone();
    change.labels = labels(&[("k3", "v3")]);
    let updated = content.update(&change, &["labels.k3".into(), "labels.k1".into()]).unwrap();
    assert_eq!(updated.labels, labels(&[("k2", "v2"), ("k3", "v3")]));
    assert_eq!(updated.created_at, first.created_at);
    assert_eq!(content.update(&change, &[]).unwrap().labels, labels(&[("k3", "v3")]));
    assert_eq!(content.update(&change, &["size".into()]).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(content.read(&digest, 5).unwrap(), b"hello");
    assert_eq!(content.read(&digest, 4).unwrap_err().kind(), Kind::OutOfRange);
    // Written again, it gets the labels on top.
    content.write("r", b"hello", &labels(&[("k4", "v4")])).unwrap();
    assert_eq!(content.info(&digest).unwrap().labels, labels(&[("k3", "v3"), ("k4", "v4")]));
}

#[test]
fn a_shared_blob_needs_no_bytes() {
    let fixture = fixture();
    let digest = fixture.ns("a").content().write("r", b"hello", &labels(&[])).unwrap();
    let other = fixture.ns("b");
    assert_eq!(other.content().info(&digest).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(other.content().reader(&digest).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(open(&other, "r", Some(&digest), 4).unwrap().offset(), 0);
    let mut writer = open(&other, "r2", Some(&digest), 5).unwrap();
    assert_eq!((writer.offset(), writer.digest()), (5, digest.clone()));
    commit(&mut writer).unwrap();
    assert_eq!(other.content().read(&digest, 9).unwrap(), b"hello");
    fixture.ns("a").content().delete(&digest).unwrap();
    other.leases().create("l", labels(&[])).unwrap();
    other
        .with_lease("l")
        .content()
        .writer(WriterOptions { reference: "again".into(), total: 0, expected: Some(digest.clone()) })
        .err()
        .unwrap();
    fixture.db.collect().unwrap();
    assert_eq!(other.content().read(&digest, 9).unwrap(), b"hello");
}

#[test]
fn a_shared_blob_can_be_appended_to_or_let_go() {
    let fixture = fixture();
    let digest = fixture.ns("a").content().write("r", b"hello", &labels(&[])).unwrap();
    let other = fixture.ns("b");
    let mut writer = open(&other, "r", Some(&digest), 0).unwrap();
    writer.write(b" world").unwrap();
    let longer = Hasher::of(b"hello world");
    let options = CommitOptions { size: 11, expected: Some(longer.clone()), ..Default::default() };
    assert_eq!(writer.commit(options).unwrap(), longer);
    assert_eq!(fixture.ns("a").content().read(&digest, 9).unwrap(), b"hello");
    let mut writer = open(&other, "r2", Some(&digest), 0).unwrap();
    writer.truncate(0).unwrap();
    assert_eq!(writer.offset(), 0);
    writer.write(b"hello").unwrap();
    commit(&mut writer).unwrap();
}

#[test]
fn an_isolated_namespace_uploads_all_unless_another_is_shareable() {
    let fixture = fixture_with(SharingPolicy::Isolated);
    let digest = fixture.ns("a").content().write("r", b"hello", &labels(&[])).unwrap();
    let other = fixture.ns("b");
    let mut writer = open(&other, "r", Some(&digest), 5).unwrap();
    assert_eq!(writer.offset(), 0);
    assert_eq!(commit(&mut writer).unwrap_err().kind(), Kind::FailedPrecondition);
    writer.write(b"hello").unwrap();
    commit(&mut writer).unwrap();
    let shareable = labels(&[("containerd.io/namespace.shareable", "true")]);
    fixture.db.namespaces().update(Record { name: "a".into(), labels: shareable }, &[]).unwrap();
    assert_eq!(open(&fixture.ns("c"), "r", Some(&digest), 5).unwrap().offset(), 5);
}

#[test]
fn a_lease_gets_the_ingest_then_the_blob() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let leases = namespace.leases();
    leases.create("l", labels(&[])).unwrap();
    leases.create("m", labels(&[])).unwrap();
    let kinds = |lease: &str| -> Vec<String> {
        leases.resources(lease).unwrap().into_iter().map(|resource| resource.r#type).collect()
    };
    let mut writer = open(&namespace.with_lease("l"), "r", None, 0).unwrap();
    assert_eq!(kinds("l"), ["ingests"]);
    writer.write(b"hello").unwrap();
    let digest = commit(&mut writer).unwrap();
    assert_eq!(kinds("l"), ["content"]);
    let present = open(&namespace.with_lease("m"), "r", Some(&digest), 0).err().unwrap();
    assert_eq!(present.wire_text(), format!("content {digest}: already exists"));
    assert_eq!(kinds("m"), ["content"]);
    drop(open(&namespace.with_lease("m"), "x", None, 0).unwrap());
    assert_eq!(namespace.content().statuses(&["ref==x".into()]).unwrap().len(), 1);
    namespace.content().abort("x").unwrap();
    assert_eq!(kinds("m"), ["content"]);
    assert_eq!(namespace.content().abort("x").unwrap_err().wire_text(), "reference x: not found");
}

#[test]
fn checks_name_the_reference_and_busy_ones_are_unavailable() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let mut writer = open(&namespace, "r", None, 0).unwrap();
    writer.write(b"hello").unwrap();
    let busy = open(&namespace, "r", None, 0).err().unwrap();
    assert!(busy.kind() == Kind::Unavailable && busy.chain().starts_with("ref a/"), "{}", busy.chain());
    let short = writer.commit(CommitOptions { size: 4, ..Default::default() }).unwrap_err();
    assert_eq!(short.wire_text(), "\"r\" failed size validation: 5 != 4: failed precondition");
    let wrong = CommitOptions { expected: Some(Hasher::of(b"x")), ..Default::default() };
    assert!(writer.commit(wrong).unwrap_err().chain().starts_with("unexpected commit digest "));
    drop(writer);
    assert_eq!(namespace.content().status("r").unwrap().offset, 5);
    assert_eq!(fixture.ns("b").content().status("r").unwrap_err().kind(), Kind::NotFound);
    // The ingest survives a restart, though its record was never waited for.
    let fixture = fixture.reopen();
    let mut writer = open(&fixture.ns("a"), "r", None, 0).unwrap();
    assert_eq!(writer.offset(), 5);
    commit(&mut writer).unwrap();
    assert!(fixture.ns("a").content().statuses(&[]).unwrap().is_empty());
}
