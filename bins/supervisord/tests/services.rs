//! Services that no stock client drives yet: the sandbox API, what a runtime says of itself, refusals.

mod stage;

use containerd_api::services::introspection::v1::introspection_client::IntrospectionClient;
use containerd_api::services::introspection::v1::{PluginInfoRequest, PluginsRequest};
use containerd_api::services::sandbox::v1::controller_client::ControllerClient;
use containerd_api::services::sandbox::v1::store_client::StoreClient;
use containerd_api::services::sandbox::v1::*;
use containerd_api::services::transfer::v1::TransferRequest;
use containerd_api::services::transfer::v1::transfer_client::TransferClient;
use containerd_api::types::transfer::{HttpDebug, ImageStore, OciRegistry, RegistryResolver};
use containerd_api::types::{RuntimeInfo, RuntimeRequest, Sandbox};
use containerd_api::{pack, unpack};
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
