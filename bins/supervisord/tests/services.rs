//! Services that no stock client drives yet: the sandbox API, what a runtime says of itself, refusals.

mod stage;

use containerd_api::events::NamespaceCreate;
use containerd_api::services::content::v1::content_client::ContentClient;
use containerd_api::services::content::v1::{WriteAction, WriteContentRequest};
use containerd_api::services::diff::v1::ApplyRequest;
use containerd_api::services::diff::v1::diff_client::DiffClient;
use containerd_api::services::events::v1::SubscribeRequest;
use containerd_api::services::events::v1::events_client::EventsClient;
use containerd_api::services::introspection::v1::introspection_client::IntrospectionClient;
use containerd_api::services::introspection::v1::{PluginInfoRequest, PluginsRequest};
use containerd_api::services::namespaces::v1::namespaces_client::NamespacesClient;
use containerd_api::services::namespaces::v1::{CreateNamespaceRequest, Namespace};
use containerd_api::services::sandbox::v1::controller_client::ControllerClient;
use containerd_api::services::sandbox::v1::store_client::StoreClient;
use containerd_api::services::sandbox::v1::*;
use containerd_api::services::transfer::v1::TransferRequest;
use containerd_api::services::transfer::v1::transfer_client::TransferClient;
use containerd_api::types::transfer::{HttpDebug, ImageStore, OciRegistry, RegistryResolver};
use containerd_api::types::{Descriptor, Mount, RuntimeInfo, RuntimeRequest, Sandbox};
use containerd_api::{Any, pack, unpack};
use stage::Stage;
use std::os::unix::fs::PermissionsExt;
use tonic::{Code, Request};

fn here<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", "here".parse().unwrap());
    request
}

#[tokio::test]
async fn sandboxes_are_kept_and_no_controller_is_claimed() {
    let stage = Stage::new().await;
    let mut store = StoreClient::new(stage.channel.clone());
    let get = |id: &str| here(StoreGetRequest { sandbox_id: id.into() });
    assert_eq!(store.get(get("box")).await.unwrap_err().code(), Code::NotFound);
    let mut sandbox = Sandbox { sandbox_id: "box".into(), ..Sandbox::default() };
    sandbox.labels.insert("a".into(), "b".into());
    let create = StoreCreateRequest { sandbox: Some(sandbox.clone()) };
    let created = store.create(here(create.clone())).await.unwrap().into_inner().sandbox.unwrap();
    assert!(created.created_at.is_some());
    assert_eq!(store.create(here(create)).await.unwrap_err().code(), Code::AlreadyExists);
    sandbox.labels.insert("a".into(), "c".into());
    let update = StoreUpdateRequest { sandbox: Some(sandbox), fields: vec!["labels.a".into()] };
    store.update(here(update)).await.unwrap();
    let found = store.get(get("box")).await.unwrap().into_inner().sandbox.unwrap();
    assert_eq!(found.labels["a"], "c");
    for (filter, count) in [("labels.a==c", 1), ("id==other", 0)] {
        let list = StoreListRequest { filters: vec![filter.into()] };
        assert_eq!(store.list(here(list)).await.unwrap().into_inner().list.len(), count);
    }
    let delete = StoreDeleteRequest { sandbox_id: "box".into() };
    store.delete(here(delete.clone())).await.unwrap();
    assert_eq!(store.delete(here(delete)).await.unwrap_err().code(), Code::NotFound);

    let mut controller = ControllerClient::new(stage.channel.clone());
    let start = |sandboxer: &str| {
        here(ControllerStartRequest { sandbox_id: "box".into(), sandboxer: sandboxer.into() })
    };
    assert_eq!(controller.start(start("")).await.unwrap_err().code(), Code::InvalidArgument);
    let absent = controller.start(start("podsandbox")).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    assert_eq!(absent.message(), "failed to get sandbox controller by podsandbox: not found");
}

#[tokio::test]
async fn a_runtime_is_asked_for_what_it_is() {
    let stage = Stage::new().await;
    let mut introspection = IntrospectionClient::new(stage.channel.clone());
    // A shim binary that says a RuntimeInfo whose name is "mine".
    let shim = stage.top.path().join("shim");
    // Copied by a child process: while this one holds a descriptor for writing, a child of another thread may
    // inherit it, and the kernel would refuse to run the file.
    let written = stage.top.path().join("written");
    std::fs::write(&written, "#!/bin/sh\nprintf '\\012\\004mine'\n").unwrap();
    assert!(std::process::Command::new("cp").args([&written, &shim]).status().unwrap().success());
    std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ask = |id: &str, path: &str| PluginInfoRequest {
        r#type: "io.containerd.runtime.v2".into(),
        id: id.into(),
        options: Some(pack(&RuntimeRequest { runtime_path: path.into(), options: None })),
    };
    let answer = introspection.plugin_info(ask("task", shim.to_str().unwrap())).await.unwrap().into_inner();
    assert_eq!(unpack::<RuntimeInfo>(&answer.extra.unwrap()).unwrap().name, "mine");
    let missing = introspection.plugin_info(ask("task", "/nowhere")).await.unwrap_err();
    assert_eq!(missing.code(), Code::Unknown, "{missing:?}");
    assert_eq!(introspection.plugin_info(ask("other", "")).await.unwrap_err().code(), Code::NotFound);
    let of = PluginsRequest { filters: vec!["type==io.containerd.snapshotter.v1".into()] };
    let plugins = introspection.plugins(of).await.unwrap().into_inner().plugins;
    assert_eq!(plugins.iter().map(|plugin| plugin.id.as_str()).collect::<Vec<_>>(), ["native", "overlayfs"]);
    assert!(plugins.iter().all(|plugin| plugin.init_err.is_none() && plugin.exports.contains_key("root")));
}

#[tokio::test]
async fn programs_that_clients_install_are_found() {
    let stage = Stage::new().await;
    let mut introspection = IntrospectionClient::new(stage.channel.clone());
    let request = PluginsRequest { filters: vec!["type==io.containerd.internal.v1,id==opt".into()] };
    let [opt] = introspection.plugins(request).await.unwrap().into_inner().plugins.try_into().unwrap();
    let place = std::path::PathBuf::from(&opt.exports["path"]);
    assert!(place.starts_with(stage.top.path()) && place.join("lib").is_dir(), "{place:?}");
    let (text, shim) = (stage.top.path().join("text"), place.join("bin/containerd-shim-installed-v1"));
    std::fs::write(&text, "#!/bin/sh\necho it looks in $PATH >&2\nexit 3\n").unwrap();
    // By a child process: no other child has it open for writing when it is run.
    let mut install = std::process::Command::new("install");
    assert!(install.args(["-m", "755"]).args([&text, &shim]).status().unwrap().success());
    let asked = RuntimeRequest { runtime_path: "io.containerd.installed.v1".into(), options: None };
    let (r#type, id) = ("io.containerd.runtime.v2".into(), "task".into());
    let request = PluginInfoRequest { r#type, id, options: Some(pack(&asked)) };
    let said = introspection.plugin_info(request).await.unwrap_err();
    let wanted = format!("it looks in {}:", place.join("bin").display());
    assert!(said.message().contains(shim.to_str().unwrap()) && said.message().contains(&wanted), "{said:?}");
}

#[tokio::test]
async fn the_traffic_of_transfers_is_shown_to_nobody() {
    let stage = Stage::new().await;
    let resolver = RegistryResolver { http_debug: HttpDebug::Debug as i32, ..RegistryResolver::default() };
    let request = TransferRequest {
        source: Some(pack(&OciRegistry { reference: "localhost:1/none:1".into(), resolver: Some(resolver) })),
        destination: Some(pack(&ImageStore { name: "localhost:1/none:1".into(), ..ImageStore::default() })),
        options: None,
    };
    let refused = TransferClient::new(stage.channel.clone()).transfer(here(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
}

#[tokio::test]
async fn what_clients_look_for_is_told() {
    let stage =
        Stage::with("version = 4\n[plugins.'io.containerd.gc.v1.scheduler']\ndeletion_threshold = 7").await;
    let all = async |filter: &str| {
        let request = PluginsRequest { filters: vec![filter.into()] };
        let mut introspection = IntrospectionClient::new(stage.channel.clone());
        introspection.plugins(request).await.unwrap().into_inner().plugins
    };
    // nerdctl: which restart policies there are.
    let restart = all("id==restart").await;
    assert_eq!(restart[0].r#type, "io.containerd.monitor.container.v1");
    assert_eq!(restart[0].capabilities, ["no", "always", "on-failure", "unless-stopped"]);
    // buildkit: the worker's platforms.
    let runtimes = all("type==io.containerd.runtime.v2").await;
    assert_eq!(runtimes[0].platforms[0].os, "linux");
    assert_eq!(runtimes[0].exports["log-uri-schemes"], "fifo,binary,binary-v2,file");
    assert_eq!(all("type==io.containerd.metadata.v1").await[0].exports["policy"], "shared");
    assert_eq!(all("type==io.containerd.gc.v1").await[0].exports["DeletionThreshold"], "7");
    let off = "disabled_plugins = ['io.containerd.monitor.container.v1.restart']";
    let stage = Stage::with(&format!("version = 4\n{off}")).await;
    let request = PluginsRequest { filters: vec!["id==restart".into()] };
    let mut introspection = IntrospectionClient::new(stage.channel.clone());
    assert!(introspection.plugins(request).await.unwrap().into_inner().plugins.is_empty());
}

#[tokio::test]
async fn events_are_chosen_by_any_of_their_fields() {
    let stage = Stage::new().await;
    let subscribe = async |filter: &str| {
        let request = SubscribeRequest { filters: vec![filter.into()] };
        EventsClient::new(stage.channel.clone()).subscribe(here(request)).await.unwrap().into_inner()
    };
    let mut by_name = subscribe("topic==\"/namespaces/create\",event.name==second").await;
    let mut by_label = subscribe("event.labels.\"a.b/c\"==1").await;
    for (name, value) in [("first", "0"), ("second", "2"), ("third", "1")] {
        let labels = [("a.b/c".to_owned(), value.to_owned())].into();
        let namespace = Some(Namespace { name: name.into(), labels });
        let create = CreateNamespaceRequest { namespace };
        NamespacesClient::new(stage.channel.clone()).create(create).await.unwrap();
    }
    for (stream, expected) in [(&mut by_name, "second"), (&mut by_label, "third")] {
        let envelope = stream.message().await.unwrap().unwrap();
        assert_eq!(unpack::<NamespaceCreate>(&envelope.event.unwrap()).unwrap().name, expected);
    }
}

/// Stores a blob; its descriptor.
async fn store(stage: &Stage, media_type: &str, data: &[u8]) -> Descriptor {
    let commit = WriteContentRequest {
        action: WriteAction::Commit as i32,
        r#ref: media_type.into(),
        total: data.len() as i64,
        data: data.to_vec().into(),
        ..Default::default()
    };
    let mut content = ContentClient::new(stage.channel.clone());
    let mut answers = content.write(here(tokio_stream::once(commit))).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let digest = content::Hasher::of(data).to_string();
    Descriptor { media_type: media_type.into(), digest, size: data.len() as i64, ..Default::default() }
}

/// A program that takes a header away, if it is told of it in so many words.
const OPEN: &str = r#"
case "$(cat <&3)" in *secret) ;; *) echo wrong key >&2; exit 1 ;; esac
read -r header && exec cat
"#;

#[tokio::test]
async fn layers_of_other_kinds_go_through_programs() {
    let top = tempfile::tempdir().unwrap();
    let script = top.path().join("open.sh");
    std::fs::write(&script, OPEN).unwrap();
    let stage = Stage::with(&format!(
        "version = 2\n[stream_processors.opener]\naccepts = ['x/closed']\npath = '/bin/sh'\nargs = [{:?}]\n\
         returns = 'application/vnd.oci.image.layer.v1.tar'",
        script.display().to_string()
    ))
    .await;
    let mut writer = archive::Writer::new(Vec::new());
    let mut entry = archive::Entry::new("file", archive::Kind::File, 0o644);
    entry.size = 5;
    writer.append(&entry, &mut b"plain".as_slice()).unwrap();
    let layer = writer.finish().unwrap();
    let target = top.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let closed = [b"closed\n".as_slice(), &layer].concat();
    let stored = store(&stage, "x/closed", &closed).await;
    let apply = |media_type: &str, key: &str| ApplyRequest {
        diff: Some(Descriptor { media_type: media_type.into(), ..stored.clone() }),
        mounts: vec![Mount {
            r#type: "bind".into(),
            source: target.display().to_string(),
            options: vec!["rbind".into(), "rw".into()],
            ..Default::default()
        }],
        // Clients address all programs that they know of.
        payloads: ["opener", "another"]
            .map(|id| (id.to_owned(), Any { type_url: "t".into(), value: key.into() }))
            .into(),
        sync_fs: false,
    };
    let mut diff = DiffClient::new(stage.channel.clone());
    let unknown = diff.apply(here(apply("x/other", "secret"))).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert!(unknown.message().contains("no processor for media-type"), "{}", unknown.message());
    let wrong = diff.apply(here(apply("x/closed", "guess"))).await.unwrap_err();
    assert!(wrong.message().contains("stream processor opener failed: wrong key"), "{}", wrong.message());
    let applied = diff.apply(here(apply("x/closed", "secret"))).await.unwrap().into_inner().applied.unwrap();
    assert_eq!(applied.digest, content::Hasher::of(&layer).to_string());
    assert_eq!(applied.media_type, "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(std::fs::read_to_string(target.join("file")).unwrap(), "plain");
}
