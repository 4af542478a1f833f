//! Transfers by a client of the API, with Debian's registry and skopeo at the other end. Needs root,
//! docker-registry and skopeo.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use containerd_api::services::content::v1::content_client::ContentClient;
use containerd_api::services::content::v1::{ListContentRequest, ReadContentRequest};
use containerd_api::services::images::v1::ListImagesRequest;
use containerd_api::services::images::v1::images_client::ImagesClient;
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::leases::v1::{CreateRequest as LeaseRequest, DeleteRequest, ListRequest};
use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::{ListSnapshotsRequest, ViewSnapshotRequest};
use containerd_api::services::streaming::v1::StreamInit;
use containerd_api::services::streaming::v1::streaming_client::StreamingClient;
use containerd_api::services::transfer::v1::transfer_client::TransferClient;
use containerd_api::services::transfer::v1::{TransferOptions, TransferRequest};
use containerd_api::types::transfer::{
    Data, ImageExportStream, ImageImportStream, ImageReference, ImageStore, OciRegistry, Progress,
    UnpackConfiguration, WindowUpdate,
};
use containerd_api::types::{Mount, Platform};
use containerd_api::{Any, Dial, pack, unpack};
use prost::{Message, Name};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !ready() {
        assert!(Instant::now() < end, "{what} does not come up");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Stage {
    top: tempfile::TempDir,
    registry: String,
    _processes: [Process; 2],
    channel: Channel,
}

impl Stage {
    async fn new() -> Stage {
        let top = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let registry = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}/registry\nhttp:\n  addr: {registry}\n",
            top.path().display()
        );
        fs::write(top.path().join("registry.yml"), config).unwrap();
        let quiet = |command: &mut Command| {
            Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        };
        let hub = quiet(Command::new("docker-registry").arg("serve").arg(top.path().join("registry.yml")));
        let socket = top.path().join("s.sock");
        let daemon = quiet(
            Command::new(env!("CARGO_BIN_EXE_supervisord"))
                .arg("--address")
                .arg(&socket)
                .arg("--root")
                .arg(top.path().join("root"))
                .arg("--state")
                .arg(top.path().join("state")),
        );
        wait_for("registry", || std::net::TcpStream::connect(&registry).is_ok());
        wait_for("supervisord", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        let channel = Endpoint::from_static("http://s").connect_with_connector(Dial(socket)).await.unwrap();
        Stage { top, registry, _processes: [hub, daemon], channel }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Puts an image for two platforms, of a gzip, a zstd and a plain layer, into the registry.
    fn publish(&self, name: &str) {
        let layers = self.layers();
        let layout = self.path("layout");
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let put = |bytes: &[u8]| {
            let digest = content::Hasher::of(bytes);
            fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
            format!(r#""digest":"{digest}","size":{}"#, bytes.len())
        };
        let oci = "application/vnd.oci.image";
        let suffixes = ["+gzip", "+zstd", ""];
        let listed: Vec<String> = layers
            .iter()
            .zip(suffixes)
            .map(|((_, bytes), suffix)| {
                format!(r#"{{"mediaType":"{oci}.layer.v1.tar{suffix}",{}}}"#, put(bytes))
            })
            .collect();
        let diff_ids: Vec<String> = layers.iter().map(|(diff_id, _)| format!("{diff_id:?}")).collect();
        let manifests: Vec<String> = ["arm64", "amd64"]
            .iter()
            .map(|arch| {
                let config = format!(
                    r#"{{"architecture":"{arch}","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
                    diff_ids.join(",")
                );
                let manifest = format!(
                    r#"{{"schemaVersion":2,"mediaType":"{oci}.manifest.v1+json","config":{{"mediaType":"{oci}.config.v1+json",{}}},"layers":[{}]}}"#,
                    put(config.as_bytes()),
                    listed.join(",")
                );
                let platform = format!(r#""platform":{{"os":"linux","architecture":"{arch}"}}"#);
                format!(r#"{{"mediaType":"{oci}.manifest.v1+json",{},{platform}}}"#, put(manifest.as_bytes()))
            })
            .collect();
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{oci}.index.v1+json","manifests":[{}]}}"#,
            manifests.join(",")
        );
        let top = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{oci}.index.v1+json",{}}}]}}"#,
            put(index.as_bytes())
        );
        fs::write(layout.join("index.json"), top).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let copied = Command::new("skopeo")
            .args(["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"])
            .args([format!("oci:{}", layout.display()), format!("docker://{}/{name}", self.registry)])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }

    /// diffID and bytes of three layers; the second hides what the first has.
    fn layers(&self) -> Vec<(String, Vec<u8>)> {
        use diff::Compression::{Gzip, None, Zstd};
        type Tree<'a> = (&'a str, &'a [(&'a str, &'a str)], diff::Compression);
        let trees: [Tree; 3] = [
            ("one", &[("etc/passwd", "root"), ("d/old", "o"), ("gone/x", "x")], Gzip),
            (
                "two",
                &[("etc/.wh.passwd", ""), ("d/.wh..wh..opq", ""), ("d/new", "n"), (".wh.gone", "")],
                Zstd,
            ),
            ("three", &[("three", "3")], None),
        ];
        let made = trees.map(|(name, files, compression)| {
            let root = self.path(name);
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let options = diff::WriteOptions { compression, epoch: Option::None };
            let mut bytes = Vec::new();
            let written = diff::write(&[], &[bind(&root)], options, &mut bytes).unwrap();
            (written.diff_id.to_string(), bytes)
        });
        made.into()
    }

    fn request<T>(&self, namespace: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", namespace.parse().unwrap());
        request
    }

    async fn stream(&self, namespace: &str, id: &str) -> (mpsc::Sender<Any>, Streaming<Any>) {
        let (sender, messages) = mpsc::channel(64);
        sender.send(pack(&StreamInit { id: id.into() })).await.unwrap();
        let request = self.request(namespace, ReceiverStream::new(messages));
        let mut answers =
            StreamingClient::new(self.channel.clone()).stream(request).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap().type_url, "google.protobuf.Empty");
        (sender, answers)
    }

    /// Runs a transfer; the progress that came with it.
    async fn transfer<S, D>(
        &self,
        namespace: &str,
        source: S,
        destination: D,
    ) -> Result<Vec<Progress>, Status>
    where
        S: Message + Name,
        D: Message + Name,
    {
        let id = format!("progress-{:?}", Instant::now());
        let (_keep, mut answers) = self.stream(namespace, &id).await;
        let request = TransferRequest {
            source: Some(pack(&source)),
            destination: Some(pack(&destination)),
            options: Some(TransferOptions { progress_stream: id }),
        };
        TransferClient::new(self.channel.clone()).transfer(self.request(namespace, request)).await?;
        let mut told = Vec::new();
        while let Some(message) = answers.message().await? {
            told.push(unpack::<Progress>(&message).unwrap());
        }
        Ok(told)
    }

    async fn images(&self, namespace: &str) -> HashMap<String, String> {
        let mut client = ImagesClient::new(self.channel.clone());
        let list = client.list(self.request(namespace, ListImagesRequest::default()));
        let images = list.await.unwrap().into_inner().images;
        images.into_iter().map(|image| (image.name, image.target.unwrap().digest)).collect()
    }

    /// The tree of the one snapshot that has no child.
    async fn look(&self, namespace: &str) -> Vec<String> {
        let mut client = SnapshotsClient::new(self.channel.clone());
        let list = ListSnapshotsRequest { snapshotter: "overlayfs".into(), ..Default::default() };
        let infos = client
            .list(self.request(namespace, list))
            .await
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap()
            .info;
        let top = infos.iter().find(|info| !infos.iter().any(|other| other.parent == info.name)).unwrap();
        let view = ViewSnapshotRequest {
            snapshotter: "overlayfs".into(),
            key: "look".into(),
            parent: top.name.clone(),
            ..Default::default()
        };
        let mounts = client.view(self.request(namespace, view)).await.unwrap().into_inner().mounts;
        let tree = diff::Target::readable(&mounts).unwrap();
        let mut writer = archive::Writer::new(Vec::new());
        archive::pack(tree.root(), &mut writer).unwrap();
        let bytes = writer.finish().unwrap();
        let mut reader = archive::Reader::new(bytes.as_slice());
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.push(String::from_utf8(entry.path).unwrap());
        }
        names
    }
}

fn bind(path: &Path) -> Mount {
    let options = vec!["rbind".into(), "ro".into()];
    Mount { r#type: "bind".into(), source: path.to_str().unwrap().into(), target: String::new(), options }
}

fn amd64() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), ..Platform::default() }
}

fn store(name: &str) -> ImageStore {
    ImageStore {
        name: name.into(),
        platforms: vec![amd64()],
        unpacks: vec![UnpackConfiguration { platform: Some(amd64()), snapshotter: "overlayfs".into() }],
        ..ImageStore::default()
    }
}

fn registry(reference: &str) -> OciRegistry {
    OciRegistry { reference: reference.into(), resolver: None }
}

fn events<'a>(told: &'a [Progress], event: &str) -> Vec<&'a Progress> {
    told.iter().filter(|progress| progress.event == event).collect()
}

const TREE: [&str; 4] = ["d/", "d/new", "etc/", "three"];

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_round() {
    let stage = Stage::new().await;
    stage.publish("test/multi:1");
    let name = format!("{}/test/multi:1", stage.registry);

    // Pull: all layers, whiteouts, progress with digests and sizes, nothing of the other platform.
    let told = stage.transfer("a", registry(&name), store(&name)).await.unwrap();
    for layer in events(&told, "extracted") {
        assert!(layer.total > 0 && layer.progress == layer.total);
        assert!(layer.desc.as_ref().unwrap().digest.starts_with("sha256:"));
    }
    assert_eq!(events(&told, "extracted").len(), 3);
    assert_eq!(events(&told, "saved")[0].name, name);
    assert_eq!(stage.look("a").await, TREE);
    let mut content = ContentClient::new(stage.channel.clone());
    let list = content.list(stage.request("a", ListContentRequest::default()));
    let blobs = list.await.unwrap().into_inner().message().await.unwrap().unwrap().info;
    assert_eq!(blobs.len(), 6, "index, manifest, config, three layers");
    let source = format!("containerd.io/distribution.source.{}", stage.registry);
    assert!(blobs.iter().all(|blob| blob.labels.get(&source).map(String::as_str) == Some("test/multi")));
    let mut leases = LeasesClient::new(stage.channel.clone());
    let leases = leases.list(stage.request("a", ListRequest::default()));
    assert!(leases.await.unwrap().into_inner().leases.is_empty());

    // Again: nothing is fetched or unpacked.
    let told = stage.transfer("a", registry(&name), store(&name)).await.unwrap();
    assert!(events(&told, "downloading").is_empty() && events(&told, "extracted").is_empty());
    assert_eq!(events(&told, "already exists").len(), 6);

    // Push to another repository: blobs are mounted. One platform is here, so its manifest goes.
    let other = format!("{}/other/place:2", stage.registry);
    let told = stage.transfer("a", store(&name), registry(&other)).await.unwrap();
    assert_eq!(events(&told, "mounted").len(), 4);
    stage.transfer("b", registry(&other), store(&other)).await.unwrap();
    assert_eq!(stage.look("b").await, TREE);

    // Tag, export, and import elsewhere.
    let tag = "docker.io/library/tagged:1";
    stage.transfer("a", store(&name), store(tag)).await.unwrap();
    let bytes = export(&stage, "a", tag).await;
    for (namespace, archive) in [("c", bytes.clone()), ("d", gzip(&bytes))] {
        import(&stage, namespace, archive, false).await.unwrap();
        let images = stage.images(namespace).await;
        assert_eq!(images.get(tag), stage.images("a").await.get(tag));
        assert_eq!(stage.look(namespace).await, TREE);
    }
    fs::write(stage.path("exported.tar"), &bytes).unwrap();
    let listed = Command::new("skopeo")
        .args(["inspect", "--raw", &format!("oci-archive:{}", stage.path("exported.tar").display())])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child =
        Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

async fn export(stage: &Stage, namespace: &str, name: &str) -> Vec<u8> {
    let (sender, mut answers) = stage.stream(namespace, "export-1").await;
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        // A narrow window, granted anew for what came.
        sender.send(pack(&WindowUpdate { update: 1000 })).await.unwrap();
        while let Some(message) = answers.message().await.unwrap() {
            let data = unpack::<Data>(&message).unwrap().data;
            bytes.extend_from_slice(&data);
            let _ = sender.send(pack(&WindowUpdate { update: data.len() as i32 })).await;
        }
        bytes
    });
    let destination = ImageExportStream { stream: "export-1".into(), ..ImageExportStream::default() };
    stage.transfer(namespace, store(name), destination).await.unwrap();
    reading.await.unwrap()
}

async fn import(
    stage: &Stage,
    namespace: &str,
    bytes: Vec<u8>,
    force_compress: bool,
) -> Result<Vec<Progress>, Status> {
    let (sender, mut answers) = stage.stream(namespace, "import-1").await;
    tokio::spawn(async move {
        let (mut window, mut rest) = (0, bytes.as_slice());
        while let Ok(Some(message)) = answers.message().await {
            window += unpack::<WindowUpdate>(&message).unwrap().update as usize;
            while window > 0 && !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(window).min(32 << 10));
                (rest, window) = (after, window - piece.len());
                if sender.send(pack(&Data { data: piece.to_vec().into() })).await.is_err() {
                    return;
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        // The end of what we send; leaving before the transfer has read it would cancel the stream.
        drop(sender);
        while let Ok(Some(_)) = answers.message().await {}
    });
    let prefix = ImageReference {
        name: "import".into(),
        is_prefix: true,
        allow_overwrite: true,
        ..Default::default()
    };
    let destination = ImageStore { extra_references: vec![prefix], ..store("") };
    stage
        .transfer(
            namespace,
            ImageImportStream { stream: "import-1".into(), force_compress, ..Default::default() },
            destination,
        )
        .await
}

/// An archive as `docker save` wrote it once, with one plain layer, and that layer's digest.
fn saved() -> (Vec<u8>, String) {
    let tar = |files: &[(&str, &[u8])]| {
        let mut writer = archive::Writer::new(Vec::new());
        for (name, body) in files {
            let mut entry = archive::Entry::new(*name, archive::Kind::File, 0o644);
            entry.size = body.len() as u64;
            writer.append(&entry, &mut &body[..]).unwrap();
        }
        writer.finish().unwrap()
    };
    let layer = tar(&[("greeting", b"hello")]);
    let digest = content::Hasher::of(&layer).to_string();
    let rootfs = serde_json::json!({"type": "layers", "diff_ids": [digest]});
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).to_string();
    let list = r#"[{"Config": "config.json", "RepoTags": ["plain:1"], "Layers": ["layer.tar"]}]"#;
    let files: [(&str, &[u8]); 3] =
        [("layer.tar", &layer), ("config.json", config.as_bytes()), ("manifest.json", list.as_bytes())];
    (tar(&files), digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_layers_are_compressed_when_that_is_asked() {
    let stage = Stage::new().await;
    let (archive, plain) = saved();
    for (namespace, compress) in [("plain", false), ("small", true)] {
        import(&stage, namespace, archive.clone(), compress).await.unwrap();
        let target = stage.images(namespace).await["docker.io/library/plain:1"].clone();
        let read = ReadContentRequest { digest: target, ..Default::default() };
        let read = ContentClient::new(stage.channel.clone()).read(stage.request(namespace, read)).await;
        let piece = read.unwrap().into_inner().message().await.unwrap().unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&piece.data).unwrap();
        let layer = &manifest["layers"][0];
        let kind = layer["mediaType"].as_str().unwrap();
        assert_eq!((kind.ends_with("gzip"), layer["digest"] == plain), (compress, !compress), "{layer}");
        if compress {
            let list = ListContentRequest {
                filters: vec![format!("digest=={}", layer["digest"].as_str().unwrap())],
            };
            let list = ContentClient::new(stage.channel.clone()).list(stage.request(namespace, list)).await;
            let blobs = list.unwrap().into_inner().message().await.unwrap().unwrap().info;
            assert_eq!(blobs[0].labels.get("containerd.io/uncompressed"), Some(&plain));
            assert_eq!(blobs[0].size, layer["size"].as_i64().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_what_and_leave_nothing() {
    let stage = Stage::new().await;
    let missing = format!("{}/test/none:1", stage.registry);
    let error = stage.transfer("a", registry(&missing), store(&missing)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(
        error.message().contains(&missing) && error.message().ends_with(": not found"),
        "{}",
        error.message()
    );
    let error = stage.transfer("a", registry("127.0.0.1:1/a:1"), store("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let error = stage.transfer("a", registry("a"), registry("b")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    let nowhere = ImageImportStream { stream: "none".into(), ..Default::default() };
    assert_eq!(stage.transfer("a", nowhere, store("")).await.unwrap_err().code(), Code::NotFound);
    // An archive that is none, and one whose manifest.json would fill the memory.
    let file = |name: &str, size: u64| {
        let mut writer = archive::Writer::new(Vec::new());
        let mut entry = archive::Entry::new(name, archive::Kind::File, 0o644);
        entry.size = size;
        // The body is cut off on purpose.
        let _ = writer.append(&entry, &mut [b'['; 512].as_slice());
        writer.finish().unwrap()
    };
    for bytes in [file("x", 512), file("manifest.json", 10 << 30)] {
        assert_eq!(import(&stage, "a", bytes, false).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(stage.images("a").await.is_empty());
    let read = ReadContentRequest { digest: content::Hasher::of(b"").to_string(), ..Default::default() };
    let read = ContentClient::new(stage.channel.clone()).read(stage.request("a", read)).await;
    let code = match read {
        Ok(stream) => stream.into_inner().message().await.unwrap_err().code(),
        Err(status) => status.code(),
    };
    assert_eq!(code, Code::NotFound);
}

#[tokio::test]
async fn a_stream_goes_with_its_lease() {
    let stage = Stage::new().await;
    let mut leases = LeasesClient::new(stage.channel.clone());
    let create = LeaseRequest { id: "held".into(), ..Default::default() };
    leases.create(stage.request("a", create)).await.unwrap();
    let (sender, messages) = mpsc::channel(64);
    sender.send(pack(&StreamInit { id: "waits".into() })).await.unwrap();
    let mut request = stage.request("a", ReceiverStream::new(messages));
    request.metadata_mut().insert("containerd-lease", "held".parse().unwrap());
    let mut held = StreamingClient::new(stage.channel.clone()).stream(request).await.unwrap().into_inner();
    held.message().await.unwrap().unwrap();
    let (_free, mut free) = stage.stream("a", "free").await;
    leases.delete(stage.request("a", DeleteRequest { id: "held".into(), sync: true })).await.unwrap();
    // Its client is told, and its name is another's to take.
    assert!(held.message().await.unwrap().is_none());
    let (_again, _) = stage.stream("a", "waits").await;
    let still = tokio::time::timeout(std::time::Duration::from_millis(50), free.message()).await;
    assert!(still.is_err(), "a stream of no lease has ended: {still:?}");
}
