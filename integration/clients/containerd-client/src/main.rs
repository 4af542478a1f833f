//! The containerd-client crate (rust-extensions) as its users write it: an archive is imported by the Transfer
//! service and unpacked, a container of it lives and ends, what was made is removed.
//!
//! Arguments: the socket, a docker archive with one image of one layer, the image's name, the runtime, a name that
//! nobody else has.

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::snapshots::{PrepareSnapshotRequest, RemoveSnapshotRequest};
use containerd_client::services::v1::*;
use containerd_client::tonic::{Code, Request, Status};
use containerd_client::types::transfer::*;
use containerd_client::types::{Mount, Platform};
use containerd_client::{Client, events::TaskExit, to_any, with_namespace};
use prost_types::Any;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// containerd's own limit of one message of a byte stream.
const PIECE: usize = 32 << 10;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The client's namespace and the daemon.
struct Story {
    client: Client,
    namespace: String,
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) {
    assert_eq!(answer.expect_err("not refused").code(), code);
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [socket, archive, image, runtime, name] = words.as_slice() else { panic!("five arguments") };
    let story = Story { client: Client::from_path(socket).await?, namespace: "rust".to_owned() };
    assert!(story.client.version().version(()).await?.into_inner().version.starts_with('v'));
    let plugins = PluginsRequest { filters: vec!["type==io.containerd.snapshotter.v1".into()] };
    let plugins = story.client.introspection().plugins(plugins).await?.into_inner().plugins;
    assert!(plugins.iter().any(|plugin| plugin.id == "overlayfs"), "{plugins:?}");
    let namespace = Namespace { name: story.namespace.clone(), ..Default::default() };
    let namespace = CreateNamespaceRequest { namespace: Some(namespace) };
    story.client.namespaces().create(namespace.clone()).await?;
    refused(story.client.namespaces().create(namespace).await, Code::AlreadyExists);

    let words = story.import(std::fs::read(archive)?, image).await?;
    assert!(words.contains(&"Importing".to_owned()) && words.contains(&"saved".to_owned()), "{words:?}");
    let chain = story.chain_of(image).await?;
    story.life(&chain, runtime, name).await?;

    let delete = DeleteImageRequest { name: image.clone(), sync: true, ..Default::default() };
    story.client.images().delete(with_namespace!(delete, story.namespace)).await?;
    let delete = DeleteNamespaceRequest { name: story.namespace.clone() };
    story.client.namespaces().delete(delete).await?;
    println!("the containerd-client crate is content");
    Ok(())
}

impl Story {
    /// A stream that a transfer can name, and what comes back on it.
    async fn stream(
        &self,
        id: &str,
    ) -> Outcome<(mpsc::Sender<Any>, containerd_client::tonic::Streaming<Any>)> {
        let (sender, messages) = mpsc::channel(1);
        sender.send(to_any(&StreamInit { id: id.to_owned() })).await?;
        let request = with_namespace!(ReceiverStream::new(messages), self.namespace);
        let mut answers = self.client.streaming().stream(request).await?.into_inner();
        let heard = answers.message().await?.expect("the stream is acknowledged");
        assert_eq!(heard.type_url, "google.protobuf.Empty");
        Ok((sender, answers))
    }

    /// Imports and unpacks; the words of its progress come back.
    async fn import(&self, archive: Vec<u8>, image: &str) -> Outcome<Vec<String>> {
        let (bytes, mut windows) = self.stream("archive").await?;
        let (_told, mut progress) = self.stream("progress").await?;
        let platform = Platform { os: "linux".into(), architecture: "amd64".into(), ..Default::default() };
        let store = ImageStore {
            extra_references: vec![ImageReference {
                name: image.to_owned(),
                is_prefix: true,
                allow_overwrite: true,
                ..Default::default()
            }],
            unpacks: vec![UnpackConfiguration { platform: Some(platform), snapshotter: "overlayfs".into() }],
            ..Default::default()
        };
        let request = TransferRequest {
            source: Some(to_any(&ImageImportStream { stream: "archive".into(), ..Default::default() })),
            destination: Some(to_any(&store)),
            options: Some(TransferOptions { progress_stream: "progress".into() }),
        };
        let mut transfers = self.client.transfer();
        let request = with_namespace!(request, self.namespace);
        let sending = async {
            let (mut window, mut rest) = (0, archive.as_slice());
            while !rest.is_empty() {
                while window <= 0 {
                    let update = windows.message().await?.ok_or("nobody reads the archive")?;
                    assert_eq!(update.type_url, "containerd.types.transfer.WindowUpdate");
                    window += i64::from(decode::<WindowUpdate>(&update)?.update);
                }
                let (piece, more) = rest.split_at(rest.len().min(PIECE).min(window as usize));
                bytes.send(to_any(&Data { data: piece.to_vec() })).await?;
                (window, rest) = (window - piece.len() as i64, more);
            }
            drop(bytes);
            Outcome::Ok(())
        };
        let hearing = async {
            let mut words = Vec::new();
            while let Ok(Some(message)) = progress.message().await {
                words.push(decode::<Progress>(&message)?.event);
            }
            Outcome::Ok(words)
        };
        let transfer = async { Outcome::Ok(transfers.transfer(request).await?) };
        let (_, words, _) = tokio::try_join!(sending, hearing, transfer)?;
        Ok(words)
    }

    async fn read(&self, digest: &str) -> Outcome<Value> {
        let read = ReadContentRequest { digest: digest.to_owned(), ..Default::default() };
        let mut answers =
            self.client.content().read(with_namespace!(read, self.namespace)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(answer) = answers.message().await? {
            bytes.extend(answer.data);
        }
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// The name of the snapshot of an image of one layer.
    async fn chain_of(&self, image: &str) -> Outcome<String> {
        let get = GetImageRequest { name: image.to_owned() };
        let image = self.client.images().get(with_namespace!(get, self.namespace)).await?.into_inner().image;
        let manifest = self.read(&image.unwrap_or_default().target.unwrap_or_default().digest).await?;
        let config = self.read(text(&manifest, "/config/digest")).await?;
        Ok(text(&config, "/rootfs/diff_ids/0").to_owned())
    }

    async fn prepare(&self, key: &str, parent: &str) -> Outcome<Vec<Mount>> {
        let prepare = PrepareSnapshotRequest {
            snapshotter: "overlayfs".into(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        Ok(self
            .client
            .snapshots()
            .prepare(with_namespace!(prepare, self.namespace))
            .await?
            .into_inner()
            .mounts)
    }

    async fn life(&self, chain: &str, runtime: &str, id: &str) -> Outcome<()> {
        let filter = format!("namespace=={},topic==\"/tasks/exit\",event.container_id=={id}", self.namespace);
        let subscribe = SubscribeRequest { filters: vec![filter] };
        let mut events =
            self.client.events().subscribe(with_namespace!(subscribe, self.namespace)).await?.into_inner();
        let kinds: Vec<Value> =
            ["pid", "ipc", "uts", "mount"].iter().map(|kind| json!({"type": kind})).collect();
        let script = "echo by the crate; exit 6";
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": {"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
            "root": {"path": "rootfs"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": kinds, "cgroupsPath": format!("/{id}")},
        });
        let spec_url = "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned();
        let container = Container {
            id: id.to_owned(),
            labels: HashMap::from([("by".to_owned(), "crate".to_owned())]),
            runtime: Some(Runtime { name: runtime.to_owned(), options: None }),
            spec: Some(Any { type_url: spec_url, value: spec.to_string().into_bytes() }),
            snapshotter: "overlayfs".into(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        };
        let create = CreateContainerRequest { container: Some(container) };
        let mut containers = self.client.containers();
        containers.create(with_namespace!(create.clone(), self.namespace)).await?;
        refused(containers.create(with_namespace!(create, self.namespace)).await, Code::AlreadyExists);
        let rootfs = self.prepare(id, chain).await?;
        let out = std::env::temp_dir().join(id);
        // Both are named, as containerd's own clients do: Debian's shim needs it.
        let file = format!("file://{}", out.display());
        let create = CreateTaskRequest {
            container_id: id.to_owned(),
            rootfs,
            stdout: file.clone(),
            stderr: file,
            ..Default::default()
        };
        let mut tasks = self.client.tasks();
        let pid = tasks.create(with_namespace!(create, self.namespace)).await?.into_inner().pid;
        let start = StartRequest { container_id: id.to_owned(), ..Default::default() };
        assert_eq!(tasks.start(with_namespace!(start, self.namespace)).await?.into_inner().pid, pid);
        let wait = WaitRequest { container_id: id.to_owned(), ..Default::default() };
        assert_eq!(tasks.wait(with_namespace!(wait, self.namespace)).await?.into_inner().exit_status, 6);
        let exit = events.message().await?.and_then(|envelope| envelope.event).ok_or("no exit is told")?;
        assert_eq!(
            (exit.type_url.as_str(), decode::<TaskExit>(&exit)?.exit_status),
            ("containerd.events.TaskExit", 6)
        );
        let delete = DeleteTaskRequest { container_id: id.to_owned() };
        tasks.delete(with_namespace!(delete.clone(), self.namespace)).await?;
        refused(tasks.delete(with_namespace!(delete, self.namespace)).await, Code::NotFound);
        assert_eq!(std::fs::read_to_string(&out)?, "by the crate\n");
        std::fs::remove_file(&out)?;
        let list = ListContainersRequest { filters: vec!["labels.by==crate".into()] };
        let found = containers.list(with_namespace!(list, self.namespace)).await?.into_inner().containers;
        assert_eq!(found.len(), 1);
        containers
            .delete(with_namespace!(DeleteContainerRequest { id: id.to_owned() }, self.namespace))
            .await?;
        let remove = RemoveSnapshotRequest { snapshotter: "overlayfs".into(), key: id.to_owned() };
        self.client.snapshots().remove(with_namespace!(remove, self.namespace)).await?;
        Ok(())
    }
}

/// Its type was looked at, or is the only one that comes there.
fn decode<M: prost::Message + Default>(any: &Any) -> Outcome<M> {
    Ok(M::decode(any.value.as_slice())?)
}
