//! Talking to a shim: its socket, and the version of the task API it speaks.

use super::bootstrap::Bootstrap;
use errdefs::{Error, Kind, Result};
use prost::Message;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// The service by which a shim runs a sandbox.
const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// A connection to one shim. Calls of one task's verbs go through it side by side.
pub struct TaskClient {
    ttrpc: ttrpc::Client,
    /// 2 or 3; a shim that does not know 3 is spoken to in 2 from then on.
    version: AtomicI32,
    metadata: Vec<(String, String)>,
}

impl TaskClient {
    /// Connects to the shim that serves a task of `namespace`; NotFound if nobody listens there.
    pub async fn connect(bootstrap: &Bootstrap, namespace: &str) -> Result<TaskClient> {
        let stream = dial(&bootstrap.address).map_err(|cause| {
            let kind = match cause.kind() {
                // A socket that is gone, or that nobody holds any more.
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Kind::NotFound,
                _ => Kind::Unavailable,
            };
            Error::new(kind, format!("cannot connect to the shim at {}", bootstrap.address))
                .with_source(cause)
        })?;
        let ttrpc = tokio::net::UnixStream::from_std(stream).and_then(ttrpc::Client::new);
        Ok(TaskClient {
            ttrpc: ttrpc.map_err(|e| Error::internal("cannot register a shim's socket").with_source(e))?,
            version: AtomicI32::new(bootstrap.version),
            metadata: vec![("containerd-namespace-ttrpc".to_owned(), namespace.to_owned())],
        })
    }

    /// Calls `method` of the shim's task service.
    pub async fn call<Req, Resp>(&self, method: &str, request: &Req) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        self.call_within(method, request, None).await
    }

    /// Calls `method`, giving up after `timeout`.
    pub async fn call_within<Req, Resp>(
        &self,
        method: &str,
        request: &Req,
        timeout: Option<Duration>,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let version = self.version.load(Ordering::Relaxed);
        match self.call_version(version, method, request, timeout).await {
            Err(error) if version == 3 && error.kind() == Kind::Unimplemented => {
                let answer = self.call_version(2, method, request, timeout).await;
                if answer.is_ok() {
                    self.version.store(2, Ordering::Relaxed);
                }
                answer
            }
            answer => answer,
        }
    }

    /// Calls `method` of the shim's sandbox service, which not every shim has.
    pub async fn call_sandbox<Req, Resp>(
        &self,
        method: &str,
        request: &Req,
        timeout: Option<Duration>,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let options = ttrpc::CallOptions { metadata: self.metadata.clone(), timeout };
        self.ttrpc.call(SANDBOX, method, request, options).await.map_err(from_ttrpc)
    }

    /// The two versions differ in the package's name only, so one set of messages serves both.
    async fn call_version<Req, Resp>(
        &self,
        version: i32,
        method: &str,
        request: &Req,
        timeout: Option<Duration>,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let service = if version == 3 { "containerd.task.v3.Task" } else { "containerd.task.v2.Task" };
        let options = ttrpc::CallOptions { metadata: self.metadata.clone(), timeout };
        self.ttrpc.call(service, method, request, options).await.map_err(from_ttrpc)
    }

    /// Returns when the shim has hung up.
    pub async fn closed(&self) {
        self.ttrpc.closed().await;
    }
}

/// The text is the one by which clients know that a shim has gone.
const CLOSED: &str = "ttrpc: closed";

/// Whether a call failed because the shim has hung up.
pub fn is_closed(error: &Error) -> bool {
    error.kind() == Kind::Unknown && error.to_string() == CLOSED
}

fn from_ttrpc(error: ttrpc::Error) -> Error {
    match error {
        ttrpc::Error::Status(status) => Error::new(Kind::from_grpc_code(status.code), status.message),
        ttrpc::Error::Closed => Error::unknown(CLOSED),
    }
}

/// Never waits: a stopped shim whose queue of connections is full is an error, not a stop of this thread.
fn dial(address: &str) -> std::io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let to = match address.strip_prefix("unix://") {
        Some(path) => SocketAddrUnix::new(path)?,
        // Shims before containerd 1.4 listen on abstract sockets.
        None => SocketAddrUnix::new_abstract_name(address.as_bytes())?,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &to)?;
    Ok(socket.into())
}
