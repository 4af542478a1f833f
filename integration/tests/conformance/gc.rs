//! Garbage collection: what is referred to stays, what is not goes.

use crate::content::put;
use crate::subject::{Subject, digest, labels};
use containerd_api::services::content::v1::InfoRequest;
use containerd_api::services::content::v1::content_client::ContentClient;
use containerd_api::services::images::v1::images_client::ImagesClient;
use containerd_api::services::images::v1::{CreateImageRequest, DeleteImageRequest, Image};
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::leases::v1::{CreateRequest, DeleteRequest};
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::*;
use containerd_api::types::Descriptor;
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

const ROOT: &str = "containerd.io/gc.root";
const EXPIRE: &str = "containerd.io/gc.expire";

struct Collector<'a>(&'a Subject);

impl Collector<'_> {
    async fn lease(&self, id: &str, labels: HashMap<String, String>) {
        let request = CreateRequest { id: id.into(), labels };
        LeasesClient::new(self.0.channel.clone()).create(self.0.of(request)).await.unwrap();
    }

    async fn release(&self, id: &str) {
        let request = DeleteRequest { id: id.into(), sync: true };
        LeasesClient::new(self.0.channel.clone()).delete(self.0.of(request)).await.unwrap();
    }

    /// Runs a collection and waits for its end.
    async fn collect(&self) {
        self.lease("collect", HashMap::new()).await;
        self.release("collect").await;
    }

    async fn put(&self, lease: &str, text: &str, pairs: &[(&str, &str)]) -> String {
        let client = ContentClient::new(self.0.channel.clone());
        put(&client, self.0.leased(lease, text.as_bytes()), pairs).await
    }

    async fn has(&self, digest: &str) -> bool {
        let request = InfoRequest { digest: digest.to_owned() };
        ContentClient::new(self.0.channel.clone()).info(self.0.of(request)).await.is_ok()
    }

    async fn has_snapshot(&self, key: &str) -> bool {
        let request = StatSnapshotRequest { snapshotter: "overlayfs".into(), key: key.into() };
        SnapshotsClient::new(self.0.channel.clone()).stat(self.0.of(request)).await.is_ok()
    }
}

pub async fn suite(subject: &Subject) {
    let on = Collector(subject);
    content_goes_with_its_lease(&on).await;
    images_keep_what_they_name(&on, subject).await;
    snapshots_keep_their_parents(&on, subject).await;
    leases_expire_and_are_flat(&on).await;
}

async fn content_goes_with_its_lease(on: &Collector<'_>) {
    on.lease("l", HashMap::new()).await;
    let (leased, root) = (on.put("l", "leased", &[]).await, on.put("l", "root", &[(ROOT, "x")]).await);
    let child = on.put("l", "child", &[]).await;
    let parent = on.put("l", "parent", &[(ROOT, "x"), ("containerd.io/gc.ref.content.0", &child)]).await;
    let odd = on.put("l", "odd", &[]).await;
    on.put("l", "no reference", &[(ROOT, "x"), ("containerd.io/gc.ref.contentodd", &odd)]).await;
    on.collect().await;
    for digest in [&leased, &root, &child, &parent, &odd] {
        assert!(on.has(digest).await);
    }
    on.release("l").await;
    assert!(!on.has(&leased).await && !on.has(&odd).await);
    assert!(on.has(&root).await && on.has(&parent).await && on.has(&child).await);
}

async fn images_keep_what_they_name(on: &Collector<'_>, subject: &Subject) {
    on.lease("l", HashMap::new()).await;
    let config = on.put("l", "config", &[]).await;
    let manifest = on.put("l", "manifest", &[("containerd.io/gc.ref.content.config", &config)]).await;
    let mut images = ImagesClient::new(subject.channel.clone());
    let target = Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: manifest.clone(),
        size: 8,
        annotations: HashMap::new(),
    };
    let image = |name: &str, pairs| Image {
        name: name.into(),
        labels: pairs,
        target: Some(target.clone()),
        ..Image::default()
    };
    let create =
        |image| subject.of(CreateImageRequest { image: Some(image), ..CreateImageRequest::default() });
    images.create(create(image("kept:1", HashMap::new()))).await.unwrap();
    on.release("l").await;
    assert!(on.has(&manifest).await && on.has(&config).await);
    // Told to wait for the collection, the deletion does.
    let delete = DeleteImageRequest { name: "kept:1".into(), sync: true, ..DeleteImageRequest::default() };
    images.delete(subject.of(delete)).await.unwrap();
    assert!(!on.has(&manifest).await && !on.has(&config).await);
}

async fn snapshots_keep_their_parents(on: &Collector<'_>, subject: &Subject) {
    on.lease("l", HashMap::new()).await;
    let mut client = SnapshotsClient::new(subject.channel.clone());
    let prepare = |key: &str, parent: &str, pairs| PrepareSnapshotRequest {
        snapshotter: "overlayfs".into(),
        key: key.into(),
        parent: parent.into(),
        labels: pairs,
    };
    let commit = |name: &str, key: &str, pairs| CommitSnapshotRequest {
        snapshotter: "overlayfs".into(),
        name: name.into(),
        key: key.into(),
        labels: pairs,
        ..CommitSnapshotRequest::default()
    };
    client.prepare(subject.leased("l", prepare("a", "", labels([])))).await.unwrap();
    client.commit(subject.leased("l", commit("base", "a", labels([])))).await.unwrap();
    client.prepare(subject.leased("l", prepare("b", "base", labels([])))).await.unwrap();
    client.commit(subject.leased("l", commit("top", "b", labels([(ROOT, "x")])))).await.unwrap();
    client.prepare(subject.leased("l", prepare("loose", "base", labels([])))).await.unwrap();
    on.release("l").await;
    assert!(on.has_snapshot("base").await && on.has_snapshot("top").await);
    assert!(!on.has_snapshot("loose").await);
    let remove = RemoveSnapshotRequest { snapshotter: "overlayfs".into(), key: "top".into() };
    client.remove(subject.of(remove)).await.unwrap();
    on.collect().await;
    assert!(!on.has_snapshot("base").await);
}

async fn leases_expire_and_are_flat(on: &Collector<'_>) {
    on.lease("old", labels([(EXPIRE, &in_three_seconds())])).await;
    let expired = on.put("old", "expired", &[]).await;
    on.lease("odd", labels([(EXPIRE, "nonsense")])).await;
    let kept = on.put("odd", "kept", &[]).await;
    on.lease("flat", labels([("containerd.io/gc.flat", "yes")])).await;
    on.lease("other", HashMap::new()).await;
    let below = on.put("other", "below", &[]).await;
    let above = on.put("flat", "above", &[("containerd.io/gc.ref.content.0", &below)]).await;
    on.release("other").await;
    let gone = async {
        while on.has(&expired).await {
            on.collect().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the lease expires");
    assert!(on.has(&kept).await);
    assert!(on.has(&above).await && !on.has(&below).await);
    on.release("odd").await;
    on.release("flat").await;
    assert!(!on.has(&kept).await && !on.has(&digest(b"above")).await);
}

/// Late enough for what is done under the lease: a collection may run at any time.
fn in_three_seconds() -> String {
    let date = Command::new("date").args(["-u", "-d", "3 seconds", "+%FT%TZ"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}
