//! Events to the daemon: in order, one at a time, kept until it has them.

use crate::arguments::Arguments;
use crate::command;
use crate::journal::warn;
use crate::reaper::Reaper;
use containerd_api::services::events::ttrpc::v1::ForwardRequest;
use containerd_api::types::Envelope;
use containerd_api::{Timestamp, pack};
use prost::{Message, Name};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use ttrpc::{CallOptions, Client};

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
/// How long the daemon may take for one event.
const CALL: Duration = Duration::from_secs(5);
/// How often an event is offered to a daemon that refuses it.
const REFUSALS: u32 = 5;
/// Between attempts: a daemon that restarts is back at its address soon.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(1000),
];

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The daemon's ttrpc socket.
    Socket(String),
    /// The daemon's `publish` command, with its gRPC address.
    Program { binary: std::path::PathBuf, address: String },
    /// There is no daemon to tell.
    Nobody,
}

impl Target {
    /// The daemon's ttrpc socket, if it has told of one; else its `publish` command, if it has one.
    pub(crate) fn new(ttrpc_address: Option<String>, arguments: &Arguments) -> Target {
        match ttrpc_address {
            Some(address) if !address.is_empty() => Target::Socket(address),
            _ if !arguments.publish_binary.as_os_str().is_empty() => Target::Program {
                binary: arguments.publish_binary.clone(),
                address: arguments.address.clone(),
            },
            _ => Target::Nobody,
        }
    }
}

/// The queue of events.
#[derive(Clone)]
pub(crate) struct Events {
    namespace: String,
    queue: mpsc::UnboundedSender<Item>,
}

enum Item {
    Event(Box<Envelope>),
    /// Answered when all before it were sent.
    Flush(oneshot::Sender<()>),
}

impl Events {
    /// Starts the sender.
    pub(crate) fn start(namespace: &str, target: Target, reaper: Reaper) -> Events {
        let (queue, items) = mpsc::unbounded_channel();
        tokio::spawn(send(items, target, reaper));
        Events { namespace: namespace.to_owned(), queue }
    }

    /// Events that nobody is told of.
    pub(crate) fn untold(namespace: &str) -> Events {
        Events { namespace: namespace.to_owned(), queue: mpsc::unbounded_channel().0 }
    }

    /// Queues an event; its place in the order is this moment.
    pub(crate) fn publish<M: Message + Name>(&self, topic: &str, event: &M) {
        let envelope = Envelope {
            timestamp: Some(timestamp(SystemTime::now())),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: Some(pack(event)),
        };
        // The sender ends with the process only, or there is none.
        let _ = self.queue.send(Item::Event(Box::new(envelope)));
    }

    /// Resolves when every event so far was sent, or `limit` is up.
    pub(crate) async fn flush(&self, limit: Duration) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(limit, flushed).await;
        }
    }
}

/// A moment as the API has it.
pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 }
}

async fn send(mut items: mpsc::UnboundedReceiver<Item>, target: Target, reaper: Reaper) {
    let mut client = None;
    while let Some(item) = items.recv().await {
        match item {
            Item::Event(envelope) => match &target {
                Target::Socket(address) => forward(&mut client, address, *envelope).await,
                Target::Program { binary, address } => {
                    let mut command = Command::new(binary);
                    command.args(["-address", address, "publish", "--topic", &envelope.topic]);
                    command.args(["--namespace", &envelope.namespace]);
                    let event = envelope.event.as_ref().map(Message::encode_to_vec).unwrap_or_default();
                    if let Err(cause) = command::run_program(&reaper, command, event, CALL).await {
                        warn(&format!("cannot publish event {}: {cause}", envelope.topic));
                    }
                }
                Target::Nobody => {}
            },
            Item::Flush(done) => drop(done.send(())),
        }
    }
}

/// Sends one event: over and over while there is no daemon, a few times to one that refuses it.
async fn forward(client: &mut Option<Client>, address: &str, envelope: Envelope) {
    let topic = envelope.topic.clone();
    let request = ForwardRequest { envelope: Some(envelope) };
    let mut pauses = PAUSES.iter().chain(std::iter::repeat(&PAUSES[PAUSES.len() - 1]));
    let mut refusals = 0;
    loop {
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = connect(address).await;
        }
        if let Some(connected) = client.as_ref() {
            let options = CallOptions { metadata: Vec::new(), timeout: Some(CALL) };
            // The answer is google.protobuf.Empty.
            match connected.call::<_, ()>(SERVICE, "Forward", &request, options).await {
                Ok(()) => return,
                Err(ttrpc::Error::Closed) => *client = None,
                Err(ttrpc::Error::Status(status)) => {
                    refusals += 1;
                    if refusals == REFUSALS {
                        return warn(&format!("cannot publish event {topic}: {status}"));
                    }
                }
            }
        }
        if let Some(pause) = pauses.next() {
            tokio::time::sleep(*pause).await;
        }
    }
}

async fn connect(address: &str) -> Option<Client> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    Client::new(UnixStream::connect(path).await.ok()?).ok()
}
