//! What is asked: a connection, and a namespace of its own.

use containerd_api::Dial;
use containerd_api::services::leases::v1::CreateRequest;
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use integration::containerd::Peer;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

pub struct Subject {
    pub channel: Channel,
    pub namespace: String,
    pub dir: PathBuf,
    /// The lease that keeps what the suite makes from the collector, if it has one.
    lease: Option<String>,
}

impl Subject {
    pub async fn connect(peer: &Peer) -> Subject {
        let socket = peer.dir.join("c.sock");
        let channel =
            Endpoint::from_static("http://localhost").connect_with_connector(Dial(socket)).await.unwrap();
        Subject { channel, namespace: peer.namespace.clone(), dir: peer.dir.clone(), lease: None }
    }

    /// The same, with a lease on every request.
    pub async fn keeping(&self) -> Subject {
        let request = CreateRequest { id: "suite".into(), labels: HashMap::new() };
        LeasesClient::new(self.channel.clone()).create(self.of(request)).await.unwrap();
        Subject {
            channel: self.channel.clone(),
            namespace: self.namespace.clone(),
            dir: self.dir.clone(),
            lease: Some("suite".into()),
        }
    }

    /// The same daemon, another namespace.
    pub fn elsewhere(&self) -> Subject {
        Subject {
            channel: self.channel.clone(),
            namespace: format!("{}-other", self.namespace),
            dir: self.dir.clone(),
            lease: None,
        }
    }

    /// A request in the subject's namespace.
    pub fn of<T>(&self, message: T) -> Request<T> {
        let mut request = in_namespace(&self.namespace, message);
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.parse().unwrap());
        }
        request
    }

    /// A request under a lease.
    pub fn leased<T>(&self, lease: &str, message: T) -> Request<T> {
        let mut request = self.of(message);
        request.metadata_mut().insert("containerd-lease", lease.parse().unwrap());
        request
    }
}

/// A request in a namespace.
pub fn in_namespace<T>(namespace: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", namespace.parse().unwrap());
    request
}

/// The refusal that was expected; its text.
#[track_caller]
pub fn refused<T: Debug>(answer: Result<Response<T>, Status>, code: Code) -> String {
    let status = answer.expect_err("this is refused");
    assert_eq!(status.code(), code, "{status:?}");
    status.message().to_owned()
}

pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> HashMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

pub fn mask(paths: &[&str]) -> Option<containerd_api::FieldMask> {
    Some(containerd_api::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
