//! Plugins that are programs of their own: found by name, spoken to by HTTP
//! (Docker's plugin protocol, version 1).

mod address;

use std::time::Duration;

use bytes::Bytes;
use errdefs::{Error, Result};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use address::Address;

const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// A plugin that is silent for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_LIMIT_BYTES: usize = 8 << 20;

/// Calls a method of a plugin.
///
/// # Errors
/// The plugin is not there, does not answer, or says that it failed.
pub async fn call<Q: Serialize, A: DeserializeOwned>(name: &str, method: &str, question: &Q) -> Result<A> {
    let address = Address::find(name)?;
    let body = serde_json::to_vec(question)
        .map_err(|cause| Error::internal("cannot encode a call of a plugin").with_source(cause))?;
    let answered = tokio::time::timeout(PATIENCE, exchange(&address, method, body)).await;
    let bytes = answered.map_err(|_| Error::unavailable(format!("plugin {name} does not answer")))??;
    serde_json::from_slice(&bytes).map_err(|cause| {
        Error::internal(format!("cannot read the answer of plugin {name}")).with_source(cause)
    })
}

async fn exchange(address: &Address, method: &str, body: Vec<u8>) -> Result<Bytes> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::unavailable(format!("cannot call the plugin at {address}: {cause}"))
    };
    let stream = address.connect().await.map_err(|cause| failed(cause.into()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|cause| failed(cause.into()))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/{method}"))
        .header(header::HOST, address.host())
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
