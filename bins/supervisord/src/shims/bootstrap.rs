//! What a daemon tells a shim at its start, and what the shim answers, in every dialect since shim v2.
//!
//! Up to containerd 2.2 the shim reads its runtime options as a bare `Any` and answers with an address or
//! with JSON; since 2.3 it reads `BootstrapParams` and answers with `BootstrapResult`, both protobuf.

use containerd_api::Any;
use containerd_api::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult, Extension, LogLevel};
use errdefs::{Error, Result};
use prost::Message;
use serde::{Deserialize, Serialize};

/// The newest task API a shim may offer.
const NEWEST_VERSION: i32 = 3;

/// Which words a shim is addressed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Runtime options as an `Any`.
    Options,
    /// `BootstrapParams`.
    Params,
}

/// Where a shim serves, as `bootstrap.json` in its bundle keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The version of the task API: 2 or 3.
    pub version: i32,
    /// `unix:///path`; without a scheme an abstract socket.
    pub address: String,
    /// `ttrpc` or `grpc`.
    pub protocol: String,
}

/// What the daemon says of itself and of the task.
pub struct Greeting<'a> {
    /// The task's id.
    pub id: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The daemon's gRPC socket.
    pub grpc_address: &'a str,
    /// The daemon's ttrpc socket, where events go.
    pub ttrpc_address: &'a str,
    /// The daemon's executable, which publishes events when called so.
    pub publish_binary: &'a str,
    /// The directory for the shim's socket; none leaves it to the shim.
    pub socket_dir: Option<&'a str>,
    /// Whether the shim should be talkative.
    pub debug: bool,
    /// The runtime's options.
    pub options: Option<&'a Any>,
}

/// The bytes for the shim's stdin.
pub fn greet(dialect: Dialect, greeting: &Greeting<'_>) -> Vec<u8> {
    match dialect {
        Dialect::Options => greeting.options.map(Message::encode_to_vec).unwrap_or_default(),
        Dialect::Params => BootstrapParams {
            instance_id: greeting.id.to_owned(),
            namespace: greeting.namespace.to_owned(),
            log_level: if greeting.debug { LogLevel::Debug } else { LogLevel::Info } as i32,
            containerd_version: env!("CARGO_PKG_VERSION").to_owned(),
            containerd_ttrpc_address: greeting.ttrpc_address.to_owned(),
            containerd_grpc_address: greeting.grpc_address.to_owned(),
            containerd_binary: greeting.publish_binary.to_owned(),
            extensions: greeting
                .options
                .map(|options| Extension { value: Some(options.clone()) })
                .into_iter()
                .collect(),
            socket_dir: greeting.socket_dir.map(str::to_owned),
        }
        .encode_to_vec(),
    }
}

/// Reads a shim's answer: `BootstrapResult`, JSON, or the bare address of a version 2 shim.
pub fn parse_answer(answer: &[u8]) -> Result<Bootstrap> {
    let bootstrap = from_protobuf(answer).or_else(|| from_text(answer)).ok_or_else(|| {
        Error::unknown(format!("cannot read the shim's answer {:?}", String::from_utf8_lossy(answer)))
    })?;
    check(bootstrap)
}

/// Refuses what this daemon cannot speak.
fn check(bootstrap: Bootstrap) -> Result<Bootstrap> {
    if !(2..=NEWEST_VERSION).contains(&bootstrap.version) {
        return Err(Error::unimplemented(format!("unsupported shim version ({})", bootstrap.version)));
    }
    if bootstrap.protocol != "ttrpc" {
        return Err(Error::unimplemented(format!("unsupported shim protocol {:?}", bootstrap.protocol))
            .with_hint("Use a shim that serves ttrpc."));
    }
    Ok(bootstrap)
}

/// Reads `PROTOCOL+ADDRESS`, as controllers of sandboxes give where their shims serve.
pub fn parse_endpoint(text: &str, version: u32) -> Result<Bootstrap> {
    let (protocol, address) = text.split_once('+').ok_or_else(|| {
        Error::invalid_argument(format!("invalid address of a sandbox's shim {text:?}"))
            .with_hint("It is PROTOCOL+ADDRESS, as in ttrpc+unix:///run/s.")
    })?;
    let version = i32::try_from(version).unwrap_or(i32::MAX);
    check(Bootstrap { version, address: address.to_owned(), protocol: protocol.to_owned() })
}

fn from_protobuf(answer: &[u8]) -> Option<Bootstrap> {
    let result = BootstrapResult::decode(answer).ok()?;
    let plausible = result.version >= 2 && !result.address.is_empty() && !result.protocol.is_empty();
    plausible.then_some(Bootstrap {
        version: result.version,
        address: result.address,
        protocol: result.protocol,
    })
}

fn from_text(answer: &[u8]) -> Option<Bootstrap> {
    let text = std::str::from_utf8(answer).ok()?.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let is_address = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_address.then(|| Bootstrap { version: 2, address: text.to_owned(), protocol: "ttrpc".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(version: i32) -> Bootstrap {
        Bootstrap { version, address: "unix:///run/s/a".into(), protocol: "ttrpc".into() }
    }

    #[test]
    fn three_dialects_say_the_same() {
        let protobuf = BootstrapResult {
            version: 3,
            address: "unix:///run/s/a".into(),
            protocol: "ttrpc".into(),
            ..Default::default()
        };
        assert_eq!(parse_answer(&protobuf.encode_to_vec()).unwrap(), expected(3));
        let json = br#"{"version":3,"address":"unix:///run/s/a","protocol":"ttrpc"}"#;
        assert_eq!(parse_answer(json).unwrap(), expected(3));
        assert_eq!(parse_answer(b"unix:///run/s/a\n").unwrap(), expected(2));
    }

    #[test]
    fn endpoints_are_read() {
        assert_eq!(parse_endpoint("ttrpc+unix:///run/s/a", 3).unwrap(), expected(3));
        for (text, version) in [
            ("unix:///run/s/a", 3),
            ("grpc+vsock://2:1024", 3),
            ("ttrpc+unix:///a", 1),
            ("ttrpc+unix:///a", 4),
        ] {
            assert!(parse_endpoint(text, version).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_that_mean_nothing_are_refused() {
        let newer = br#"{"version":4,"address":"unix:///run/s/a","protocol":"ttrpc"}"#;
        assert_eq!(parse_answer(newer).unwrap_err().kind(), errdefs::Kind::Unimplemented);
        let grpc = br#"{"version":3,"address":"unix:///run/s/a","protocol":"grpc"}"#;
        assert_eq!(parse_answer(grpc).unwrap_err().kind(), errdefs::Kind::Unimplemented);
        for bad in [&b""[..], b"{", b"panic: no such file", b"\x00"] {
            assert!(parse_answer(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_answer(&answer);
            let _ = parse_endpoint(&String::from_utf8_lossy(&answer), 3);
        }
    }
}
