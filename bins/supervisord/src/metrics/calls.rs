//! Counts of gRPC calls, under the names of go-grpc-middleware's Prometheus provider.

use super::exposition::Page;
use super::messages::Messages;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};

/// Upper bounds of the histogram's buckets, seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Methods that are counted at most: whoever makes names up must not fill the memory.
const MOST_METHODS: usize = 400;

/// Methods that are no single question with a single answer.
const STREAMS: [(&str, &str); 10] = [
    ("/containerd.services.containers.v1.Containers/ListStream", "server_stream"),
    ("/containerd.services.content.v1.Content/List", "server_stream"),
    ("/containerd.services.content.v1.Content/Read", "server_stream"),
    ("/containerd.services.content.v1.Content/Write", "bidi_stream"),
    ("/containerd.services.events.v1.Events/Subscribe", "server_stream"),
    ("/containerd.services.snapshots.v1.Snapshots/List", "server_stream"),
    ("/containerd.services.streaming.v1.Streaming/Stream", "bidi_stream"),
    ("/grpc.health.v1.Health/Watch", "server_stream"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "bidi_stream"),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "bidi_stream"),
];

/// The counts of every method called so far.
pub struct Calls {
    histogram: bool,
    methods: Mutex<BTreeMap<String, Method>>,
}

#[derive(Default)]
struct Method {
    started: u64,
    received: u64,
    sent: u64,
    /// By status code.
    handled: BTreeMap<i32, u64>,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// One call under way; it counts as handled when it is told so, or when it is dropped.
pub struct Call {
    calls: Arc<Calls>,
    path: String,
    start: Instant,
}

impl Calls {
    /// No calls yet; with `histogram` the time that they take is counted too.
    pub fn new(histogram: bool) -> Calls {
        Calls { histogram, methods: Mutex::default() }
    }

    /// A call begins: counts it, and the messages that it will read.
    pub fn begin(self: &Arc<Calls>, request: Request<Body>) -> (Request<Body>, Call) {
        let path = request.uri().path().to_owned();
        self.count(&path, |method| method.started += 1);
        let call = Call { calls: self.clone(), path: path.clone(), start: Instant::now() };
        let calls = self.clone();
        let counted = request.map(|body| {
            Body::new(Messages::new(body, move |_: Option<&HeaderMap>, count| {
                calls.count(&path, |method| method.received += count);
            }))
        });
        (counted, call)
    }

    fn count(&self, path: &str, change: impl FnOnce(&mut Method)) {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if methods.len() < MOST_METHODS || methods.contains_key(path) {
            change(methods.entry(path.to_owned()).or_default());
        }
    }

    /// Writes the counts.
    pub fn write(&self, page: &mut Page) {
        let methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let labelled = || {
            methods.iter().map(|(path, method)| {
                let (service, name) = path.trim_start_matches('/').rsplit_once('/').unwrap_or(("", path));
                let kind =
                    STREAMS.iter().find(|(stream, _)| stream == path).map_or("unary", |(_, kind)| kind);
                (method, [("grpc_method", name), ("grpc_service", service), ("grpc_type", kind)])
            })
        };
        page.metric("grpc_server_handled_total", "counter");
        for (method, [name, service, kind]) in labelled() {
            for (code, count) in &method.handled {
                let labels = [("grpc_code", word(*code)), name, service, kind];
                page.sample("grpc_server_handled_total", &labels, count);
            }
        }
        type Count = fn(&Method) -> u64;
        let counts: [(&str, Count); 3] = [
            ("grpc_server_msg_received_total", |method| method.received),
            ("grpc_server_msg_sent_total", |method| method.sent),
            ("grpc_server_started_total", |method| method.started),
        ];
        for (metric, count) in counts {
            page.metric(metric, "counter");
            labelled().for_each(|(method, labels)| page.sample(metric, &labels, count(method)));
        }
        if self.histogram {
            page.metric("grpc_server_handling_seconds", "histogram");
            labelled().for_each(|(method, labels)| method.write_histogram(page, labels));
        }
    }
}

impl Method {
    fn write_histogram(&self, page: &mut Page, labels: [(&str, &str); 3]) {
        let [name, service, kind] = labels;
        let total: u64 = self.handled.values().sum();
        let bounds = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(self.buckets.into_iter().chain([total])) {
            page.sample("grpc_server_handling_seconds_bucket", &[name, service, kind, ("le", &bound)], count);
        }
        page.sample("grpc_server_handling_seconds_sum", &labels, self.seconds);
        page.sample("grpc_server_handling_seconds_count", &labels, total);
    }

    fn handle(&mut self, code: i32, took: Duration) {
        *self.handled.entry(code).or_default() += 1;
        let took = took.as_secs_f64();
        self.seconds += took;
        // Buckets hold what took as long as their bound or less.
        let reached = BUCKETS.iter().zip(&mut self.buckets).filter(|(bound, _)| took <= **bound);
        reached.for_each(|(_, count)| *count += 1);
    }
}

impl Call {
    /// The answer begins: counts its messages, and the call when it ends.
    pub fn answer(self, response: Response<Body>) -> Response<Body> {
        if let Some(code) = code(response.headers()) {
            self.end(code);
            return response;
        }
        let mut call = Some(self);
        response.map(|body| {
            Body::new(Messages::new(body, move |trailers: Option<&HeaderMap>, count| {
                if let Some(call) = &call {
                    call.calls.count(&call.path, |method| method.sent += count);
                }
                if let (Some(code), Some(call)) = (trailers.map(code), call.take_if(|_| trailers.is_some())) {
                    call.end(code.unwrap_or(Code::Unknown as i32));
                }
            }))
        })
    }

    fn end(mut self, code: i32) {
        let path = std::mem::take(&mut self.path);
        self.calls.count(&path, |method| method.handle(code, self.start.elapsed()));
    }
}

impl Drop for Call {
    /// Nobody waited for the end.
    fn drop(&mut self) {
        if !self.path.is_empty() {
            let path = std::mem::take(&mut self.path);
            self.calls.count(&path, |method| method.handle(Code::Cancelled as i32, self.start.elapsed()));
        }
    }
}

fn code(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The word that Go has for a status code.
fn word(code: i32) -> &'static str {
    match Code::from_i32(code) {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
