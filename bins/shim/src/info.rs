//! `shim -info`: what this shim and its runtime are.

use crate::NAME;
use crate::bundle::{binary, look_up};
use containerd_api::runc::v1::Options;
use containerd_api::types::{RuntimeInfo, RuntimeVersion};
use containerd_api::{Any, FEATURES_URL, pack_json, unpack};
use errdefs::{Error, Result};
use oci_runtime::Runtime;
use prost::Message;
use std::io::{Read, Write};
use std::path::PathBuf;

/// Reads runtime options (an `Any`, or nothing) from stdin, prints a `RuntimeInfo`.
pub fn print() -> Result<()> {
    let mut input = Vec::new();
    let cannot = |cause: std::io::Error| Error::unknown("cannot exchange runtime info").with_source(cause);
    std::io::stdin().take(10 << 20).read_to_end(&mut input).map_err(cannot)?;
    let any = Any::decode(&input[..])
        .map_err(|cause| Error::invalid_argument("cannot read the runtime options").with_source(cause))?;
    let options: Options = match any.type_url.is_empty() {
        true => Options::default(),
        false => unpack(&any)
            .map_err(|cause| Error::invalid_argument("cannot read the runtime options").with_source(cause))?,
    };
    let runtime = Runtime {
        binary: found(binary(&options.binary_name))?,
        root: PathBuf::new(),
        log: PathBuf::new(),
        systemd_cgroup: false,
    };
    let info = RuntimeInfo {
        name: NAME.to_owned(),
        version: Some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: String::new(),
        }),
        options: (!any.type_url.is_empty()).then_some(any),
        features: features(&runtime),
        ..Default::default()
    };
    std::io::stdout().write_all(&info.encode_to_vec()).map_err(cannot)
}

fn found(binary: PathBuf) -> Result<PathBuf> {
    let found = match binary.components().count() {
        1 => look_up(&binary.to_string_lossy()),
        _ => Some(binary.clone()).filter(|path| path.is_file()),
    };
    found.ok_or_else(|| Error::not_found(format!("failed to look up the path of {:?}", binary.display())))
}

/// What the runtime says it can do; a runtime too old to say it is fine.
fn features(runtime: &Runtime) -> Option<Any> {
    let output = runtime.features().output().ok()?;
    output.status.success().then(|| pack_json(FEATURES_URL, output.stdout))
}
