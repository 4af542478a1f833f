//! Plugins that are programs of their own: found by name, spoken to by HTTP on a unix socket
//! (Docker's plugin protocol, version 1).

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use errdefs::{Error, Result};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Where sockets of plugins are, `NAME.sock` or `NAME/NAME.sock`.
const SOCKETS: &str = "/run/docker/plugins";
/// Where files that name their addresses are, `NAME.spec` or `NAME.json`.
const SPECS: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// A plugin that is silent for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_LIMIT_BYTES: usize = 8 << 20;

/// Calls a method of a plugin.
///
/// # Errors
/// The plugin is not there, does not answer, or says that it failed.
pub async fn call<Q: Serialize, A: DeserializeOwned>(name: &str, method: &str, question: &Q) -> Result<A> {
    let socket = find(name)?;
    let body = serde_json::to_vec(question)
        .map_err(|cause| Error::internal("cannot encode a call of a plugin").with_source(cause))?;
    let answered = tokio::time::timeout(PATIENCE, exchange(&socket, method, body)).await;
    let bytes = answered.map_err(|_| Error::unavailable(format!("plugin {name} does not answer")))??;
    serde_json::from_slice(&bytes).map_err(|cause| {
        Error::internal(format!("cannot read the answer of plugin {name}")).with_source(cause)
    })
}

async fn exchange(socket: &Path, method: &str, body: Vec<u8>) -> Result<Bytes> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::unavailable(format!("cannot call the plugin at {}: {cause}", socket.display()))
    };
    let stream = UnixStream::connect(socket).await.map_err(|cause| failed(cause.into()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|cause| failed(cause.into()))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/{method}"))
        .header(header::HOST, "plugin")
        .header(header::ACCEPT, MEDIA_TYPE)
        .header(header::CONTENT_TYPE, MEDIA_TYPE)
        .body(Full::new(Bytes::from(body)))
        .map_err(|cause| failed(cause.into()))?;
    let answer = sender.send_request(request).await.map_err(|cause| failed(cause.into()))?;
    let status = answer.status();
    let bytes =
        Limited::new(answer.into_body(), ANSWER_LIMIT_BYTES).collect().await.map_err(failed)?.to_bytes();
    if status.is_success() {
        return Ok(bytes);
    }
    Err(Error::internal(format!("{status}: {}", String::from_utf8_lossy(&bytes).trim())))
}

/// The socket of a plugin.
fn find(name: &str) -> Result<PathBuf> {
    let missing = || Error::not_found(format!("plugin {name:?} not found"));
    if name.contains('/') || name.starts_with('.') {
        return Err(missing());
    }
    let directory = Path::new(SOCKETS);
    let sockets = [directory.join(format!("{name}.sock")), directory.join(name).join(format!("{name}.sock"))];
    if let Some(found) = sockets.into_iter().find(|path| path.exists()) {
        return Ok(found);
    }
    for directory in SPECS {
        let at = Path::new(directory);
        if let Ok(text) = std::fs::read_to_string(at.join(format!("{name}.spec"))) {
            return address(text.trim()).ok_or_else(missing);
        }
        if let Ok(text) = std::fs::read(at.join(format!("{name}.json"))) {
            let spec: serde_json::Value = serde_json::from_slice(&text)
                .map_err(|cause| Error::internal(format!("cannot read {name}.json")).with_source(cause))?;
            return spec["Addr"].as_str().and_then(address).ok_or_else(missing);
        }
    }
    Err(missing())
}

/// Only unix sockets: a plugin is trusted with everything that the engine is asked.
fn address(text: &str) -> Option<PathBuf> {
    text.strip_prefix("unix://").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_sockets_and_nowhere_else() {
        for name in ["../../etc/x", "a/b", ".", "surely-not-there"] {
            assert!(find(name).is_err(), "{name}");
        }
        assert_eq!(address("unix:///run/a.sock"), Some("/run/a.sock".into()));
        assert_eq!(address("tcp://1.2.3.4:5"), None);
    }
}
