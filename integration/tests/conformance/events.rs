//! Events: topics, order, filters, subscribers that do not read.

use crate::subject::{Subject, in_namespace, labels, refused};
use containerd_api::events::ContainerDelete;
use containerd_api::pack;
use containerd_api::services::events::v1::events_client::EventsClient;
use containerd_api::services::events::v1::{ForwardRequest, PublishRequest, SubscribeRequest};
use containerd_api::services::namespaces::v1::namespaces_client::NamespacesClient;
use containerd_api::services::namespaces::v1::{CreateNamespaceRequest, Namespace};
use containerd_api::types::Envelope;
use std::time::Duration;
use tonic::{Code, Streaming};

/// Subscribes. The answer may begin with the first event only: events are made until one comes.
async fn subscribe(subject: &Subject, filters: &[&str]) -> Streaming<Envelope> {
    let mut client = EventsClient::new(subject.channel.clone());
    let mut filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
    if !filters.is_empty() {
        filters.push("topic==\"/ready\"".into());
    }
    let first = async {
        let mut stream = client.subscribe(SubscribeRequest { filters }).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().topic, "/ready");
        stream
    };
    let made = async {
        loop {
            publish(subject, &subject.namespace, "/ready", "ready").await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        stream = first => stream,
        () = made => unreachable!("events are made without end"),
    }
}

async fn publish(
    subject: &Subject,
    namespace: &str,
    topic: &str,
    id: &str,
) -> Result<tonic::Response<()>, tonic::Status> {
    let event = Some(pack(&ContainerDelete { id: id.into() }));
    let request = PublishRequest { topic: topic.into(), event };
    EventsClient::new(subject.channel.clone()).publish(in_namespace(namespace, request)).await
}

async fn next(stream: &mut Streaming<Envelope>) -> Envelope {
    loop {
        let envelope = tokio::time::timeout(Duration::from_secs(20), stream.message()).await.unwrap();
        let envelope = envelope.unwrap().unwrap();
        if envelope.topic != "/ready" {
            return envelope;
        }
    }
}

pub async fn suite(subject: &Subject) {
    for topic in ["", "x", "/", "//x", "/a b", "/x/"] {
        refused(publish(subject, &subject.namespace, topic, "x").await, Code::InvalidArgument);
    }
    let mut client = EventsClient::new(subject.channel.clone());
    let mut envelope = Envelope { namespace: "far".into(), topic: "/far".into(), ..Envelope::default() };
    envelope.event = Some(pack(&ContainerDelete { id: "x".into() }));
    refused(client.forward(ForwardRequest { envelope: Some(envelope.clone()) }).await, Code::InvalidArgument);
    client.subscribe(SubscribeRequest { filters: vec!["topic==".into()] }).await.unwrap_err();

    let mut all = subscribe(subject, &[]).await;
    let mut some = subscribe(subject, &["topic~=|^/wanted|,namespace==here", "event.id==special"]).await;
    // One that never reads delays nobody.
    let _asleep = subscribe(subject, &[]).await;
    for number in 0..200 {
        publish(subject, "here", "/other", &number.to_string()).await.unwrap();
    }
    publish(subject, "there", "/wanted", "no").await.unwrap();
    publish(subject, "here", "/wanted/x", "yes").await.unwrap();
    publish(subject, "there", "/other", "special").await.unwrap();
    envelope.timestamp = Some(containerd_api::Timestamp { seconds: 5, nanos: 6 });
    client.forward(ForwardRequest { envelope: Some(envelope.clone()) }).await.unwrap();
    for number in 0..200 {
        let found = next(&mut all).await;
        let event: ContainerDelete = containerd_api::unpack(&found.event.unwrap()).unwrap();
        assert_eq!((found.namespace.as_str(), event.id), ("here", number.to_string()));
    }
    for topic in ["/wanted", "/wanted/x", "/other"] {
        assert_eq!(next(&mut all).await.topic, topic);
    }
    assert_eq!(next(&mut all).await, envelope);
    assert_eq!(next(&mut some).await.topic, "/wanted/x");
    assert_eq!(next(&mut some).await.topic, "/other");

    // What the stores say of themselves.
    let namespace = Namespace { name: "told".into(), labels: labels([("a", "b")]) };
    let mut namespaces = NamespacesClient::new(subject.channel.clone());
    namespaces.create(subject.of(CreateNamespaceRequest { namespace: Some(namespace) })).await.unwrap();
    assert_eq!(next(&mut all).await.topic, "/namespaces/create");
}
