//! Records: namespaces, containers, images, leases; what they must have, how they change, how they are found.

use crate::subject::{Subject, digest, in_namespace, labels, mask, refused};
use containerd_api::Any;
use containerd_api::services::containers::v1::container::Runtime;
use containerd_api::services::containers::v1::containers_client::ContainersClient;
use containerd_api::services::containers::v1::*;
use containerd_api::services::images::v1::images_client::ImagesClient;
use containerd_api::services::images::v1::*;
use containerd_api::services::leases::v1 as leases;
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::namespaces::v1 as namespaces;
use containerd_api::services::namespaces::v1::namespaces_client::NamespacesClient;
use containerd_api::types::Descriptor;
use tonic::{Code, Request};

pub async fn suite(subject: &Subject) {
    spaces(subject).await;
    containers(subject).await;
    images(subject).await;
    leased(subject).await;
}

async fn spaces(subject: &Subject) {
    use namespaces::*;
    let mut client = NamespacesClient::new(subject.channel.clone());
    let space = |pairs| Some(Namespace { name: "spaces".into(), labels: pairs });
    client
        .create(subject.of(CreateNamespaceRequest { namespace: space(labels([("a", "b")])) }))
        .await
        .unwrap();
    refused(
        client.create(subject.of(CreateNamespaceRequest { namespace: space(labels([])) })).await,
        Code::AlreadyExists,
    );
    let bad = Namespace { name: "a b".into(), ..Namespace::default() };
    refused(
        client.create(subject.of(CreateNamespaceRequest { namespace: Some(bad) })).await,
        Code::InvalidArgument,
    );
    let update =
        |pairs, paths: &[&str]| UpdateNamespaceRequest { namespace: space(pairs), update_mask: mask(paths) };
    client.update(subject.of(update(labels([("c", "d")]), &["labels.c"]))).await.unwrap();
    refused(client.update(subject.of(update(labels([]), &["name"]))).await, Code::InvalidArgument);
    let get = GetNamespaceRequest { name: "spaces".into() };
    let found = client.get(subject.of(get)).await.unwrap().into_inner().namespace.unwrap();
    assert_eq!(found.labels, labels([("a", "b"), ("c", "d")]));
    let list = client.list(subject.of(ListNamespacesRequest::default())).await.unwrap().into_inner();
    assert!(list.namespaces.iter().any(|found| found.name == "spaces"));
    let mut containers = ContainersClient::new(subject.channel.clone());
    let create = || CreateContainerRequest { container: Some(container("inside")) };
    containers.create(in_namespace("spaces", create())).await.unwrap();
    let delete = || DeleteNamespaceRequest { name: "spaces".into() };
    let text = refused(client.delete(subject.of(delete())).await, Code::FailedPrecondition);
    assert!(text.contains("must be empty") && text.contains("containers"), "{text}");
    containers.delete(in_namespace("spaces", DeleteContainerRequest { id: "inside".into() })).await.unwrap();
    client.delete(subject.of(delete())).await.unwrap();
    refused(client.delete(subject.of(delete())).await, Code::NotFound);
}

fn container(id: &str) -> Container {
    Container {
        id: id.into(),
        labels: labels([("of", id)]),
        image: "image:1".into(),
        runtime: Some(Runtime { name: "io.containerd.runc.v2".into(), options: None }),
        spec: Some(any("spec", b"{}")),
        extensions: [("ext".to_owned(), any("type", b"1"))].into(),
        ..Container::default()
    }
}

fn any(url: &str, value: &[u8]) -> Any {
    Any { type_url: url.into(), value: value.to_vec() }
}

async fn containers(subject: &Subject) {
    let mut client = ContainersClient::new(subject.channel.clone());
    let create = |container| subject.of(CreateContainerRequest { container: Some(container) });
    let made = client.create(create(container("c1"))).await.unwrap().into_inner().container.unwrap();
    assert!(made.created_at.is_some() && made.created_at == made.updated_at);
    refused(client.create(create(container("c1"))).await, Code::AlreadyExists);
    type Spoil = fn(&mut Container);
    let spoils: [Spoil; 6] = [
        |c| c.id = String::new(),
        |c| c.id = "a b".into(),
        |c| c.id = "x".repeat(77),
        |c| c.runtime = Some(Runtime::default()),
        |c| c.snapshot_key = "key".into(),
        |c| drop(c.labels.insert("k".into(), "v".repeat(4096))),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut bad = container("bad");
        spoil(&mut bad);
        let text = refused(client.create(create(bad)).await, Code::InvalidArgument);
        assert!(!text.is_empty(), "{number}");
    }
    let mut bare = container("bare");
    bare.spec = None;
    refused(client.create(create(bare)).await, Code::InvalidArgument);

    let update = |change: Spoil, paths: &[&str]| {
        let mut changed = container("c1");
        change(&mut changed);
        subject.of(UpdateContainerRequest { container: Some(changed), update_mask: mask(paths) })
    };
    let got = |answer: tonic::Response<UpdateContainerResponse>| answer.into_inner().container.unwrap();
    let changed = got(client
        .update(update(|c| drop(c.labels.insert("n".into(), "1".into())), &["labels.n"]))
        .await
        .unwrap());
    assert_eq!(changed.labels, labels([("of", "c1"), ("n", "1")]));
    let changed = got(client.update(update(|c| c.image = "image:2".into(), &["image"])).await.unwrap());
    assert_eq!((changed.image.as_str(), changed.labels.len()), ("image:2", 2));
    let ext: Spoil = |c| drop(c.extensions.insert("more".into(), any("type", b"2")));
    assert_eq!(got(client.update(update(ext, &["extensions.more"])).await.unwrap()).extensions.len(), 2);
    let changed = got(client.update(update(|c| c.spec = Some(any("spec", b"[]")), &["spec"])).await.unwrap());
    assert_eq!(changed.spec.unwrap().value, b"[]");
    let changed =
        got(client.update(update(|c| c.labels = labels([("only", "1")]), &["labels"])).await.unwrap());
    assert_eq!(changed.labels, labels([("only", "1")]));
    for path in ["runtime", "id", "nonsense", "created_at"] {
        refused(client.update(update(|_| (), &[path])).await, Code::InvalidArgument);
    }
    let other: Spoil = |c| c.runtime = Some(Runtime { name: "other".into(), options: None });
    refused(client.update(update(other, &[])).await, Code::InvalidArgument);
    let all = got(client.update(update(|c| c.image = "image:3".into(), &[])).await.unwrap());
    assert_eq!((all.image.as_str(), all.labels), ("image:3", labels([("of", "c1")])));
    let mut absent = update(|c| c.id = "absent".into(), &["image"]);
    absent.metadata_mut().insert("x", "y".parse().unwrap());
    refused(client.update(absent).await, Code::NotFound);

    client.create(create(container("c2"))).await.unwrap();
    let ids = async |filters: &[&str]| {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let mut client = ContainersClient::new(subject.channel.clone());
        let found =
            client.list(subject.of(ListContainersRequest { filters })).await.unwrap().into_inner().containers;
        found.into_iter().map(|container| container.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]).await, ["c1", "c2"]);
    assert_eq!(ids(&["id==c1"]).await, ["c1"]);
    assert_eq!(ids(&["labels.of==c2", "image==image:3"]).await, ["c1", "c2"]);
    assert_eq!(ids(&["runtime.name~=runc,id!=c1"]).await, ["c2"]);
    assert_eq!(ids(&["labels.\"of\"~=|^c|"]).await, ["c1", "c2"]);
    let mut stream =
        client.list_stream(subject.of(ListContainersRequest::default())).await.unwrap().into_inner();
    let mut count = 0;
    while stream.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 2);
    for id in ["c1", "c2"] {
        client.delete(subject.of(DeleteContainerRequest { id: id.into() })).await.unwrap();
    }
    let text =
        refused(client.delete(subject.of(DeleteContainerRequest { id: "c1".into() })).await, Code::NotFound);
    assert!(text.contains("c1") && text.ends_with(": not found"), "{text}");
    refused(client.get(subject.of(GetContainerRequest { id: "c1".into() })).await, Code::NotFound);
    refused(
        client.get(Request::new(GetContainerRequest { id: "c1".into() })).await,
        Code::FailedPrecondition,
    );
}

async fn images(subject: &Subject) {
    let mut client = ImagesClient::new(subject.channel.clone());
    let target = |text: &str| Descriptor {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: digest(text.as_bytes()),
        size: 10,
        annotations: labels([("for", text)]),
    };
    let image = |name: &str| Image { name: name.into(), target: Some(target(name)), ..Image::default() };
    let create =
        |image| subject.of(CreateImageRequest { image: Some(image), ..CreateImageRequest::default() });
    client.create(create(image("i:1"))).await.unwrap();
    refused(client.create(create(image("i:1"))).await, Code::AlreadyExists);
    type Spoil = fn(&mut Image);
    let spoils: [Spoil; 5] = [
        |i| i.name = String::new(),
        |i| i.target.as_mut().unwrap().digest = String::new(),
        |i| i.target.as_mut().unwrap().digest = "nonsense".into(),
        |i| i.target.as_mut().unwrap().size = 0,
        |i| i.target.as_mut().unwrap().media_type = String::new(),
    ];
    for spoil in spoils {
        let mut bad = image("bad:1");
        spoil(&mut bad);
        refused(client.create(create(bad)).await, Code::InvalidArgument);
    }
    let update = |change: Spoil, paths: &[&str]| {
        let mut changed = image("i:1");
        change(&mut changed);
        let request =
            UpdateImageRequest { image: Some(changed), update_mask: mask(paths), source_date_epoch: None };
        subject.of(request)
    };
    let got = |answer: tonic::Response<UpdateImageResponse>| answer.into_inner().image.unwrap();
    let changed =
        got(client.update(update(|i| i.labels = labels([("a", "b")]), &["labels.a"])).await.unwrap());
    assert_eq!(changed.labels, labels([("a", "b")]));
    let to: Spoil = |i| i.target.as_mut().unwrap().size = 11;
    let changed = got(client.update(update(to, &["target"])).await.unwrap());
    assert_eq!((changed.target.unwrap().size, changed.labels.len()), (11, 1));
    refused(client.update(update(|_| (), &["name"])).await, Code::InvalidArgument);
    refused(client.update(update(|i| i.name = "absent".into(), &["labels"])).await, Code::NotFound);
    let changed = got(client.update(update(|_| (), &[])).await.unwrap());
    assert_eq!((changed.target.unwrap().size, changed.labels.len()), (10, 0));

    client.create(create(image("i:2"))).await.unwrap();
    let names = async |filter: &str| {
        let request = ListImagesRequest { filters: vec![filter.to_owned()] };
        let mut client = ImagesClient::new(subject.channel.clone());
        let found = client.list(subject.of(request)).await.unwrap().into_inner().images;
        found.into_iter().map(|image| image.name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["i:1", "i:2"]);
    assert_eq!(names("name==i:1").await, ["i:1"]);
    assert_eq!(names("target.mediatype~=oci").await, ["i:1", "i:2"]);
    assert_eq!(names(&format!("target.digest=={}", digest(b"i:2"))).await, ["i:2"]);
    assert_eq!(names("annotations.for==i:2").await, ["i:2"]);
    let delete = |name: &str| DeleteImageRequest { name: name.into(), ..DeleteImageRequest::default() };
    for name in ["i:1", "i:2"] {
        client.delete(subject.of(delete(name))).await.unwrap();
    }
    refused(client.delete(subject.of(delete("i:1"))).await, Code::NotFound);
    refused(client.get(subject.of(GetImageRequest { name: "i:1".into() })).await, Code::NotFound);
}

async fn leased(subject: &Subject) {
    use leases::*;
    let mut client = LeasesClient::new(subject.channel.clone());
    let create = |id: &str, pairs| subject.of(CreateRequest { id: id.into(), labels: pairs });
    client.create(create("l1", labels([("a", "b")]))).await.unwrap();
    refused(client.create(create("l1", labels([]))).await, Code::AlreadyExists);
    let ids = async |filter: &str| {
        let request = ListRequest { filters: vec![filter.to_owned()] };
        let mut client = LeasesClient::new(subject.channel.clone());
        let found = client.list(subject.of(request)).await.unwrap().into_inner().leases;
        found.into_iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("labels.a==b").await, ["l1"]);
    assert_eq!(ids("id==none").await, [""; 0]);
    let resource = |kind: &str, id: &str| Some(Resource { r#type: kind.into(), id: id.into() });
    let add = |lease: &str, kind: &str, id: &str| {
        subject.of(AddResourceRequest { id: lease.into(), resource: resource(kind, id) })
    };
    for (kind, id) in [("content", digest(b"x").as_str()), ("snapshots/overlayfs", "k"), ("ingests", "r")] {
        client.add_resource(add("l1", kind, id)).await.unwrap();
    }
    refused(client.add_resource(add("absent", "content", &digest(b"x"))).await, Code::NotFound);
    refused(client.add_resource(add("l1", "content", "nonsense")).await, Code::InvalidArgument);
    refused(client.add_resource(add("l1", "odd", "x")).await, Code::Unimplemented);
    let list = |id: &str| subject.of(ListResourcesRequest { id: id.into() });
    assert_eq!(client.list_resources(list("l1")).await.unwrap().into_inner().resources.len(), 3);
    refused(client.list_resources(list("absent")).await, Code::NotFound);
    let remove = DeleteResourceRequest { id: "l1".into(), resource: resource("ingests", "r") };
    client.delete_resource(subject.of(remove)).await.unwrap();
    assert_eq!(client.list_resources(list("l1")).await.unwrap().into_inner().resources.len(), 2);
    let delete = || subject.of(DeleteRequest { id: "l1".into(), sync: false });
    client.delete(delete()).await.unwrap();
    refused(client.delete(delete()).await, Code::NotFound);
}
