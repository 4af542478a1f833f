//! The two protobuf messages that frames carry (ttrpc request.proto).

/// A call. Package `ttrpc`, message `Request`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// The service's full name, such as `containerd.task.v3.Task`.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The method's bare name.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The encoded request message.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: bytes::Bytes,
    /// What is left of the caller's time, in nanoseconds; 0 is no limit.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    /// What a caller tells beside the request.
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

/// One metadata entry. Package `ttrpc`, message `KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// Lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Any text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An answer. Package `ttrpc`, message `Response`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    /// Absent when the call went well.
    #[prost(message, optional, tag = "1")]
    pub status: Option<WireStatus>,
    /// The encoded response message.
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: bytes::Bytes,
}

/// `google.rpc.Status` without its details, which nobody here reads.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireStatus {
    /// A google.rpc.Code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}
