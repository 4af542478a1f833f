//! The content store: ingests, what a commit checks, reading, labels, sharing between namespaces.

use crate::subject::{Subject, digest, in_namespace, labels, mask, refused};
use containerd_api::services::content::v1::content_client::ContentClient;
use containerd_api::services::content::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

type Client = ContentClient<Channel>;

fn message(action: WriteAction, reference: &str) -> WriteContentRequest {
    WriteContentRequest { action: action as i32, r#ref: reference.into(), ..WriteContentRequest::default() }
}

fn data(action: WriteAction, reference: &str, offset: usize, bytes: &[u8]) -> WriteContentRequest {
    WriteContentRequest { offset: offset as i64, data: bytes.to_vec().into(), ..message(action, reference) }
}

/// Sends messages and takes the last answer.
pub async fn send(
    client: &Client,
    request: Request<Vec<WriteContentRequest>>,
) -> Result<WriteContentResponse, Status> {
    let (metadata, extensions, messages) = request.into_parts();
    let request = Request::from_parts(metadata, extensions, tokio_stream::iter(messages));
    let mut stream = client.clone().write(request).await?.into_inner();
    let mut last = None;
    while let Some(answer) = stream.message().await? {
        last = Some(answer);
    }
    last.ok_or_else(|| Status::unknown("no answer"))
}

/// A blob, whole.
pub async fn put(client: &Client, request: Request<&[u8]>, pairs: &[(&str, &str)]) -> String {
    let (metadata, extensions, bytes) = request.into_parts();
    let name = digest(bytes);
    let mut commit = data(WriteAction::Commit, &name, 0, bytes);
    commit.total = bytes.len() as i64;
    commit.expected.clone_from(&name);
    commit.labels = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    send(client, Request::from_parts(metadata, extensions, vec![commit])).await.unwrap();
    name
}

#[track_caller]
fn failed(answer: Result<WriteContentResponse, Status>, code: Code) -> String {
    let status = answer.expect_err("this is refused");
    assert_eq!(status.code(), code, "{status:?}");
    status.message().to_owned()
}

pub async fn suite(subject: &Subject) {
    let subject = &subject.keeping().await;
    let client = ContentClient::new(subject.channel.clone());
    ingests(subject, &client).await;
    commits(subject, &client).await;
    reads(subject, &client).await;
    records(subject, &client).await;
    sharing(subject, &client).await;
}

async fn ingests(subject: &Subject, client: &Client) {
    let say = |messages| send(client, subject.of(messages));
    let mut status = client.clone();
    failed(say(vec![message(WriteAction::Stat, "")]).await, Code::InvalidArgument);
    let first = say(vec![data(WriteAction::Write, "r", 0, b"hello ")]).await.unwrap();
    assert_eq!(first.offset, 6);
    // The stream has ended: the ingest is kept, and goes on where it was.
    let stat = say(vec![message(WriteAction::Stat, "r")]).await.unwrap();
    assert_eq!((stat.offset, stat.digest), (6, digest(b"hello ")));
    failed(say(vec![data(WriteAction::Write, "r", 3, b"x")]).await, Code::OutOfRange);
    let found = status
        .status(subject.of(StatusRequest { r#ref: "r".into() }))
        .await
        .unwrap()
        .into_inner()
        .status
        .unwrap();
    assert_eq!((found.offset, found.r#ref.as_str()), (6, "r"));
    let list = ListStatusesRequest { filters: vec!["ref~=r".into()] };
    assert_eq!(status.list_statuses(subject.of(list)).await.unwrap().into_inner().statuses.len(), 1);
    let list = ListStatusesRequest { filters: vec!["ref==none".into()] };
    assert_eq!(status.list_statuses(subject.of(list)).await.unwrap().into_inner().statuses.len(), 0);
    let whole = say(vec![data(WriteAction::Commit, "r", 6, b"world")]).await.unwrap();
    assert_eq!((whole.digest, whole.offset), (digest(b"hello world"), 11));
    refused(status.status(subject.of(StatusRequest { r#ref: "r".into() })).await, Code::NotFound);

    // While one writes, nobody else does; the ingest goes when it is aborted.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(data(WriteAction::Write, "busy", 0, b"x")).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut writer = client.clone().write(subject.of(stream)).await.unwrap().into_inner();
    writer.message().await.unwrap().unwrap();
    let text = failed(say(vec![message(WriteAction::Stat, "busy")]).await, Code::Unavailable);
    assert!(text.contains("locked"), "{text}");
    drop((sender, writer));
    // The end of a stream is learnt of some time after it.
    while say(vec![message(WriteAction::Stat, "busy")]).await.is_err() {
        tokio::task::yield_now().await;
    }
    let abort = || subject.of(AbortRequest { r#ref: "busy".into() });
    status.abort(abort()).await.unwrap();
    refused(status.abort(abort()).await, Code::NotFound);
}

async fn commits(subject: &Subject, client: &Client) {
    let say = |messages| send(client, subject.of(messages));
    let blob = b"some content";
    let mut size = data(WriteAction::Commit, "size", 0, blob);
    size.total = 5;
    failed(say(vec![size]).await, Code::FailedPrecondition);
    let mut other = data(WriteAction::Commit, "digest", 0, blob);
    other.expected = digest(b"other");
    let text = failed(say(vec![other]).await, Code::FailedPrecondition);
    assert!(text.contains("unexpected commit digest"), "{text}");
    let mut malformed = data(WriteAction::Commit, "malformed", 0, blob);
    malformed.expected = "nonsense".into();
    say(vec![malformed]).await.unwrap_err();
    let name = put(client, subject.of(blob), &[("a", "b")]).await;
    let mut again = message(WriteAction::Stat, "again");
    again.expected.clone_from(&name);
    failed(say(vec![again]).await, Code::AlreadyExists);
    // Writing from 0 begins anew.
    say(vec![data(WriteAction::Write, "anew", 0, b"first")]).await.unwrap();
    let anew = say(vec![data(WriteAction::Commit, "anew", 0, b"second")]).await.unwrap();
    assert_eq!(anew.digest, digest(b"second"));
}

async fn reads(subject: &Subject, client: &Client) {
    let blob: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let name = put(client, subject.of(blob.as_slice()), &[]).await;
    for (offset, size) in
        [(0, 0), (5, 10), (2_999_999, 1), (1_000_000, 1_500_000), (3_000_000, 0), (2_999_990, 100)]
    {
        let request = ReadContentRequest { digest: name.clone(), offset, size };
        let mut stream = client.clone().read(subject.of(request)).await.unwrap().into_inner();
        let mut found = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            assert!(piece.data.len() <= 16 << 20);
            found.extend_from_slice(&piece.data);
        }
        let (start, size) = (offset as usize, size as usize);
        let end = if size == 0 { blob.len() } else { (start + size).min(blob.len()) };
        assert_eq!(found.len(), end - start, "{offset} {size}");
        assert!(found == blob[start..end]);
    }
    let read = async |digest: &str, offset| {
        let request = ReadContentRequest { digest: digest.into(), offset, size: 0 };
        let mut stream = client.clone().read(subject.of(request)).await?.into_inner();
        stream.message().await
    };
    assert_eq!(read(&name, 3_000_001).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(read(&digest(b"absent"), 0).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(read("nonsense", 0).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn records(subject: &Subject, client: &Client) {
    let mut client = client.clone();
    let name = put(&client, subject.of(b"labelled".as_slice()), &[("a", "b"), ("x.y", "z")]).await;
    let info = async |client: &mut Client| {
        let request = subject.of(InfoRequest { digest: name.clone() });
        client.info(request).await.unwrap().into_inner().info.unwrap()
    };
    let found = info(&mut client).await;
    assert_eq!((found.size, found.labels.clone()), (8, labels([("a", "b"), ("x.y", "z")])));
    assert!(found.created_at.is_some() && found.updated_at.is_some());
    let mut change = async |pairs: &[(&str, &str)], paths: &[&str]| {
        let labels = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let info = Info { digest: name.clone(), labels, ..Info::default() };
        client.update(subject.of(UpdateRequest { info: Some(info), update_mask: mask(paths) })).await
    };
    change(&[("a", "c"), ("q", "r")], &["labels.a"]).await.unwrap();
    refused(change(&[], &["size"]).await, Code::InvalidArgument);
    let long = "x".repeat(4096);
    refused(change(&[("k", &long)], &["labels.k"]).await, Code::InvalidArgument);
    change(&[], &["labels.x.y"]).await.unwrap();
    let mut reader = ContentClient::new(subject.channel.clone());
    assert_eq!(info(&mut reader).await.labels, labels([("a", "c")]));
    change(&[("only", "this")], &[]).await.unwrap();
    assert_eq!(info(&mut reader).await.labels, labels([("only", "this")]));
    let count = async |filter: &str| {
        let request = ListContentRequest { filters: vec![filter.to_owned()] };
        let mut client = ContentClient::new(subject.channel.clone());
        let mut stream = client.list(subject.of(request)).await?.into_inner();
        let mut count = 0;
        while let Some(page) = stream.message().await? {
            count += page.info.len();
        }
        Ok::<_, Status>(count)
    };
    assert_eq!(count("labels.only==this").await.unwrap(), 1);
    assert_eq!(count(&format!("digest=={name}")).await.unwrap(), 1);
    assert_eq!(count("labels.only==other").await.unwrap(), 0);
    assert_eq!(count("labels.only~=[").await.unwrap(), 0);
    assert_eq!(count("labels.only==").await.unwrap_err().code(), Code::InvalidArgument);
    let delete = || subject.of(DeleteContentRequest { digest: name.clone() });
    reader.delete(delete()).await.unwrap();
    refused(reader.delete(delete()).await, Code::NotFound);
    refused(reader.info(subject.of(InfoRequest { digest: name.clone() })).await, Code::NotFound);
    refused(reader.info(subject.of(InfoRequest { digest: "x".into() })).await, Code::InvalidArgument);
    refused(reader.info(Request::new(InfoRequest { digest: name.clone() })).await, Code::FailedPrecondition);
    refused(reader.info(in_namespace("a/b", InfoRequest { digest: name })).await, Code::InvalidArgument);
}

/// A namespace takes what another has by naming it, and sees it only then.
async fn sharing(subject: &Subject, client: &Client) {
    // What it takes is kept by a lease there: the first one's keeps nothing in another namespace.
    let elsewhere = &subject.elsewhere().keeping().await;
    let blob = b"shared between namespaces";
    let name = put(client, subject.of(blob.as_slice()), &[]).await;
    let mut other = client.clone();
    let info = || elsewhere.of(InfoRequest { digest: name.clone() });
    refused(other.info(info()).await, Code::NotFound);
    let mut commit = message(WriteAction::Commit, "share");
    commit.expected.clone_from(&name);
    commit.total = blob.len() as i64;
    commit.offset = blob.len() as i64;
    send(client, elsewhere.of(vec![commit])).await.unwrap();
    other.info(info()).await.unwrap();
    other.delete(subject.of(DeleteContentRequest { digest: name.clone() })).await.unwrap();
    other.info(info()).await.unwrap();
    other.delete(elsewhere.of(DeleteContentRequest { digest: name.clone() })).await.unwrap();
}
