//! A snapshotter of another process, as containerd's proxy plugins are.

mod stage;

use containerd_api::services::introspection::v1::PluginsRequest;
use containerd_api::services::introspection::v1::introspection_client::IntrospectionClient;
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::leases::v1::{CreateRequest, DeleteRequest};
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::snapshots_server::{Snapshots, SnapshotsServer};
use containerd_api::services::snapshots::v1::*;
use snapshots::{LABEL_REF, Labels, MemoryStore, Native, Snapshotter};
use stage::Stage;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, async_trait};

/// The other process: it has the content of one layer without being given it.
struct Far(Arc<Native>);

const NEAR: &str = "sha256:near";

impl Far {
    fn open(root: &Path) -> Far {
        Far(Arc::new(Native::open(root.to_owned(), Arc::new(MemoryStore::default())).unwrap()))
    }

    fn serve(&self, socket: &Path) {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let server =
            tonic::transport::Server::builder().add_service(SnapshotsServer::new(Far(self.0.clone())));
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    }

    fn names(&self) -> Vec<String> {
        self.0.walk().unwrap().into_iter().map(|info| info.name).collect()
    }

    /// Every call of the daemon names the snapshotter, and the namespace that it is made for.
    fn check<T>(request: &Request<T>, snapshotter: &str) -> Result<(), Status> {
        let namespace = request.metadata().get("containerd-namespace");
        let is_right =
            snapshotter == "far" && namespace.is_some_and(|name| name == "here" || name == "default");
        is_right.then_some(()).ok_or_else(|| Status::invalid_argument(format!("{namespace:?} {snapshotter}")))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl Snapshots for Far {
    type ListStream = Pin<Box<dyn Stream<Item = Result<ListSnapshotsResponse, Status>> + Send>>;

    async fn prepare(&self, request: Request<PrepareSnapshotRequest>) -> Answer<PrepareSnapshotResponse> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let PrepareSnapshotRequest { key, parent, labels, .. } = request.into_inner();
        if labels.get(LABEL_REF).is_some_and(|target| target == NEAR) {
            self.0.prepare(&key, &parent, &labels)?;
            self.0.commit("it was here before", &key, "", &labels)?;
            return Err(Status::already_exists("target snapshot: already exists"));
        }
        Ok(Response::new(PrepareSnapshotResponse { mounts: self.0.prepare(&key, &parent, &labels)? }))
    }

    async fn view(&self, request: Request<ViewSnapshotRequest>) -> Answer<ViewSnapshotResponse> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let ViewSnapshotRequest { key, parent, labels, .. } = request.into_inner();
        Ok(Response::new(ViewSnapshotResponse { mounts: self.0.view(&key, &parent, &labels)? }))
    }

    async fn mounts(&self, request: Request<MountsRequest>) -> Answer<MountsResponse> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        Ok(Response::new(MountsResponse { mounts: self.0.mounts(&request.get_ref().key)? }))
    }

    async fn commit(&self, request: Request<CommitSnapshotRequest>) -> Answer<()> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let CommitSnapshotRequest { name, key, labels, parent, .. } = request.into_inner();
        Ok(Response::new(self.0.commit(&name, &key, &parent, &labels)?))
    }

    async fn remove(&self, request: Request<RemoveSnapshotRequest>) -> Answer<()> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        Ok(Response::new(self.0.remove(&request.get_ref().key)?))
    }

    async fn stat(&self, _: Request<StatSnapshotRequest>) -> Answer<StatSnapshotResponse> {
        Err(Status::unimplemented("the daemon knows"))
    }

    async fn update(&self, request: Request<UpdateSnapshotRequest>) -> Answer<UpdateSnapshotResponse> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let info = request.into_inner().info.unwrap_or_default();
        Ok(Response::new(UpdateSnapshotResponse { info: Some(self.0.update(&info, &[])?) }))
    }

    async fn list(&self, request: Request<ListSnapshotsRequest>) -> Answer<Self::ListStream> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let page = ListSnapshotsResponse { info: self.0.walk()? };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(page)]))))
    }

    async fn usage(&self, request: Request<UsageRequest>) -> Answer<UsageResponse> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        let usage = self.0.usage(&request.get_ref().key)?;
        Ok(Response::new(UsageResponse { size: usage.size as i64, inodes: usage.inodes as i64 }))
    }

    async fn cleanup(&self, request: Request<CleanupRequest>) -> Answer<()> {
        Far::check(&request, &request.get_ref().snapshotter)?;
        Ok(Response::new(self.0.cleanup()?))
    }
}

/// A client of the daemon.
struct Near(Channel);

impl Near {
    fn ask<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", "here".parse().unwrap());
        request.metadata_mut().insert("containerd-lease", "held".parse().unwrap());
        request
    }

    fn client(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.0.clone())
    }

    async fn prepare(&self, key: &str, parent: &str, labels: &[(&str, &str)]) -> Result<String, Status> {
        let labels: Labels =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (snapshotter, key, parent) = ("far".to_owned(), key.to_owned(), parent.to_owned());
        let request = PrepareSnapshotRequest { snapshotter, key, parent, labels };
        let mounts = self.client().prepare(Near::ask(request)).await?.into_inner().mounts;
        Ok(mounts[0].source.clone())
    }

    async fn commit(&self, name: &str, key: &str) -> Result<(), Status> {
        let (snapshotter, name, key) = ("far".to_owned(), name.to_owned(), key.to_owned());
        let request = CommitSnapshotRequest { snapshotter, name, key, ..Default::default() };
        self.client().commit(Near::ask(request)).await.map(drop)
    }

    async fn stat(&self, key: &str) -> Result<Info, Status> {
        let request = StatSnapshotRequest { snapshotter: "far".into(), key: key.into() };
        Ok(self.client().stat(Near::ask(request)).await?.into_inner().info.unwrap())
    }

    async fn remove(&self, key: &str) -> Result<(), Status> {
        let request = RemoveSnapshotRequest { snapshotter: "far".into(), key: key.into() };
        self.client().remove(Near::ask(request)).await.map(drop)
    }

    async fn lease(&self) {
        let request = CreateRequest { id: "held".into(), ..Default::default() };
        LeasesClient::new(self.0.clone()).create(Near::ask(request)).await.unwrap();
    }

    /// Ends the lease and collects what it held.
    async fn release(&self) {
        let request = DeleteRequest { id: "held".into(), sync: true };
        LeasesClient::new(self.0.clone()).delete(Near::ask(request)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_kept_by_another_process() {
    let top = tempfile::tempdir().unwrap();
    let socket = top.path().join("far.sock");
    let config = format!(
        "version = 2\n[proxy_plugins.far]\ntype = 'snapshot'\naddress = '{}'\ncapabilities = ['odd']\n\
         [proxy_plugins.far.exports]\nroot = '/far'\n",
        socket.display()
    );
    let stage = Stage::with(&config).await;
    let near = Near(stage.channel.clone());
    near.lease().await;
    let away = near.prepare("one", "", &[]).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    assert!(away.message().contains("cannot ask snapshotter far"), "{away:?}");

    let far = Far::open(&top.path().join("far"));
    far.serve(&socket);
    let place = near.prepare("one", "", &[("containerd.io/snapshot/x", "y"), ("other", "z")]).await.unwrap();
    std::fs::write(Path::new(&place).join("file"), "text").unwrap();
    assert_eq!(near.stat("one").await.unwrap().kind(), Kind::Active);
    let [info] = far.0.walk().unwrap().try_into().unwrap();
    // Only what is meant for snapshotters gets to them.
    assert_eq!(info.labels, Labels::from([("containerd.io/snapshot/x".into(), "y".into())]));
    assert_eq!(near.prepare("one", "", &[]).await.unwrap_err().code(), Code::AlreadyExists);
    near.commit("base", "one").await.unwrap();
    let above = near.prepare("two", "base", &[]).await.unwrap();
    assert_eq!(std::fs::read_to_string(Path::new(&above).join("file")).unwrap(), "text");
    let usage = UsageRequest { snapshotter: "far".into(), key: "two".into() };
    assert!(near.client().usage(Near::ask(usage)).await.unwrap().into_inner().inodes > 0);
    let mounts = MountsRequest { snapshotter: "far".into(), key: "two".into() };
    assert_eq!(near.client().mounts(Near::ask(mounts)).await.unwrap().into_inner().mounts[0].source, above);
    let labels = Labels::from([("containerd.io/snapshot/x".into(), "new".into())]);
    let info = Info { name: "two".into(), labels: labels.clone(), ..Info::default() };
    let update = UpdateSnapshotRequest { snapshotter: "far".into(), info: Some(info), update_mask: None };
    near.client().update(Near::ask(update)).await.unwrap();
    assert!(far.0.walk().unwrap().iter().any(|info| info.labels == labels));
    let refused = near.remove("base").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!((near.stat("two").await.unwrap().parent.as_str(), far.names().len()), ("base", 2));

    // What the other process has by itself is there without being unpacked.
    let known = near.prepare("three", "base", &[(LABEL_REF, NEAR)]).await.unwrap_err();
    assert_eq!(known.code(), Code::AlreadyExists, "{known:?}");
    let found = near.stat(NEAR).await.unwrap();
    assert_eq!((found.kind(), found.parent.as_str()), (Kind::Committed, "base"));
    near.prepare("four", NEAR, &[]).await.unwrap();

    // What a crash left goes when somebody cleans up, as the daemon does at its start; another client's stays.
    far.0.prepare("here/77/left", "", &Labels::new()).unwrap();
    far.0.prepare("another's", "", &Labels::new()).unwrap();
    near.remove("two").await.unwrap();
    near.release().await;
    let cleanup = CleanupRequest { snapshotter: "far".into() };
    near.client().cleanup(Near::ask(cleanup)).await.unwrap();
    assert_eq!(far.names(), ["another's"]);

    let request = PluginsRequest { filters: vec!["id==far".into()] };
    let plugins =
        IntrospectionClient::new(stage.channel.clone()).plugins(request).await.unwrap().into_inner();
    let [plugin] = plugins.plugins.try_into().unwrap();
    assert_eq!(
        (plugin.r#type.as_str(), &plugin.capabilities[..]),
        ("io.containerd.snapshotter.v1", &["odd".to_owned()][..])
    );
    assert_eq!(
        (plugin.exports["root"].as_str(), plugin.exports["address"].as_str()),
        ("/far", socket.to_str().unwrap())
    );
}
