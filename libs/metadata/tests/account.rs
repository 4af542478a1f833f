//! What is kept, why, and what is wrong with it.

mod support;

use containerd_api::services::containers::v1::Container;
use support::{container, fixture, image, labels};
use wherry_metadata::Object;

const REF: &str = "containerd.io/gc.ref.content.l.0";

fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Object {
    let found = objects.iter().find(|object| object.kind == kind && object.name == name);
    found.unwrap_or_else(|| panic!("no {kind} {name} in {objects:#?}"))
}

#[test]
fn every_object_has_its_reason_or_none() {
    let fixture = fixture();
    let ns = fixture.ns("a");
    let lease = ns.leases().create("l", labels(&[])).unwrap().id;
    let write = |text: &str, marks: &[(&str, &str)]| {
        ns.with_lease(&lease).content().write(text, text.as_bytes(), &labels(marks)).unwrap().to_string()
    };
    let layer = write("layer", &[]);
    let manifest = write("manifest", &[(REF, &layer)]);
    let root = write("root", &[("containerd.io/gc.root", "1")]);
    let leased = write("leased", &[]);
    let idle = write("idle", &[]);
    ns.images().create(image("i", &manifest), None).unwrap();
    let snapshots = ns.snapshots("overlayfs").unwrap();
    snapshots.prepare("k", "", &labels(&[])).unwrap();
    let record = Container { snapshotter: "overlayfs".into(), snapshot_key: "k".into(), ..container("c") };
    ns.containers().create(record).unwrap();
    ns.leases().delete(&lease, false).unwrap();
    let other = ns.leases().create("other", labels(&[])).unwrap().id;
    let resource =
        containerd_api::services::leases::v1::Resource { id: leased.clone(), r#type: "content".into() };
    ns.leases().add_resource(&other, &resource).unwrap();

    let objects = fixture.db.account(true).unwrap();
    for (kind, name, reason) in [
        ("image", "i", Some("it is a root".to_owned())),
        ("container", "c", Some("it is a root".to_owned())),
        ("content", &manifest, Some("image i".to_owned())),
        ("content", &layer, Some(format!("content {manifest}"))),
        ("content", &root, Some("label containerd.io/gc.root".to_owned())),
        ("content", &leased, Some("lease other".to_owned())),
        ("content", &idle, None),
        ("snapshot overlayfs", "k", Some("container c".to_owned())),
        ("lease", "other", Some("until it is deleted".to_owned())),
    ] {
        let found = find(&objects, kind, name);
        assert_eq!((&found.reason, &found.fault), (&reason, &None), "{kind} {name}");
    }
    assert_eq!(objects.len(), 9, "{objects:#?}");
    // What has no reason is what a collection takes.
    fixture.db.collect().unwrap();
    assert!(fixture.db.account(false).unwrap().iter().all(|object| object.reason.is_some()));
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_changed() {
    let fixture = fixture();
    let ns = fixture.ns("a");
    let lease = ns.leases().create("l", labels(&[])).unwrap().id;
    let content = ns.with_lease(&lease).content();
    let write = |text: &str| content.write(text, text.as_bytes(), &labels(&[])).unwrap();
    let (gone, short, torn) = (write("gone"), write("short"), write("torn"));
    let path = |digest: &content::Digest| fixture.db.content_store().blob_path(digest);
    let put = |digest: &content::Digest, text: &str| {
        std::fs::remove_file(path(digest)).unwrap();
        std::fs::write(path(digest), text).unwrap();
    };
    std::fs::remove_file(path(&gone)).unwrap();
    put(&short, "s");
    put(&torn, "TORN");
    let stray = content::Hasher::of(b"stray");
    std::fs::write(path(&stray), "stray").unwrap();
    let snapshots = ns.with_lease(&lease).snapshots("overlayfs").unwrap();
    snapshots.prepare("k", "", &labels(&[])).unwrap();
    let directories = fixture.root.path().join("overlayfs/snapshots");
    let made = std::fs::read_dir(&directories).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(made, directories.join("999")).unwrap();
    let missing = content::Hasher::of(b"missing").to_string();
    ns.images().create(image("i", &missing), None).unwrap();

    let objects = fixture.db.account(true).unwrap();
    let fault = |kind: &str, name: &str| find(&objects, kind, name).fault.clone().unwrap_or_default();
    assert_eq!(fault("content", gone.as_str()), "its file is missing");
    assert_eq!(fault("content", short.as_str()), "its file has 1 bytes, not 5");
    assert_eq!(fault("content", torn.as_str()), "its bytes have another digest");
    assert!(fault("snapshot overlayfs", "k").ends_with("is missing"));
    assert_eq!(fault("image", "i"), format!("its target {missing} is missing"));
    let stray = find(&objects, "content", stray.as_str());
    assert_eq!((stray.namespace.as_str(), &stray.reason), ("", &None));
    let unknown = directories.join("999").display().to_string();
    assert_eq!(find(&objects, "snapshot overlayfs", &unknown).reason, None);
    // Without reading them, bytes are believed.
    assert_eq!(find(&fixture.db.account(false).unwrap(), "content", torn.as_str()).fault, None);
    assert_eq!(fixture.db.account(true).unwrap(), objects);
}
