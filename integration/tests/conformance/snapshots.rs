//! Snapshotters: lives of snapshots, what is refused, what is listed.

use crate::subject::{Subject, labels, mask, refused};
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

struct Snapshotter<'a> {
    subject: &'a Subject,
    client: SnapshotsClient<Channel>,
    name: &'static str,
}

type Answer<T> = Result<Response<T>, Status>;

impl Snapshotter<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn prepare(&self, key: &str, parent: &str) -> Answer<PrepareSnapshotResponse> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.name(),
            key: key.into(),
            parent: parent.into(),
            labels: labels([("of", key)]),
        };
        self.client.clone().prepare(self.subject.of(request)).await
    }

    async fn view(&self, key: &str, parent: &str) -> Answer<ViewSnapshotResponse> {
        let request = ViewSnapshotRequest {
            snapshotter: self.name(),
            key: key.into(),
            parent: parent.into(),
            ..ViewSnapshotRequest::default()
        };
        self.client.clone().view(self.subject.of(request)).await
    }

    async fn commit(&self, name: &str, key: &str) -> Answer<()> {
        let request = CommitSnapshotRequest {
            snapshotter: self.name(),
            name: name.into(),
            key: key.into(),
            ..CommitSnapshotRequest::default()
        };
        self.client.clone().commit(self.subject.of(request)).await
    }

    async fn mounts(&self, key: &str) -> Answer<MountsResponse> {
        let request = MountsRequest { snapshotter: self.name(), key: key.into() };
        self.client.clone().mounts(self.subject.of(request)).await
    }

    async fn remove(&self, key: &str) -> Answer<()> {
        let request = RemoveSnapshotRequest { snapshotter: self.name(), key: key.into() };
        self.client.clone().remove(self.subject.of(request)).await
    }

    async fn stat(&self, key: &str) -> Answer<StatSnapshotResponse> {
        let request = StatSnapshotRequest { snapshotter: self.name(), key: key.into() };
        self.client.clone().stat(self.subject.of(request)).await
    }

    async fn usage(&self, key: &str) -> Answer<UsageResponse> {
        let request = UsageRequest { snapshotter: self.name(), key: key.into() };
        self.client.clone().usage(self.subject.of(request)).await
    }

    async fn list(&self, filters: &[&str]) -> Vec<String> {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let request = ListSnapshotsRequest { snapshotter: self.name(), filters };
        let mut stream = self.client.clone().list(self.subject.of(request)).await.unwrap().into_inner();
        let mut names = Vec::new();
        while let Some(page) = stream.message().await.unwrap() {
            names.extend(page.info.into_iter().map(|info| info.name));
        }
        names.sort();
        names
    }
}

pub async fn suite(subject: &Subject) {
    let subject = &subject.keeping().await;
    let client = SnapshotsClient::new(subject.channel.clone());
    for name in ["overlayfs", "native"] {
        let snapshotter = Snapshotter { subject, client: client.clone(), name };
        lives(&snapshotter).await;
        refusals(&snapshotter).await;
        labelled(&snapshotter).await;
    }
    let none = Snapshotter { subject, client: client.clone(), name: "" };
    refused(none.stat("x").await, Code::InvalidArgument);
    let absent = Snapshotter { subject, client, name: "absent" };
    let text = refused(absent.stat("x").await, Code::InvalidArgument);
    assert!(text.contains("snapshotter not loaded: absent"), "{text}");
}

async fn lives(on: &Snapshotter<'_>) {
    let made = on.prepare("one", "").await.unwrap().into_inner().mounts;
    assert_eq!(made.len(), 1);
    assert_eq!(on.mounts("one").await.unwrap().into_inner().mounts, made);
    std::fs::write(std::path::Path::new(&made[0].source).join("file"), vec![1; 10_000]).unwrap();
    assert!(on.usage("one").await.unwrap().into_inner().size >= 10_000);
    on.commit("base", "one").await.unwrap();
    refused(on.stat("one").await, Code::NotFound);
    let base = on.stat("base").await.unwrap().into_inner().info.unwrap();
    assert_eq!((base.kind(), base.parent.as_str()), (Kind::Committed, ""));
    assert!(on.usage("base").await.unwrap().into_inner().size >= 10_000);
    refused(on.mounts("base").await, Code::FailedPrecondition);

    on.prepare("two", "base").await.unwrap();
    let view = on.view("seen", "base").await.unwrap().into_inner().mounts;
    assert!(view[0].options.iter().any(|option| option == "ro"), "{view:?}");
    let kinds = async |key: &str| on.stat(key).await.unwrap().into_inner().info.unwrap().kind();
    assert_eq!((kinds("two").await, kinds("seen").await), (Kind::Active, Kind::View));
    assert_eq!(on.list(&[]).await, ["base", "seen", "two"]);
    assert_eq!(on.list(&["kind==active"]).await, ["two"]);
    assert_eq!(on.list(&["parent==base"]).await, ["seen", "two"]);
    assert_eq!(on.list(&["name==base", "kind==view"]).await, ["base", "seen"]);
    refused(on.remove("base").await, Code::FailedPrecondition);
    for key in ["two", "seen", "base"] {
        on.remove(key).await.unwrap();
    }
    refused(on.remove("base").await, Code::NotFound);
    assert_eq!(on.list(&[]).await, [""; 0]);
}

async fn refusals(on: &Snapshotter<'_>) {
    on.prepare("active", "").await.unwrap();
    refused(on.prepare("active", "").await, Code::AlreadyExists);
    refused(on.view("active", "").await, Code::AlreadyExists);
    refused(on.prepare("over", "active").await, Code::InvalidArgument);
    refused(on.prepare("over", "absent").await, Code::NotFound);
    refused(on.view("over", "absent").await, Code::NotFound);
    refused(on.commit("name", "absent").await, Code::NotFound);
    refused(on.mounts("absent").await, Code::NotFound);
    refused(on.usage("absent").await, Code::NotFound);
    on.commit("done", "active").await.unwrap();
    refused(on.commit("done", "active").await, Code::AlreadyExists);
    refused(on.prepare("done", "").await, Code::AlreadyExists);
    on.prepare("next", "done").await.unwrap();
    refused(on.commit("done", "next").await, Code::AlreadyExists);
    on.view("seen", "done").await.unwrap();
    // containerd's native snapshotter looks for the view's directory first.
    on.commit("seen-done", "seen").await.unwrap_err();
    for key in ["seen", "next", "done"] {
        on.remove(key).await.unwrap();
    }
}

async fn labelled(on: &Snapshotter<'_>) {
    on.prepare("l", "").await.unwrap();
    let info = async || on.stat("l").await.unwrap().into_inner().info.unwrap();
    assert_eq!(info().await.labels, labels([("of", "l")]));
    let update = async |info: Info, paths: &[&str]| {
        let request =
            UpdateSnapshotRequest { snapshotter: on.name(), info: Some(info), update_mask: mask(paths) };
        on.client.clone().update(on.subject.of(request)).await
    };
    let of = |pairs| Info { name: "l".into(), labels: pairs, ..Info::default() };
    update(of(labels([("a", "b"), ("c", "d")])), &["labels.a"]).await.unwrap();
    assert_eq!(info().await.labels, labels([("of", "l"), ("a", "b")]));
    update(of(labels([("c", "d")])), &["labels"]).await.unwrap();
    assert_eq!(info().await.labels, labels([("c", "d")]));
    refused(update(of(labels([])), &["kind"]).await, Code::InvalidArgument);
    let absent = Info { name: "absent".into(), ..Info::default() };
    refused(update(absent, &["labels"]).await, Code::NotFound);
    assert_eq!(on.list(&["labels.c==d"]).await, ["l"]);
    on.remove("l").await.unwrap();
}
