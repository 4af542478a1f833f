//! A line in the log for each call.

use crate::metrics::Calls;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::service::Routes;

/// The header that joins the logs of one request across programs.
const REQUEST_ID: &str = "x-request-id";

/// The services, with each call logged: at debug level, or at info level when it failed by our fault.
#[derive(Clone)]
pub struct Logged {
    routes: Routes,
    /// Counts them too, if somebody wants to know.
    calls: Option<Arc<Calls>>,
}

impl Logged {
    pub fn new(routes: Routes, calls: Option<Arc<Calls>>) -> Logged {
        Logged { routes, calls }
    }

    /// Passes the call on, counted.
    fn pass(&mut self, request: Request<Body>) -> Answered {
        let Some(calls) = &self.calls else { return Box::pin(self.routes.call(request)) };
        let (request, counted) = calls.begin(request);
        let call = self.routes.call(request);
        Box::pin(async move { Ok(counted.answer(call.await?)) })
    }
}

/// An answer to come.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Service<Request<Body>> for Logged {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return self.pass(request);
        }
        let method = request.uri().path().to_owned();
        let namespace = header(request.headers(), "containerd-namespace").to_owned();
        let id = header(request.headers(), REQUEST_ID).to_owned();
        let start = Instant::now();
        let call = self.pass(request);
        Box::pin(async move {
            let response = call.await?;
            // A stream's code comes at its end, in trailers; here are those of calls refused at once.
            let code = header(response.headers(), "grpc-status");
            tracing::debug!(method, namespace, request_id = id, code, took = ?start.elapsed(), "call");
            Ok(response)
        })
    }
}
