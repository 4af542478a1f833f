//! Containers, images, leases, namespaces, sandboxes: what containerd's metadata tests ask (C4).

mod support;

use containerd_api::services::leases::v1::Resource;
use containerd_api::services::namespaces::v1::Namespace;
use containerd_api::types::{Descriptor, Sandbox};
use errdefs::Kind;
use support::{container, fixture, image, labels};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn containers_live_in_their_namespace_and_survive() {
    let fixture = fixture();
    let containers = fixture.ns("a").containers();
    let created = containers.create(container("one")).unwrap();
    assert!(created.created_at.is_some() && created.created_at == created.updated_at);
    let again = containers.create(container("one")).unwrap_err();
    assert_eq!(again.wire_text(), "container \"one\": already exists");
    let absent = fixture.ns("b").containers().get("one").unwrap_err();
    assert_eq!(absent.wire_text(), "container \"one\" in namespace \"b\": not found");
    assert!(fixture.ns("b").containers().list(&[]).unwrap().is_empty());
    let fixture = fixture.reopen();
    assert_eq!(fixture.ns("a").containers().get("one").unwrap(), created);
    fixture.ns("a").containers().delete("one").unwrap();
    assert_eq!(fixture.ns("a").containers().delete("one").unwrap_err().kind(), Kind::NotFound);
    assert!(fixture.reopen().ns("a").containers().list(&[]).unwrap().is_empty());
}

#[test]
fn containers_are_validated() {
    let fixture = fixture();
    let containers = fixture.ns("a").containers();
    let broken = |change: fn(&mut containerd_api::services::containers::v1::Container)| {
        let mut broken = container("x");
        change(&mut broken);
        let error = containers.create(broken).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        error.chain()
    };
    assert_eq!(
        broken(|c| c.runtime = None),
        "create container failed validation: container.Runtime.Name must be set"
    );
    assert!(broken(|c| c.spec = None).ends_with("container.Spec must be set"));
    assert!(broken(|c| c.snapshot_key = "k".into()).contains("container.Snapshotter must be set"));
    assert!(broken(|c| c.id = "a/b".into()).contains("must match"));
    let long = broken(|c| drop(c.labels.insert("k".repeat(100), "v".repeat(4000))));
    assert!(long.contains("containers.Labels: label key and value length (4100 bytes) greater"), "{long}");
}

#[test]
fn container_updates_touch_what_the_mask_names() {
    let fixture = fixture();
    let containers = fixture.ns("a").containers();
    let mut first = container("x");
    first.labels = labels(&[("keep", "1"), ("drop", "2"), ("a.b", "3")]);
    first.extensions.insert("e".into(), containerd_api::Any::default());
    containers.create(first.clone()).unwrap();
    let mut change = container("x");
    change.labels = labels(&[("a.b", "4"), ("other", "9")]);
    change.image = "img".into();
    let paths = ["labels.a.b", "labels.drop", "image"].map(String::from);
    let updated = containers.update(change.clone(), &paths).unwrap();
    assert_eq!(updated.labels, labels(&[("keep", "1"), ("a.b", "4")]));
    assert_eq!((updated.image.as_str(), updated.extensions.len()), ("img", 1));
    let refused = containers.update(change.clone(), &["runtime".into()]).unwrap_err();
    assert_eq!(refused.wire_text(), "cannot update \"runtime\" field on \"x\": invalid argument");
    change.runtime.as_mut().unwrap().name = "other".into();
    assert!(
        containers
            .update(change.clone(), &[])
            .unwrap_err()
            .chain()
            .contains("Runtime.Name field is immutable")
    );
    change.id = "none".into();
    assert_eq!(containers.update(change, &[]).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn lists_are_filtered() {
    let fixture = fixture();
    let containers = fixture.ns("a").containers();
    for id in ["one", "two"] {
        let mut made = container(id);
        made.labels = labels(&[("is", id)]);
        containers.create(made).unwrap();
    }
    let count = |filters: &[&str]| {
        containers.list(&filters.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap().len()
    };
    assert_eq!(count(&["id==one"]), 1);
    assert_eq!(count(&["labels.is==two", "id~=^o"]), 2);
    assert_eq!(count(&["labels.is==two,runtime.name==io.containerd.runc.v2"]), 1);
    assert_eq!(count(&["labels.none"]), 0);
    assert_eq!(containers.list(&["=".into()]).unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn images_are_validated_updated_and_deleted_by_target() {
    let fixture = fixture();
    let images = fixture.ns("a").images();
    for (change, text) in
        [(image("", DIGEST), "name"), (image("x", "sha256:nope"), "invalid"), (image("x", ""), "invalid")]
    {
        let error = images.create(change, None).unwrap_err();
        assert!(error.kind() == Kind::InvalidArgument && error.chain().contains(text), "{}", error.chain());
    }
    images.create(image("x", DIGEST), None).unwrap();
    let epoch = Some(containerd_api::Timestamp { seconds: 5, nanos: 0 });
    let mut change = image("x", DIGEST);
    change.target.as_mut().unwrap().annotations = labels(&[("k", "v")]);
    change.labels = labels(&[("l", "1")]);
    let updated = images.update(change.clone(), &["annotations.k".into()], epoch).unwrap();
    assert_eq!((updated.target.unwrap().annotations.len(), updated.labels.len()), (1, 0));
    assert_eq!(updated.updated_at, epoch);
    assert_eq!(images.update(change, &[], None).unwrap().labels.len(), 1);
    let other = Descriptor { digest: format!("sha256:{}", "0".repeat(64)), ..Descriptor::default() };
    let refused = images.delete("x", Some(&other), false).unwrap_err();
    assert!(refused.kind() == Kind::NotFound && refused.chain().starts_with("image x has target"));
    assert_eq!(images.create_or_update(image("x", DIGEST)).unwrap().labels.len(), 0);
    images.delete("x", None, true).unwrap();
    assert_eq!(images.get("x").unwrap_err().wire_text(), "image \"x\": not found");
}

#[test]
fn leases_hold_resources() {
    let fixture = fixture();
    let leases = fixture.ns("a").leases();
    let made = leases.create("", labels(&[("x", "y")])).unwrap();
    assert!(!made.id.is_empty());
    leases.create("l", labels(&[])).unwrap();
    assert_eq!(leases.create("l", labels(&[])).unwrap_err().wire_text(), "lease \"l\": already exists");
    let resource = |kind: &str, id: &str| Resource { r#type: kind.into(), id: id.into() };
    for (kind, id) in [("content", DIGEST), ("snapshots/overlayfs", "k"), ("ingests", "r"), ("images", "i")] {
        leases.add_resource("l", &resource(kind, id)).unwrap();
    }
    for (kind, id, failure) in [
        ("content", "x", Kind::InvalidArgument),
        ("content/x", DIGEST, Kind::InvalidArgument),
        ("snapshots", "k", Kind::InvalidArgument),
        ("mounts", "k", Kind::Unimplemented),
    ] {
        assert_eq!(leases.add_resource("l", &resource(kind, id)).unwrap_err().kind(), failure, "{kind}");
    }
    assert_eq!(leases.resources("l").unwrap().len(), 4);
    leases.delete_resource("l", &resource("ingests", "r")).unwrap();
    let fixture = fixture.reopen();
    let leases = fixture.ns("a").leases();
    assert_eq!(leases.resources("l").unwrap().len(), 3);
    assert_eq!(leases.list(&["id==l".into()]).unwrap().len(), 1);
    leases.delete("l", false).unwrap();
    assert_eq!(leases.delete("l", false).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(leases.resources("l").unwrap_err().kind(), Kind::NotFound);
    // A lease of the same name begins empty.
    let fixture = fixture.reopen();
    fixture.ns("a").leases().create("l", labels(&[])).unwrap();
    assert!(fixture.ns("a").leases().resources("l").unwrap().is_empty());
}

#[test]
fn an_unknown_lease_is_refused_by_what_it_would_hold() {
    let fixture = fixture();
    let leased = fixture.ns("a").with_lease("nope");
    let refused = leased.snapshots("overlayfs").unwrap().prepare("k", "", &labels(&[])).unwrap_err();
    assert_eq!(refused.wire_text(), "lease does not exist: not found");
    assert_eq!(fixture.files("overlayfs/snapshots"), 0);
    let options = content::WriterOptions { reference: "r".into(), ..Default::default() };
    assert_eq!(leased.content().writer(options).err().unwrap().kind(), Kind::NotFound);
    assert_eq!(leased.images().create(image("x", DIGEST), None).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn namespaces_come_with_their_first_object_and_go_empty() {
    let fixture = fixture();
    let namespaces = fixture.db.namespaces();
    assert!(namespaces.get("unused").unwrap().labels.is_empty());
    assert!(namespaces.list().unwrap().is_empty());
    fixture.ns("a").containers().create(container("x")).unwrap();
    fixture.ns("a").snapshots("overlayfs").unwrap().prepare("k", "", &labels(&[])).unwrap();
    let full = namespaces.delete("a").unwrap_err();
    assert_eq!(
        full.wire_text(),
        "namespace \"a\" must be empty, but it still has containers, snapshots on \"overlayfs\" snapshotter: failed precondition"
    );
    let made = |name: &str| Namespace { name: name.into(), labels: labels(&[("k", "v")]) };
    assert_eq!(namespaces.create(made("a")).unwrap_err().kind(), Kind::AlreadyExists);
    assert_eq!(namespaces.create(made("a/b")).unwrap_err().kind(), Kind::InvalidArgument);
    namespaces.create(made("b")).unwrap();
    assert_eq!(fixture.ns("b").label("k").as_deref(), Some("v"));
    assert_eq!(namespaces.update(made("b"), &["labels".into()]).unwrap_err().kind(), Kind::InvalidArgument);
    let mut change = made("b");
    change.labels = labels(&[("new", "1")]);
    assert_eq!(namespaces.update(change.clone(), &["labels.new".into()]).unwrap().labels.len(), 2);
    assert_eq!(namespaces.update(change, &[]).unwrap().labels, labels(&[("new", "1")]));
    fixture.ns("a").snapshots("overlayfs").unwrap().remove("k").unwrap();
    fixture.ns("a").containers().delete("x").unwrap();
    namespaces.delete("a").unwrap();
    assert_eq!(namespaces.delete("a").unwrap_err().kind(), Kind::NotFound);
    let left: Vec<_> =
        fixture.reopen().db.namespaces().list().unwrap().into_iter().map(|ns| ns.name).collect();
    assert_eq!(left, ["b"]);
}

#[test]
fn sandboxes_have_containerds_words() {
    let fixture = fixture();
    let sandboxes = fixture.ns("a").sandboxes();
    assert_eq!(sandboxes.get("s").unwrap_err().wire_text(), "no sandbox buckets: not found");
    let made = Sandbox { sandbox_id: "s".into(), labels: labels(&[("a", "1")]), ..Sandbox::default() };
    sandboxes.create(made.clone()).unwrap();
    let again = sandboxes.create(made.clone()).unwrap_err();
    assert_eq!(again.wire_text(), "sandbox bucket \"s\" already exists");
    assert_eq!(sandboxes.get("t").unwrap_err().wire_text(), "bucket \"t\" not found");
    let changed = Sandbox { labels: labels(&[("b", "2")]), ..made };
    let updated = sandboxes.update(changed, &["labels.b".into()]).unwrap();
    assert_eq!(updated.labels.len(), 2);
    assert_eq!(sandboxes.list(&["labels.b==2".into()]).unwrap().len(), 1);
    sandboxes.delete("s").unwrap();
    assert_eq!(sandboxes.delete("s").unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn events_follow_the_changes_in_their_order() {
    let fixture = fixture();
    let mut subscription = fixture.exchange.subscribe();
    let namespace = fixture.ns("a");
    namespace.containers().create(container("x")).unwrap();
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    snapshots.prepare("k", "", &labels(&[])).unwrap();
    snapshots.commit("n", "k", "", &labels(&[])).unwrap();
    snapshots.remove("n").unwrap();
    let digest = namespace.content().write("r", b"data", &labels(&[])).unwrap();
    namespace.content().delete(&digest).unwrap();
    namespace.containers().delete("x").unwrap();
    let mut topics = Vec::new();
    for _ in 0..7 {
        let envelope = subscription.next().await.unwrap();
        assert_eq!(envelope.namespace, "a");
        topics.push(envelope.topic.clone());
    }
    let wanted = "/containers/create /snapshot/prepare /snapshot/commit /snapshot/remove /content/create /content/delete /containers/delete";
    assert_eq!(topics.join(" "), wanted);
}

#[test]
fn a_commit_that_cannot_be_recorded_leaves_the_active_snapshot() {
    let fixture = fixture();
    let namespace = fixture.ns("a");
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    snapshots.prepare("k", "", &labels(&[])).unwrap();
    let before = snapshots.mounts("k").unwrap();
    let leased = namespace.with_lease("gone").snapshots("overlayfs").unwrap();
    assert_eq!(leased.commit("c", "k", "", &labels(&[])).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(snapshots.mounts("k").unwrap(), before);
    assert_eq!(snapshots.stat("c").unwrap_err().kind(), Kind::NotFound);
    snapshots.commit("c", "k", "", &labels(&[])).unwrap();
    snapshots.view("v", "c", &labels(&[])).unwrap();
}

#[test]
fn layers_that_a_power_failure_took_go_with_what_is_on_them() {
    let fixture = fixture();
    let snapshots = fixture.ns("a").snapshots("overlayfs").unwrap();
    for (name, parent) in [("one", ""), ("two", "one"), ("three", "two")] {
        snapshots.prepare("k", parent, &labels(&[])).unwrap();
        snapshots.commit(name, "k", "", &labels(&[])).unwrap();
    }
    snapshots.prepare("active", "three", &labels(&[])).unwrap();
    let parent = snapshots.mounts("active").unwrap().remove(0).options;
    let lowers = parent.iter().find_map(|option| option.strip_prefix("lowerdir=")).unwrap();
    let two = std::path::Path::new(lowers.split(':').nth(1).unwrap()).parent().unwrap();
    std::fs::remove_dir_all(two).unwrap();
    let fixture = fixture.reopen();
    let snapshots = fixture.ns("a").snapshots("overlayfs").unwrap();
    let left: Vec<_> = snapshots.list(&[]).unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(left, ["one"]);
    snapshots.prepare("again", "one", &labels(&[])).unwrap();
    snapshots.cleanup().unwrap();
    assert_eq!(fixture.files("overlayfs/snapshots"), 2);
}
