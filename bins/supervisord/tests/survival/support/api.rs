//! A thin client: what a person's tools ask of the API, a method each.

use containerd_api::events::{TaskDelete, TaskExecStarted, TaskExit, TaskStart};
use containerd_api::services::containers::v1::containers_client::ContainersClient;
use containerd_api::services::containers::v1::*;
use containerd_api::services::content::v1::content_client::ContentClient;
use containerd_api::services::content::v1::{
    ListContentRequest, ListStatusesRequest, WriteAction, WriteContentRequest,
};
use containerd_api::services::diff::v1::ApplyRequest;
use containerd_api::services::diff::v1::diff_client::DiffClient;
use containerd_api::services::events::v1::SubscribeRequest;
use containerd_api::services::events::v1::events_client::EventsClient;
use containerd_api::services::images::v1::images_client::ImagesClient;
use containerd_api::services::images::v1::{
    CreateImageRequest, DeleteImageRequest, Image, ListImagesRequest,
};
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::leases::v1::{self as leases};
use containerd_api::services::sandbox::v1::controller_client::ControllerClient;
use containerd_api::services::sandbox::v1::store_client::StoreClient;
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::{
    CommitSnapshotRequest, ListSnapshotsRequest, MountsRequest, PrepareSnapshotRequest, RemoveSnapshotRequest,
};
use containerd_api::services::tasks::v1::tasks_client::TasksClient;
use containerd_api::services::tasks::v1::{
    CreateTaskRequest, DeleteTaskRequest, ExecProcessRequest, GetRequest, KillRequest, ListTasksRequest,
    PauseTaskRequest, ResumeTaskRequest, StartRequest, WaitRequest,
};
use containerd_api::services::transfer::v1::TransferRequest;
use containerd_api::services::transfer::v1::transfer_client::TransferClient;
use containerd_api::types::{Descriptor, Envelope, Mount};
use containerd_api::v1::types::{Process, Status as Phase};
use containerd_api::{Any, PROCESS_URL, SPEC_URL, Timestamp, pack, unpack};
use prost::{Message, Name};
use serde_json::{Value, json};
use std::collections::HashMap;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

const OURS: &str = "io.containerd.wherry.v1";
const SNAPSHOTTER: &str = "overlayfs";
const OCI: &str = "application/vnd.oci.image";

type Outcome<T> = Result<T, Status>;
type Labels = HashMap<String, String>;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    pub status: u32,
    pub at: Option<Timestamp>,
}

/// A client in one namespace.
#[derive(Clone)]
pub struct Api {
    channel: Channel,
    namespace: String,
    lease: Option<String>,
}

/// No such thing is what a removal wants.
fn gone<T>(outcome: Outcome<T>) -> Outcome<()> {
    gone_or(outcome).map(drop)
}

/// `None` for what is not there.
fn gone_or<T>(outcome: Outcome<T>) -> Outcome<Option<T>> {
    match outcome {
        Err(status) if status.code() == Code::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

impl Api {
    pub fn new(channel: Channel, namespace: &str) -> Api {
        Api { channel, namespace: namespace.to_owned(), lease: None }
    }

    /// The same with what it makes held by a lease.
    pub fn under(&self, lease: &str) -> Api {
        Api { lease: Some(lease.to_owned()), ..self.clone() }
    }

    pub fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.parse().unwrap());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.parse().unwrap());
        }
        request
    }

    pub fn sandboxes(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.channel.clone())
    }

    pub fn sandbox_records(&self) -> StoreClient<Channel> {
        StoreClient::new(self.channel.clone())
    }

    fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone())
    }

    fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }

    pub fn spec(&self, id: &str, args: &[&str]) -> Any {
        let kinds: Vec<_> = ["pid", "ipc", "uts", "mount"].iter().map(|kind| json!({"type": kind})).collect();
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": self.process(args),
            "root": {"path": "rootfs"},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            ],
            "linux": {"cgroupsPath": format!("/{}/{id}", self.namespace), "namespaces": kinds},
        });
        Any { type_url: SPEC_URL.to_owned(), value: spec.to_string().into_bytes() }
    }

    fn process(&self, args: &[&str]) -> Value {
        json!({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})
    }

    /// Writes a blob, as clients do: what an earlier try left is begun anew.
    pub async fn write(&self, reference: &str, data: &[u8], labels: Labels) -> Outcome<String> {
        let digest = content::Hasher::of(data).to_string();
        let message = |action: WriteAction, offset: usize, data: &[u8]| WriteContentRequest {
            action: action as i32,
            r#ref: reference.to_owned(),
            offset: offset as i64,
            data: data.to_vec().into(),
            labels: if action == WriteAction::Commit { labels.clone() } else { Labels::new() },
            ..Default::default()
        };
        let mut messages = vec![message(WriteAction::Stat, 0, &[])];
        let pieces = data.chunks(256 << 10).enumerate();
        messages.extend(pieces.map(|(at, piece)| message(WriteAction::Write, at * (256 << 10), piece)));
        let mut last = message(WriteAction::Commit, data.len(), &[]);
        (last.total, last.expected) = (data.len() as i64, digest.clone());
        messages.push(last);
        let mut client = ContentClient::new(self.channel.clone());
        let mut answers = client.write(self.ask(tokio_stream::iter(messages))).await?.into_inner();
        loop {
            match answers.message().await {
                Ok(None) => return Ok(digest),
                Err(status) if status.code() == Code::AlreadyExists => return Ok(digest),
                answer => drop(answer?),
            }
        }
    }

    /// An image of one layer: its blobs, its snapshot, its record. The chain ID of the snapshot comes back.
    pub async fn make_image(&self, name: &str, layer: &[u8]) -> Outcome<String> {
        let put = |kind: &'static str, data: Vec<u8>, labels: Labels| async move {
            let reference = format!("{name} {kind}");
            let digest = self.write(&reference, &data, labels).await?;
            let media_type = format!("{OCI}.{kind}");
            Ok::<_, Status>(Descriptor { media_type, digest, size: data.len() as i64, ..Default::default() })
        };
        let layer = put("layer.v1.tar", layer.to_vec(), Labels::new()).await?;
        let chain = layer.digest.clone();
        let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [chain]}});
        let holds = |key: &str, value: &str| (format!("containerd.io/gc.ref.{key}"), value.to_owned());
        let labels = Labels::from([holds("snapshot.overlayfs", &chain)]);
        let config = put("config.v1+json", config.to_string().into_bytes(), labels).await?;
        let word = |blob: &Descriptor| json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size});
        let manifest = json!({"schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"),
            "config": word(&config), "layers": [word(&layer)]});
        let labels =
            Labels::from([holds("content.config", &config.digest), holds("content.l.0", &layer.digest)]);
        let manifest = put("manifest.v1+json", manifest.to_string().into_bytes(), labels).await?;
        self.unpack(&chain, &layer).await?;
        let image = Image { name: name.to_owned(), target: Some(manifest), ..Default::default() };
        let create = CreateImageRequest { image: Some(image), ..Default::default() };
        match ImagesClient::new(self.channel.clone()).create(self.ask(create)).await {
            Err(status) if status.code() == Code::AlreadyExists => {}
            created => drop(created?),
        }
        Ok(chain)
    }

    async fn unpack(&self, chain: &str, layer: &Descriptor) -> Outcome<()> {
        let key = format!("unpack {chain} {:?}", std::time::Instant::now());
        let mounts = self.prepare(&key, "").await?;
        let apply = ApplyRequest { diff: Some(layer.clone()), mounts, ..Default::default() };
        DiffClient::new(self.channel.clone()).apply(self.ask(apply)).await?;
        let (snapshotter, name) = (SNAPSHOTTER.to_owned(), chain.to_owned());
        let commit = CommitSnapshotRequest { snapshotter, name, key: key.clone(), ..Default::default() };
        match self.snapshots().commit(self.ask(commit)).await {
            Err(status) if status.code() == Code::AlreadyExists => self.remove_snapshot(&key).await,
            committed => committed.map(drop),
        }
    }

    pub async fn prepare(&self, key: &str, parent: &str) -> Outcome<Vec<Mount>> {
        let (key, parent) = (key.to_owned(), parent.to_owned());
        let prepare =
            PrepareSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key, parent, ..Default::default() };
        Ok(self.snapshots().prepare(self.ask(prepare)).await?.into_inner().mounts)
    }

    pub async fn remove_snapshot(&self, key: &str) -> Outcome<()> {
        let remove = RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: key.to_owned() };
        gone(self.snapshots().remove(self.ask(remove)).await)
    }

    /// A container with its snapshot and its task, not started; the pid of its init.
    pub async fn create(&self, id: &str, parent: &str, args: &[&str]) -> Outcome<u32> {
        self.create_with(id, parent, args, CreateTaskRequest::default()).await
    }

    /// The same with streams.
    pub async fn create_with(
        &self,
        id: &str,
        parent: &str,
        args: &[&str],
        streams: CreateTaskRequest,
    ) -> Outcome<u32> {
        let container = Container { spec: Some(self.spec(id, args)), ..Default::default() };
        self.create_of(id, parent, container, streams).await
    }

    /// A container that runs in a sandbox; the pid of its init.
    pub async fn run_in(&self, sandbox: &str, id: &str, parent: &str, args: &[&str]) -> Outcome<u32> {
        let spec = Some(self.spec(id, args));
        let container = Container { spec, sandbox: sandbox.to_owned(), ..Default::default() };
        self.create_of(id, parent, container, CreateTaskRequest::default()).await?;
        self.start(id).await
    }

    /// A container of a group by annotation, that runs; the pid of its init.
    pub async fn run_grouped(&self, group: &str, id: &str, parent: &str, args: &[&str]) -> Outcome<u32> {
        let mut spec = self.spec(id, args);
        let mut value: Value = serde_json::from_slice(&spec.value).unwrap();
        value["annotations"] = json!({"io.containerd.runc.v2.group": group});
        spec.value = value.to_string().into_bytes();
        let container = Container { spec: Some(spec), ..Default::default() };
        self.create_of(id, parent, container, CreateTaskRequest::default()).await?;
        self.start(id).await
    }

    async fn create_of(
        &self,
        id: &str,
        parent: &str,
        container: Container,
        streams: CreateTaskRequest,
    ) -> Outcome<u32> {
        let runtime = container::Runtime { name: OURS.to_owned(), options: None };
        let container = Container {
            id: id.to_owned(),
            runtime: Some(runtime),
            snapshotter: SNAPSHOTTER.to_owned(),
            snapshot_key: id.to_owned(),
            ..container
        };
        let create = CreateContainerRequest { container: Some(container) };
        ContainersClient::new(self.channel.clone()).create(self.ask(create)).await?;
        let rootfs = self.prepare(id, parent).await?;
        let create = CreateTaskRequest { container_id: id.to_owned(), rootfs, ..streams };
        Ok(self.tasks().create(self.ask(create)).await?.into_inner().pid)
    }

    pub async fn start(&self, id: &str) -> Outcome<u32> {
        let start = StartRequest { container_id: id.to_owned(), ..Default::default() };
        Ok(self.tasks().start(self.ask(start)).await?.into_inner().pid)
    }

    /// A task for a container whose record and snapshot are there.
    pub async fn start_task(&self, id: &str) -> Outcome<u32> {
        let mounts = MountsRequest { snapshotter: SNAPSHOTTER.to_owned(), key: id.to_owned() };
        let rootfs = self.snapshots().mounts(self.ask(mounts)).await?.into_inner().mounts;
        let create = CreateTaskRequest { container_id: id.to_owned(), rootfs, ..Default::default() };
        self.tasks().create(self.ask(create)).await?;
        self.start(id).await
    }

    /// A container that runs; the pid of its init.
    pub async fn run(&self, id: &str, parent: &str, args: &[&str]) -> Outcome<u32> {
        self.create(id, parent, args).await?;
        self.start(id).await
    }

    /// Runs a process in a container to its end.
    pub async fn exec(&self, id: &str, exec_id: &str, args: &[&str]) -> Outcome<u32> {
        let (container_id, exec_id) = (id.to_owned(), exec_id.to_owned());
        let spec = Any { type_url: PROCESS_URL.into(), value: self.process(args).to_string().into_bytes() };
        let exec = ExecProcessRequest {
            container_id: container_id.clone(),
            exec_id: exec_id.clone(),
            spec: Some(spec),
            ..Default::default()
        };
        self.tasks().exec(self.ask(exec)).await?;
        let start = StartRequest { container_id: container_id.clone(), exec_id: exec_id.clone() };
        self.tasks().start(self.ask(start)).await?;
        let wait = WaitRequest { container_id: container_id.clone(), exec_id: exec_id.clone() };
        let ended = self.tasks().wait(self.ask(wait)).await?.into_inner();
        let delete = containerd_api::services::tasks::v1::DeleteProcessRequest { container_id, exec_id };
        self.tasks().delete_process(self.ask(delete)).await?;
        Ok(ended.exit_status)
    }

    /// The record of a container.
    pub async fn container(&self, id: &str) -> Outcome<Container> {
        let get = self.ask(GetContainerRequest { id: id.to_owned() });
        Ok(ContainersClient::new(self.channel.clone()).get(get).await?.into_inner().container.unwrap())
    }

    /// Sets labels of a container's record; an empty value takes one away.
    pub async fn label(&self, id: &str, pairs: &[(&str, &str)]) -> Outcome<()> {
        let paths = pairs.iter().map(|(key, _)| format!("labels.{key}")).collect();
        let labels = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let container = Some(Container { id: id.to_owned(), labels, ..Default::default() });
        let update =
            UpdateContainerRequest { container, update_mask: Some(containerd_api::FieldMask { paths }) };
        ContainersClient::new(self.channel.clone()).update(self.ask(update)).await.map(drop)
    }

    pub async fn pause(&self, id: &str) -> Outcome<()> {
        let pause = PauseTaskRequest { container_id: id.to_owned() };
        self.tasks().pause(self.ask(pause)).await.map(drop)
    }

    pub async fn resume(&self, id: &str) -> Outcome<()> {
        let resume = ResumeTaskRequest { container_id: id.to_owned() };
        self.tasks().resume(self.ask(resume)).await.map(drop)
    }

    pub async fn kill(&self, id: &str) -> Outcome<()> {
        let kill = KillRequest { container_id: id.to_owned(), signal: 9, ..Default::default() };
        gone(self.tasks().kill(self.ask(kill)).await)
    }

    pub async fn wait(&self, id: &str) -> Outcome<Ended> {
        let wait = WaitRequest { container_id: id.to_owned(), ..Default::default() };
        let ended = self.tasks().wait(self.ask(wait)).await?.into_inner();
        Ok(Ended { status: ended.exit_status, at: ended.exited_at })
    }

    pub async fn get(&self, id: &str) -> Outcome<Process> {
        let get = GetRequest { container_id: id.to_owned(), ..Default::default() };
        Ok(self.tasks().get(self.ask(get)).await?.into_inner().process.unwrap())
    }

    pub async fn delete_task(&self, id: &str) -> Outcome<Ended> {
        let delete = DeleteTaskRequest { container_id: id.to_owned() };
        let ended = self.tasks().delete(self.ask(delete)).await?.into_inner();
        Ok(Ended { status: ended.exit_status, at: ended.exited_at })
    }

    /// Removes a container with all it has; what is gone already is passed over.
    pub async fn purge(&self, id: &str) -> Outcome<()> {
        loop {
            match self.end(id).await {
                // Its shim has just died: the daemon is about to clean up after it.
                Err(status) if status.message() == "ttrpc: closed" => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                ended => break ended?,
            }
        }
        let delete = DeleteContainerRequest { id: id.to_owned() };
        gone(ContainersClient::new(self.channel.clone()).delete(self.ask(delete)).await)?;
        self.remove_snapshot(id).await
    }

    async fn end(&self, id: &str) -> Outcome<()> {
        let kill = || KillRequest { container_id: id.to_owned(), signal: 9, ..Default::default() };
        // A creation that its client left may bring the task after a kill that met none.
        while gone_or(self.tasks().kill(self.ask(kill())).await)?.is_none() {
            match gone_or(self.get(id).await)? {
                None => return Ok(()),
                Some(process) if process.status == Phase::Stopped as i32 => break,
                Some(_) => tokio::task::yield_now().await,
            }
        }
        gone(self.wait(id).await)?;
        gone(self.delete_task(id).await)
    }

    pub async fn lease(&self, id: &str) -> Outcome<()> {
        let create = leases::CreateRequest { id: id.to_owned(), ..Default::default() };
        LeasesClient::new(self.channel.clone()).create(self.ask(create)).await.map(drop)
    }

    /// Ends a lease; the collection comes before the answer.
    pub async fn end_lease(&self, id: &str) -> Outcome<()> {
        let delete = leases::DeleteRequest { id: id.to_owned(), sync: true };
        gone(LeasesClient::new(self.channel.clone()).delete(self.ask(delete)).await)
    }

    pub async fn delete_image(&self, name: &str) -> Outcome<()> {
        let delete = DeleteImageRequest { name: name.to_owned(), sync: true, ..Default::default() };
        gone(ImagesClient::new(self.channel.clone()).delete(self.ask(delete)).await)
    }

    pub async fn transfer<S: Message + Name, D: Message + Name>(&self, from: S, to: D) -> Outcome<()> {
        let request =
            TransferRequest { source: Some(pack(&from)), destination: Some(pack(&to)), options: None };
        TransferClient::new(self.channel.clone()).transfer(self.ask(request)).await.map(drop)
    }

    pub async fn containers(&self) -> Outcome<Vec<String>> {
        let list = self.ask(ListContainersRequest::default());
        let found = ContainersClient::new(self.channel.clone()).list(list).await?.into_inner().containers;
        Ok(found.into_iter().map(|container| container.id).collect())
    }

    pub async fn list_tasks(&self) -> Outcome<Vec<Process>> {
        Ok(self.tasks().list(self.ask(ListTasksRequest::default())).await?.into_inner().tasks)
    }

    pub async fn images(&self) -> Outcome<Vec<String>> {
        let list = self.ask(ListImagesRequest::default());
        let found = ImagesClient::new(self.channel.clone()).list(list).await?.into_inner().images;
        Ok(found.into_iter().map(|image| image.name).collect())
    }

    pub async fn leases(&self) -> Outcome<Vec<String>> {
        let list = self.ask(leases::ListRequest::default());
        let found = LeasesClient::new(self.channel.clone()).list(list).await?.into_inner().leases;
        Ok(found.into_iter().map(|lease| lease.id).collect())
    }

    pub async fn snapshot_names(&self) -> Outcome<Vec<String>> {
        let list = ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), ..Default::default() };
        let mut answers = self.snapshots().list(self.ask(list)).await?.into_inner();
        let mut names = Vec::new();
        while let Some(answer) = answers.message().await? {
            names.extend(answer.info.into_iter().map(|info| info.name));
        }
        Ok(names)
    }

    pub async fn blobs(&self) -> Outcome<Vec<String>> {
        let list = self.ask(ListContentRequest::default());
        let mut answers = ContentClient::new(self.channel.clone()).list(list).await?.into_inner();
        let mut names = Vec::new();
        while let Some(answer) = answers.message().await? {
            names.extend(answer.info.into_iter().map(|info| info.digest));
        }
        Ok(names)
    }

    pub async fn ingests(&self) -> Outcome<Vec<String>> {
        let list = self.ask(ListStatusesRequest::default());
        let found = ContentClient::new(self.channel.clone()).list_statuses(list).await?.into_inner().statuses;
        Ok(found.into_iter().map(|status| status.r#ref).collect())
    }

    async fn events(&self, filter: String) -> Outcome<Streaming<Envelope>> {
        let subscribe = SubscribeRequest { filters: vec![filter] };
        let mut client = EventsClient::new(self.channel.clone());
        Ok(client.subscribe(self.ask(subscribe)).await?.into_inner())
    }

    /// Hears the ends of processes until the daemon goes: `heard` is called for each. It listens when this returns.
    pub async fn hear_ends(&self, heard: impl Fn(TaskExit) + Send + 'static) -> Outcome<()> {
        let mut events = self.events(format!("namespace=={},topic==\"/tasks/exit\"", self.namespace)).await?;
        tokio::spawn(async move {
            while let Ok(Some(envelope)) = events.message().await {
                if let Some(exit) = envelope.event.and_then(|event| unpack::<TaskExit>(&event).ok()) {
                    heard(exit);
                }
            }
        });
        Ok(())
    }

    /// Hears of starts, ends and deletions: the topic, the container and the process.
    pub async fn hear(&self, heard: impl Fn(String, String, String) + Send + 'static) -> Outcome<()> {
        let mut events = self.events(format!("namespace=={},topic~=|^/tasks/|", self.namespace)).await?;
        tokio::spawn(async move {
            while let Ok(Some(envelope)) = events.message().await {
                let Some(event) = envelope.event else { continue };
                let (container, process) = if let Ok(exit) = unpack::<TaskExit>(&event) {
                    (exit.container_id, exit.id)
                } else if let Ok(start) = unpack::<TaskExecStarted>(&event) {
                    (start.container_id, start.exec_id)
                } else if let Ok(start) = unpack::<TaskStart>(&event) {
                    (start.container_id.clone(), start.container_id)
                } else if let Ok(delete) = unpack::<TaskDelete>(&event) {
                    (delete.container_id.clone(), delete.container_id)
                } else {
                    continue;
                };
                heard(envelope.topic, container, process);
            }
        });
        Ok(())
    }
}
