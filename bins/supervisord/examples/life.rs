//! Times the life of a container by a thin client: `life SOCKET RUNTIME PARENT ROUNDS`, where PARENT is the
//! committed snapshot of an image with a shell, in the namespace `life` and the snapshotter `overlayfs`.
//! Works on any daemon of the containerd API.

use containerd_api::services::containers::v1::containers_client::ContainersClient;
use containerd_api::services::containers::v1::{Container, CreateContainerRequest, DeleteContainerRequest};
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::{PrepareSnapshotRequest, RemoveSnapshotRequest};
use containerd_api::services::tasks::v1::tasks_client::TasksClient;
use containerd_api::services::tasks::v1::{CreateTaskRequest, DeleteTaskRequest, StartRequest, WaitRequest};
use containerd_api::{Any, Dial, SPEC_URL};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

fn here<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", "life".parse().expect("a header"));
    request
}

/// A container that ends at once.
fn spec(id: &str) -> Any {
    let namespaces: Vec<_> = ["pid", "ipc", "uts", "mount", "network"]
        .iter()
        .map(|kind| serde_json::json!({"type": kind}))
        .collect();
    let mounts = serde_json::json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    ]);
    let spec = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {"cgroupsPath": format!("/life/{id}"), "namespaces": namespaces},
    });
    Any { type_url: SPEC_URL.to_owned(), value: spec.to_string().into_bytes() }
}

struct Client {
    snapshots: SnapshotsClient<Channel>,
    containers: ContainersClient<Channel>,
    tasks: TasksClient<Channel>,
}

impl Client {
    /// One life, from its snapshot to the end of its snapshot.
    async fn live(&mut self, id: &str, runtime: &str, parent: &str) -> Result<(), Status> {
        let (snapshotter, id) = ("overlayfs".to_owned(), id.to_owned());
        let prepare = PrepareSnapshotRequest {
            snapshotter: snapshotter.clone(),
            key: id.clone(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        let container = Container {
            id: id.clone(),
            runtime: Some(containerd_api::services::containers::v1::container::Runtime {
                name: runtime.to_owned(),
                options: None,
            }),
            spec: Some(spec(&id)),
            snapshotter: snapshotter.clone(),
            snapshot_key: id.clone(),
            ..Default::default()
        };
        self.containers.create(here(CreateContainerRequest { container: Some(container) })).await?;
        // The record refers to the snapshot, so that no collection comes between.
        let rootfs = self.snapshots.prepare(here(prepare)).await?.into_inner().mounts;
        let create = CreateTaskRequest { container_id: id.clone(), rootfs, ..Default::default() };
        self.tasks.create(here(create)).await?;
        let mut waiter = self.tasks.clone();
        let wait = WaitRequest { container_id: id.clone(), ..Default::default() };
        let waiting = tokio::spawn(async move { waiter.wait(here(wait)).await });
        self.tasks.start(here(StartRequest { container_id: id.clone(), ..Default::default() })).await?;
        let ended = waiting.await.map_err(|error| Status::internal(error.to_string()))??;
        assert_eq!(ended.into_inner().exit_status, 0);
        self.tasks.delete(here(DeleteTaskRequest { container_id: id.clone() })).await?;
        self.containers.delete(here(DeleteContainerRequest { id: id.clone() })).await?;
        match self.snapshots.remove(here(RemoveSnapshotRequest { snapshotter, key: id })).await {
            // A collection was quicker: nothing refers to it any more.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            removed => removed.map(drop),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, runtime, parent, rounds] = words.as_slice() else {
        return Err("usage: life SOCKET RUNTIME PARENT ROUNDS".into());
    };
    let connect = Dial(PathBuf::from(socket));
    let channel = Endpoint::from_static("http://life").connect_with_connector(connect).await?;
    let mut client = Client {
        snapshots: SnapshotsClient::new(channel.clone()),
        containers: ContainersClient::new(channel.clone()),
        tasks: TasksClient::new(channel),
    };
    let mut lives: Vec<Duration> = Vec::new();
    for round in 0..rounds.parse()? {
        let start = Instant::now();
        client.live(&format!("life-{round}"), runtime, parent).await?;
        lives.push(start.elapsed());
    }
    lives.sort();
    println!("median {:?}, least {:?}, {} lives", lives[lives.len() / 2], lives[0], lives.len());
    Ok(())
}
