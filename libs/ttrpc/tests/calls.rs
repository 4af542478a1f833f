//! A client and a server on one socket.

use bytes::Bytes;
use errdefs::Kind;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use wherry_ttrpc as ttrpc;
use wherry_ttrpc::{CallOptions, Client, Context, Error, KeyValue, Reply, Server, Service, Status};

/// Echoes, refuses, waits for the end of its caller.
struct Echo(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl Service for Echo {
    fn call(&self, context: Context, method: &str, payload: Bytes) -> Reply<'static> {
        let ended = self.0.clone();
        match method {
            "Echo" => Box::pin(async move { Ok(payload) }),
            "Typed" => ttrpc::respond(payload, async move |message: KeyValue| {
                let value = context.value("who").unwrap_or_default().to_owned();
                Ok(KeyValue { key: message.key, value })
            }),
            "Refuse" => Box::pin(async { Err(errdefs::Error::not_found("task \"a\"").into()) }),
            "Grow" => Box::pin(async { Ok(Bytes::from(vec![0; ttrpc::MAX_DATA_BYTES + 1])) }),
            "Hang" => Box::pin(async move {
                context.ended().await;
                ended.send("ended").unwrap();
                Err(Status::new(Kind::Canceled, "gone"))
            }),
            other => {
                let status = Server::unknown_method(other);
                Box::pin(async { Err(status) })
            }
        }
    }
}

struct Running {
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
    stop: tokio::sync::oneshot::Sender<()>,
    done: tokio::task::JoinHandle<std::io::Result<()>>,
    ended: tokio::sync::mpsc::UnboundedReceiver<&'static str>,
}

fn start() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let (sender, ended) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::new().service("test.Echo", Arc::new(Echo(sender))).same_user_only();
    let done = tokio::spawn(server.serve(listener, async {
        let _ = stopped.await;
    }));
    Running { path, _dir: dir, stop, done, ended }
}

async fn connect(running: &Running) -> Client {
    Client::new(UnixStream::connect(&running.path).await.unwrap()).unwrap()
}

fn refusal(result: Result<Bytes, Error>) -> (Kind, String) {
    match result {
        Err(Error::Status(status)) => (status.kind(), status.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_refuses_and_carries_metadata() {
    let running = start();
    let client = connect(&running).await;
    let options = CallOptions { metadata: vec![("WHO".into(), "me".into())], timeout: None };
    let request = KeyValue { key: "k".into(), value: String::new() };
    let answer: KeyValue = client.call("test.Echo", "Typed", &request, options).await.unwrap();
    assert_eq!((answer.key.as_str(), answer.value.as_str()), ("k", "me"));
    let raw =
        |method: &'static str| client.call_raw("test.Echo", method, Bytes::new(), CallOptions::default());
    assert_eq!(refusal(raw("Refuse").await), (Kind::NotFound, "task \"a\": not found".into()));
    assert_eq!(refusal(raw("None").await), (Kind::Unimplemented, "method None".into()));
    let absent = client.call_raw("test.None", "Echo", Bytes::new(), CallOptions::default()).await;
    assert_eq!(refusal(absent), (Kind::Unimplemented, "service test.None".into()));
    let garbage = Bytes::from_static(&[0xff, 0xff]);
    let garbage = client.call_raw("test.Echo", "Typed", garbage, CallOptions::default()).await;
    assert_eq!(refusal(garbage).0, Kind::Internal);
}

#[tokio::test]
async fn limits_hold_in_both_directions_and_the_connection_lives_on() {
    let running = start();
    let client = connect(&running).await;
    let large = Bytes::from(vec![7; ttrpc::MAX_DATA_BYTES]);
    let (kind, text) = refusal(client.call_raw("test.Echo", "Echo", large, CallOptions::default()).await);
    assert_eq!(kind, Kind::ResourceExhausted);
    assert!(text.ends_with("exceed maximum message size of 4194304"), "{text}");
    let grown = client.call_raw("test.Echo", "Grow", Bytes::new(), CallOptions::default()).await;
    assert_eq!(refusal(grown).0, Kind::ResourceExhausted);
    let fits = Bytes::from(vec![7; ttrpc::MAX_DATA_BYTES - 100]);
    let answer = client.call_raw("test.Echo", "Echo", fits.clone(), CallOptions::default()).await.unwrap();
    assert_eq!(answer, fits);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let running = start();
    let client = connect(&running).await;
    let mut calls = tokio::task::JoinSet::new();
    for i in 0..300_u32 {
        let client = client.clone();
        calls.spawn(async move {
            let payload = Bytes::from(i.to_be_bytes().repeat(1 + i as usize * 40));
            let answer = client.call_raw("test.Echo", "Echo", payload.clone(), CallOptions::default()).await;
            assert_eq!(answer.unwrap(), payload);
        });
    }
    while let Some(result) = calls.join_next().await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let mut running = start();
    let client = connect(&running).await;
    let options = CallOptions { timeout: Some(Duration::from_millis(20)), ..Default::default() };
    let (kind, text) = refusal(client.call_raw("test.Echo", "Hang", Bytes::new(), options).await);
    assert_eq!((kind, text.as_str()), (Kind::DeadlineExceeded, "context deadline exceeded"));
    assert_eq!(running.ended.recv().await, Some("ended"));
}

#[tokio::test]
async fn a_gone_client_ends_its_waiting_calls() {
    let mut running = start();
    let client = connect(&running).await;
    let call = tokio::spawn(async move {
        client.call_raw("test.Echo", "Hang", Bytes::new(), CallOptions::default()).await
    });
    // A second connection answers only after the first was served for a while.
    connect(&running)
        .await
        .call_raw("test.Echo", "Echo", Bytes::new(), CallOptions::default())
        .await
        .unwrap();
    call.abort();
    assert_eq!(running.ended.recv().await, Some("ended"));
}

#[tokio::test]
async fn the_end_of_the_server_is_seen() {
    let running = start();
    let client = connect(&running).await;
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move {
            client.call_raw("test.Echo", "Hang", Bytes::new(), CallOptions::default()).await
        })
    };
    client.call_raw("test.Echo", "Echo", Bytes::new(), CallOptions::default()).await.unwrap();
    assert!(!client.is_closed());
    running.stop.send(()).unwrap();
    running.done.await.unwrap().unwrap();
    client.closed().await;
    // The call in flight was answered before the socket closed.
    assert_eq!(refusal(waiting.await.unwrap()).0, Kind::Canceled);
    let after = client.call_raw("test.Echo", "Echo", Bytes::new(), CallOptions::default()).await;
    assert_eq!(after, Err(Error::Closed));
}

#[tokio::test]
async fn wrong_streams_are_refused_by_their_texts() {
    let running = start();
    let mut stream = UnixStream::connect(&running.path).await.unwrap();
    let request = |stream, flags| {
        let header = ttrpc::Header { stream, kind: ttrpc::MessageType::Request, flags };
        ttrpc::encode(header, &[]).unwrap()
    };
    let data = ttrpc::Header { stream: 1, kind: ttrpc::MessageType::Data, flags: 1 };
    let frames =
        [request(2, 0), request(5, 0), request(5, 0), ttrpc::encode(data, b"x").unwrap(), request(7, 2)]
            .concat();
    stream.write_all(&frames).await.unwrap();
    let mut decoder = ttrpc::Decoder::default();
    let mut texts = Vec::new();
    while texts.len() < 5 {
        match decoder.next_frame() {
            Some(ttrpc::Received::Frame(header, data)) => {
                let response = <ttrpc::Response as prost::Message>::decode(data).unwrap();
                texts.push((header.stream, response.status.unwrap().message));
            }
            Some(other) => panic!("{other:?}"),
            None => assert!(stream.read_buf(decoder.buffer()).await.unwrap() > 0),
        }
    }
    texts.sort();
    let expected = [
        (1, "StreamID is no longer active"),
        (2, "StreamID must be odd for client initiated streams"),
        (5, "StreamID cannot be re-used and must increment"),
        (5, "service "),
        (7, "streaming"),
    ];
    assert_eq!(texts, expected.map(|(stream, text)| (stream, text.to_owned())));
}
