//! The HTTP endpoint that Prometheus asks.

use super::exposition::Page;
use super::{Calls, cgroups, process};
use crate::services::version::API_LEVEL;
use crate::tasks::Tasks;
use bytes::Bytes;
use errdefs::{Error, Result};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metadata::Db;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Where containerd has it.
const PATH: &str = "/v1/metrics";
/// How long a client may take to send its question.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is counted.
#[derive(Clone)]
pub struct Endpoint {
    pub calls: Arc<Calls>,
    pub records: Db,
    pub tasks: Tasks,
}

impl Endpoint {
    async fn page(&self) -> String {
        let mut page = Page::default();
        page.metric("containerd_build_info_total", "counter");
        let revision = concat!("wherry-", env!("CARGO_PKG_VERSION"));
        page.sample("containerd_build_info_total", &[("revision", revision), ("version", API_LEVEL)], 1);
        let mut tasks = Vec::new();
        for namespace in self.records.namespaces().list().unwrap_or_default() {
            // A namespace whose tasks cannot be asked has none to show.
            let metrics = self.tasks.metrics(&namespace.name, |_| true).await.unwrap_or_default();
            tasks
                .extend(metrics.into_iter().filter_map(|metric| cgroups::Task::new(&namespace.name, metric)));
        }
        cgroups::write(&tasks, &mut page);
        self.calls.write(&mut page);
        process::write(&mut page);
        page.text()
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let (status, kind, text) = match (request.uri().path(), request.method()) {
            (PATH, &Method::GET | &Method::HEAD) => {
                (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.page().await)
            }
            (PATH, _) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is served\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "text/plain", format!("metrics are at {PATH}\n")),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
        Ok(response)
    }
}

/// Listens on `HOST:PORT` and serves for as long as the daemon lives.
pub async fn serve(address: &str, endpoint: Endpoint) -> Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|cause| {
        Error::unknown(format!("cannot listen on {address} for metrics")).with_source(cause)
    })?;
    tracing::info!(address, "metrics are served");
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, say: that passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| endpoint.clone().answer(request));
            tokio::spawn(async move {
                // A client that hangs up is none of our business.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(())
}
