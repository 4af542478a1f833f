//! What Kubernetes' runtime interface says of a pod, as far as its sandbox is concerned.
//!
//! The messages are parts of `runtime.v1.PodSandboxConfig` (k8s.io/cri-api, api.proto).

use std::collections::HashMap;

/// A namespace of the pod's own; the default.
pub(super) const POD: i32 = 0;
/// A namespace of the host.
pub(super) const NODE: i32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PodSandboxConfig {
    #[prost(string, tag = "2")]
    pub(super) hostname: String,
    #[prost(message, optional, tag = "8")]
    pub(super) linux: Option<Linux>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Linux {
    #[prost(message, optional, tag = "2")]
    pub(super) security: Option<Security>,
    #[prost(map = "string, string", tag = "3")]
    pub(super) sysctls: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Security {
    #[prost(message, optional, tag = "1")]
    pub(super) namespaces: Option<NamespaceModes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NamespaceModes {
    #[prost(int32, tag = "1")]
    pub(super) network: i32,
    #[prost(int32, tag = "2")]
    pub(super) pid: i32,
    #[prost(int32, tag = "3")]
    pub(super) ipc: i32,
    #[prost(message, optional, tag = "5")]
    pub(super) user: Option<UserNamespace>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UserNamespace {
    #[prost(int32, tag = "1")]
    pub(super) mode: i32,
}

impl prost::Name for PodSandboxConfig {
    const NAME: &'static str = "PodSandboxConfig";
    const PACKAGE: &'static str = "runtime.v1";
}
