//! The dialects of shim v2: how a daemon says what it wants, and how it wants its answer.
//!
//! Since containerd 2.3 it writes `BootstrapParams` and reads `BootstrapResult`. Before, it wrote
//! its runtime options as an `Any`, or nothing; then it reads a bare address or, since 1.7, JSON.
//! Since 1.7 it names a highest version in the environment, too, which tells it from those before.
//! Nothing tells 1.7, which knows version 2 of the task API alone, from 2.2: that is the version
//! that JSON names, as a bare address does. The messages are the same.

use crate::arguments::Arguments;
use containerd_api::runc::v1::Options;
use containerd_api::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult, LogLevel};
use containerd_api::{Any, is, unpack};
use errdefs::{Error, Result};
use prost::Message;

/// The version of the task API that every daemon knows.
const OLD_TASK_VERSION: i32 = 2;
/// The version that is served beside it.
const TASK_VERSION: i32 = 3;
const PROTOCOL: &str = "ttrpc";
/// What daemons that read JSON have in the environment.
const READS_JSON: &str = "MAX_SHIM_VERSION";

/// How the daemon speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// containerd 1.6 and before.
    Options,
    /// containerd 1.7 to 2.2.
    Json,
    /// containerd since 2.3.
    Params,
}

/// What the daemon wants.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) dialect: Dialect,
    pub(super) namespace: String,
    pub(super) grpc_address: String,
    pub(super) ttrpc_address: Option<String>,
    pub(super) publish_binary: String,
    pub(super) socket_dir: Option<String>,
    pub(super) debug: bool,
    pub(super) options: Option<Options>,
}

impl Request {
    /// Reads stdin, with the command line and the environment for what older daemons put there.
    pub(super) fn parse(input: &[u8], arguments: &Arguments) -> Result<Request> {
        match params(input, arguments) {
            Some(params) => Request::from_params(params),
            None => Request::from_options(input, arguments),
        }
    }

    fn from_params(params: BootstrapParams) -> Result<Request> {
        let extensions = params.extensions.iter().filter_map(|extension| extension.value.as_ref());
        Ok(Request {
            dialect: Dialect::Params,
            namespace: params.namespace,
            grpc_address: params.containerd_grpc_address,
            ttrpc_address: Some(params.containerd_ttrpc_address).filter(|address| !address.is_empty()),
            publish_binary: params.containerd_binary,
            socket_dir: params.socket_dir.filter(|dir| !dir.is_empty()),
            debug: params.log_level <= LogLevel::Debug as i32,
            options: extensions
                .filter(|any| is::<Options>(any))
                .map(|any| unpack(any).map_err(wrong_options))
                .next()
                .transpose()?,
        })
    }

    fn from_options(input: &[u8], arguments: &Arguments) -> Result<Request> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let options = match Any::decode(input) {
            Ok(any) if any.type_url.is_empty() => None,
            Ok(any) => Some(unpack(&any).map_err(wrong_options)?),
            Err(cause) => return Err(Error::unknown("cannot read the runtime options").with_source(cause)),
        };
        let grpc_address = Some(arguments.address.clone()).filter(|address| !address.is_empty());
        Ok(Request {
            dialect: if variable(READS_JSON).is_some() { Dialect::Json } else { Dialect::Options },
            namespace: arguments.namespace.clone(),
            grpc_address: grpc_address.or_else(|| variable("GRPC_ADDRESS")).unwrap_or_default(),
            ttrpc_address: variable("TTRPC_ADDRESS"),
            publish_binary: arguments.publish_binary.to_string_lossy().into_owned(),
            socket_dir: None,
            debug: arguments.debug,
            options,
        })
    }
}

/// The input as `BootstrapParams`, if it is about this very task: an `Any` of options can look
/// like one by accident.
fn params(input: &[u8], arguments: &Arguments) -> Option<BootstrapParams> {
    let params = BootstrapParams::decode(input).ok()?;
    let fits = !params.instance_id.is_empty()
        && params.instance_id == arguments.id
        && params.namespace == arguments.namespace;
    fits.then_some(params)
}

fn wrong_options(cause: containerd_api::UnpackError) -> Error {
    Error::invalid_argument("cannot read the runtime options").with_source(cause)
}

impl Dialect {
    /// The bytes for the daemon.
    pub(super) fn answer(self, address: &str) -> Vec<u8> {
        match self {
            Dialect::Options => address.as_bytes().to_vec(),
            Dialect::Json => serde_json::json!({
                "version": OLD_TASK_VERSION,
                "address": address,
                "protocol": PROTOCOL,
            })
            .to_string()
            .into_bytes(),
            Dialect::Params => BootstrapResult {
                version: TASK_VERSION,
                address: address.to_owned(),
                protocol: PROTOCOL.to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_api::pack;
    use containerd_api::runtime::bootstrap::v1::Extension;

    fn arguments() -> Arguments {
        let line = "-namespace ns -id a -address /run/d.sock -publish-binary /bin/d start";
        Arguments::parse(line.split(' ').map(std::ffi::OsString::from)).unwrap()
    }

    fn options() -> Options {
        Options { binary_name: "crun".into(), ..Default::default() }
    }

    #[test]
    fn options_are_answered_by_a_bare_address() {
        let request = Request::parse(&pack(&options()).encode_to_vec(), &arguments()).unwrap();
        assert_eq!((request.dialect, request.options), (Dialect::Options, Some(options())));
        assert_eq!(request.grpc_address, "/run/d.sock");
        assert_eq!(request.dialect.answer("unix:///s"), b"unix:///s");
        let json = Dialect::Json.answer("unix:///s");
        assert_eq!(json, br#"{"address":"unix:///s","protocol":"ttrpc","version":2}"#);
        assert_eq!(Request::parse(b"", &arguments()).unwrap().options, None);
    }

    #[test]
    fn params_are_answered_by_a_result() {
        let mut any = pack(&options());
        any.type_url = format!("type.googleapis.com/{}", any.type_url);
        let mut params = BootstrapParams {
            instance_id: "a".into(),
            namespace: "ns".into(),
            containerd_ttrpc_address: "/t".into(),
            containerd_grpc_address: "/g".into(),
            socket_dir: Some("/s".into()),
            extensions: vec![Extension { value: Some(any) }],
            ..Default::default()
        };
        let request = Request::parse(&params.encode_to_vec(), &arguments()).unwrap();
        assert_eq!((request.dialect, request.options), (Dialect::Params, Some(options())));
        assert_eq!(
            (request.ttrpc_address.as_deref(), request.socket_dir.as_deref()),
            (Some("/t"), Some("/s"))
        );
        let answer = BootstrapResult::decode(&request.dialect.answer("unix:///s")[..]).unwrap();
        assert_eq!((answer.version, answer.protocol.as_str()), (3, "ttrpc"));
        params.instance_id = "other".into();
        assert!(
            params.encode_to_vec().len() > 10
                && super::params(&params.encode_to_vec(), &arguments()).is_none()
        );
    }

    #[test]
    fn foreign_options_are_refused() {
        let other = pack(&containerd_api::runtimeoptions::v1::Options::default());
        assert!(Request::parse(&other.encode_to_vec(), &arguments()).is_err());
        assert!(Request::parse(b"\xff\xff", &arguments()).is_err());
    }
}
