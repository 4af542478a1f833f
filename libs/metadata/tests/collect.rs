//! Garbage collection: nothing in use goes, nothing unused stays.

mod support;

use containerd_api::services::leases::v1::Resource;
use content::{Digest, WriterOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Fixture, container, fixture, image, labels};
use wherry_metadata::{CommitOptions, Namespace};

fn blob(namespace: &Namespace, data: &str, with: &[(&str, &str)]) -> Digest {
    namespace.content().write(&format!("ref-{data}"), data.as_bytes(), &labels(with)).unwrap()
}

fn has(namespace: &Namespace, digest: &Digest) -> bool {
    namespace.content().reader(digest).is_ok()
}

/// A committed snapshot with these labels.
fn layer(namespace: &Namespace, name: &str, parent: &str, with: &[(&str, &str)]) {
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    snapshots.prepare(&format!("{name}-active"), parent, &labels(&[])).unwrap();
    snapshots.commit(name, &format!("{name}-active"), "", &labels(with)).unwrap();
}

fn layers(namespace: &Namespace) -> Vec<String> {
    namespace.snapshots("overlayfs").unwrap().list(&[]).unwrap().into_iter().map(|info| info.name).collect()
}

#[test]
fn an_image_keeps_its_tree_and_its_end_frees_it() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    layer(&namespace, "chain1", "", &[]);
    layer(&namespace, "chain2", "chain1", &[]);
    layer(&namespace, "loose", "chain1", &[]);
    let config = blob(&namespace, "config", &[("containerd.io/gc.ref.snapshot.overlayfs", "chain2")]);
    let part = blob(&namespace, "part", &[]);
    let junk = blob(&namespace, "junk", &[]);
    let manifest = blob(
        &namespace,
        "manifest",
        &[
            ("containerd.io/gc.ref.content.config", config.as_str()),
            ("containerd.io/gc.ref.content.l.0", part.as_str()),
            ("containerd.io/gc.ref.contentjunk", junk.as_str()),
        ],
    );
    namespace.images().create(image("i", manifest.as_str()), None).unwrap();
    let stats = fixture.db.collect().unwrap();
    assert_eq!((stats.removed, stats.blobs, stats.snapshots), (2, 1, 1));
    assert!(has(&namespace, &config) && has(&namespace, &part) && !has(&namespace, &junk));
    assert_eq!(layers(&namespace), ["chain1", "chain2"]);
    namespace.images().delete("i", None, true).unwrap();
    assert!(layers(&namespace).is_empty());
    assert_eq!((fixture.files("content/blobs/sha256"), fixture.files("overlayfs/snapshots")), (0, 0));
    assert_eq!(fixture.db.collect().unwrap().removed, 0);
}

#[test]
fn containers_leases_roots_and_sandboxes_hold() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    namespace.snapshots("overlayfs").unwrap().prepare("rw", "", &labels(&[])).unwrap();
    let mut made = container("c");
    (made.snapshotter, made.snapshot_key) = ("overlayfs".into(), "rw".into());
    let by_label = blob(&namespace, "by-label", &[]);
    made.labels = labels(&[("containerd.io/gc.ref.content/x", by_label.as_str())]);
    namespace.containers().create(made).unwrap();
    let rooted = blob(&namespace, "rooted", &[("containerd.io/gc.root", "yes")]);
    layer(&namespace, "rooted", "", &[("containerd.io/gc.root", "yes")]);
    let sandboxed = blob(&namespace, "sandboxed", &[]);
    let sandbox = containerd_api::types::Sandbox {
        sandbox_id: "s".into(),
        labels: labels(&[("containerd.io/gc.ref.content", sandboxed.as_str())]),
        ..Default::default()
    };
    namespace.sandboxes().create(sandbox).unwrap();
    namespace.leases().create("l", labels(&[])).unwrap();
    let leased = blob(&namespace.with_lease("l"), "leased", &[]);
    fixture.db.collect().unwrap();
    for digest in [&by_label, &rooted, &sandboxed, &leased] {
        assert!(has(&namespace, digest));
    }
    assert_eq!(layers(&namespace), ["rooted", "rw"]);
    namespace.leases().delete("l", true).unwrap();
    namespace.containers().delete("c").unwrap();
    fixture.db.collect().unwrap();
    assert!(!has(&namespace, &leased) && !has(&namespace, &by_label));
    assert_eq!(layers(&namespace), ["rooted"]);
}

#[test]
fn expired_leases_and_images_go() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let past = [("containerd.io/gc.expire", "2020-01-01T00:00:00Z")];
    let future = [("containerd.io/gc.expire", "2999-01-01T00:00:00Z")];
    let odd = [("containerd.io/gc.expire", "soon")];
    for (id, with) in [("past", past), ("future", future), ("odd", odd)] {
        namespace.leases().create(id, labels(&with)).unwrap();
        blob(&namespace.with_lease(id), id, &[]);
        let target = blob(&namespace, &format!("image-{id}"), &[]);
        let mut made = image(id, target.as_str());
        made.labels = labels(&with);
        namespace.images().create(made, None).unwrap();
    }
    fixture.db.collect().unwrap();
    let names: Vec<_> = namespace.images().list(&[]).unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["future", "odd"]);
    assert_eq!(namespace.leases().list(&[]).unwrap().len(), 2);
    assert_eq!(fixture.files("content/blobs/sha256"), 4);
}

#[test]
fn a_flat_lease_follows_no_labels_but_keeps_parents() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let child = blob(&namespace, "child", &[]);
    let parent = blob(&namespace, "parent", &[("containerd.io/gc.ref.content.x", child.as_str())]);
    layer(&namespace, "below", "", &[]);
    layer(&namespace, "above", "below", &[("containerd.io/gc.ref.content.x", child.as_str())]);
    namespace.leases().create("flat", labels(&[("containerd.io/gc.flat", "1")])).unwrap();
    for (kind, id) in [("content", parent.as_str()), ("snapshots/overlayfs", "above")] {
        let resource = Resource { r#type: kind.into(), id: id.into() };
        namespace.leases().add_resource("flat", &resource).unwrap();
    }
    fixture.db.collect().unwrap();
    assert!(has(&namespace, &parent) && !has(&namespace, &child));
    assert_eq!(layers(&namespace), ["above", "below"]);
}

#[test]
fn back_references_keep_the_child_while_the_parent_lives() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    namespace.containers().create(container("c")).unwrap();
    let child = blob(&namespace, "child", &[("containerd.io/gc.bref.container", "c")]);
    let orphan = blob(&namespace, "orphan", &[("containerd.io/gc.bref.container/x", "gone")]);
    layer(&namespace, "by-content", "", &[("containerd.io/gc.bref.content", child.as_str())]);
    fixture.db.collect().unwrap();
    assert!(has(&namespace, &child) && !has(&namespace, &orphan));
    assert_eq!(layers(&namespace), ["by-content"]);
    namespace.containers().delete("c").unwrap();
    fixture.db.collect().unwrap();
    assert!(!has(&namespace, &child) && layers(&namespace).is_empty());
}

#[test]
fn snapshots_are_kept_on_condition_of_their_use() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let ago = |hours: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours)).to_string();
    let (recent, old) = (ago(1), ago(3));
    for (key, used) in [("recent", Some(&recent)), ("old", Some(&old)), ("never", None)] {
        let pairs: Vec<_> =
            used.map(|used| ("containerd.io/gc.cond.value-usedat", used.as_str())).into_iter().collect();
        layer(&namespace, key, "", &pairs);
    }
    let target = blob(&namespace, "target", &[]);
    let mut kept = image("image", target.as_str());
    let label = |key: &str| format!("containerd.io/gc.cond.snapshot.overlayfs/{key}");
    kept.labels = ["recent", "old", "never"].map(|key| (label(key), format!("usedat<2h|{key}"))).into();
    namespace.images().create(kept, None).unwrap();
    fixture.db.collect().unwrap();
    assert_eq!(layers(&namespace), ["recent"]);
    // The condition is the image's: without it nothing keeps the snapshot.
    namespace.images().delete("image", None, false).unwrap();
    fixture.db.collect().unwrap();
    assert!(layers(&namespace).is_empty());
}

#[test]
fn namespaces_do_not_hold_each_others_records_but_share_the_file() {
    let fixture = fixture();
    let (a, b) = (fixture.ns("a"), fixture.ns("b"));
    let digest = blob(&a, "x", &[("containerd.io/gc.root", "1")]);
    blob(&b, "x", &[]);
    fixture.db.collect().unwrap();
    assert!(has(&a, &digest) && !has(&b, &digest));
}

#[test]
fn open_ingests_stay_and_closed_ones_wait_for_their_end() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let open = |namespace: &Namespace, reference: &str| {
        let options = WriterOptions { reference: reference.into(), ..WriterOptions::default() };
        namespace.content().writer(options).unwrap()
    };
    namespace.leases().create("l", labels(&[])).unwrap();
    let leased = open(&namespace.with_lease("l"), "leased");
    let mut busy = open(&namespace.with_lease("l"), "busy");
    drop(leased);
    drop(open(&namespace, "young"));
    busy.write(b"bytes").unwrap();
    fixture.db.collect().unwrap();
    assert_eq!(namespace.content().statuses(&[]).unwrap().len(), 3);
    namespace.leases().delete("l", true).unwrap();
    let left: Vec<_> =
        namespace.content().statuses(&[]).unwrap().into_iter().map(|status| status.reference).collect();
    assert_eq!(left, ["busy", "young"]);
    // Its lease is gone, and with it the promise: the bytes stay for whoever opens the ingest again.
    assert_eq!(busy.commit(CommitOptions::default()).unwrap_err().kind(), errdefs::Kind::NotFound);
    drop(busy);
    let mut again = open(&namespace, "busy");
    assert_eq!(again.offset(), 5);
    again.commit(CommitOptions::default()).unwrap();
}

fn stress(fixture: &Fixture, threads: usize, rounds: usize) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fixture.db.collect().unwrap();
            }
        });
        let imports: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..rounds {
                        import(&fixture.ns(if thread % 2 == 0 { "a" } else { "b" }), thread, round);
                    }
                })
            })
            .collect();
        let results: Vec<_> = imports.into_iter().map(|import| import.join()).collect();
        done.store(true, Ordering::Relaxed);
        collector.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
}

/// An import as clients do it: a lease, shared layers, a manifest, an image, a container's snapshot, and the end.
fn import(namespace: &Namespace, thread: usize, round: usize) {
    let lease = format!("lease-{thread}-{round}");
    namespace.leases().create(&lease, labels(&[])).unwrap();
    let leased = namespace.with_lease(&lease);
    // The same bytes from every thread and namespace: each is somebody else's garbage now and then.
    let layer_blob = write_shared(&leased, thread, &format!("layer-{}", round % 3));
    let own = format!("{thread}-{round}");
    let snapshots = leased.snapshots("overlayfs").unwrap();
    snapshots.prepare(&format!("extract-{own}"), "", &labels(&[])).unwrap();
    snapshots.commit(&format!("chain-{own}"), &format!("extract-{own}"), "", &labels(&[])).unwrap();
    let chain = format!("chain-{own}");
    let manifest = blob(
        &leased,
        &format!("manifest-{own}"),
        &[
            ("containerd.io/gc.ref.content.l.0", layer_blob.as_str()),
            ("containerd.io/gc.ref.snapshot.overlayfs", &chain),
        ],
    );
    namespace.images().create(image(&format!("image-{own}"), manifest.as_str()), None).unwrap();
    namespace.leases().delete(&lease, false).unwrap();
    assert_eq!(namespace.content().read(&manifest, 100).unwrap().len(), format!("manifest-{own}").len());
    assert!(has(namespace, &layer_blob), "the image's layer");
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    let mounts =
        snapshots.prepare(&format!("rw-{own}"), &chain, &labels(&[("containerd.io/gc.root", "1")])).unwrap();
    let upper = mounts[0].options.iter().find_map(|option| option.strip_prefix("upperdir=")).unwrap();
    assert!(std::path::Path::new(upper).is_dir());
    snapshots.remove(&format!("rw-{own}")).unwrap();
    namespace.images().delete(&format!("image-{own}"), None, false).unwrap();
}

/// Writers of one reference wait for each other; who comes later finds the blob.
fn write_shared(namespace: &Namespace, thread: usize, data: &str) -> Digest {
    let digest = content::Hasher::of(data.as_bytes());
    let expected = Some(digest.clone());
    let options =
        WriterOptions { reference: format!("shared-{thread}-{data}"), total: data.len() as u64, expected };
    let written = namespace.content().writer(options).and_then(|mut writer| {
        if writer.offset() == 0 {
            writer.write(data.as_bytes())?;
        }
        writer.commit(CommitOptions::default())
    });
    match written {
        Err(error) if error.kind() == errdefs::Kind::AlreadyExists => {}
        written => drop(written.unwrap()),
    }
    digest
}

#[test]
fn imports_and_collections_do_not_meet() {
    let fixture = fixture();
    stress(&fixture, 4, 12);
    fixture.db.collect().unwrap();
    for name in ["a", "b"] {
        assert!(fixture.ns(name).content().list(&[]).unwrap().is_empty());
        assert!(layers(&fixture.ns(name)).is_empty());
    }
    assert_eq!((fixture.files("content/blobs/sha256"), fixture.files("content/ingest")), (0, 0));
    assert_eq!(fixture.files("overlayfs/snapshots"), 0);
}
