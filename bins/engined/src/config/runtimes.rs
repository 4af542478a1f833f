//! Runtimes by the names that `--runtime` takes.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use serde_json::Value;

/// Our shim, which runs `rt`.
pub const OUR_RUNTIME: &str = "io.containerd.wherry.v1";
/// containerd's own shim, which runs `runc`.
pub const RUNC_RUNTIME: &str = "io.containerd.runc.v2";

/// A shim and the OCI runtime that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The containerd runtime name, which names the shim.
    pub shim: String,
    /// The OCI runtime program; `None` is the shim's own choice.
    pub binary: Option<String>,
}

/// Those that need no configuration. `runc` is what Docker calls its default, so scripts may ask
/// for it by that name.
pub fn built_in() -> BTreeMap<String, Runtime> {
    let ours = |binary: Option<&str>| Runtime { shim: OUR_RUNTIME.into(), binary: binary.map(str::to_owned) };
    BTreeMap::from([
        (OUR_RUNTIME.to_owned(), ours(None)),
        ("rt".to_owned(), ours(None)),
        ("runc".to_owned(), ours(Some("runc"))),
        (RUNC_RUNTIME.to_owned(), Runtime { shim: RUNC_RUNTIME.into(), binary: None }),
    ])
}

/// `NAME=PATH` of `--add-runtime`.
pub fn parse(text: &str) -> Result<(String, Runtime)> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), Runtime { shim: OUR_RUNTIME.into(), binary: Some(path.to_owned()) }))
        }
        _ => Err(Error::invalid_argument(format!("invalid runtime {text:?}: expected NAME=PATH"))),
    }
}

/// The `runtimes` key of `daemon.json`: `{"NAME": {"path": ..}}` or `{"NAME": {"runtimeType": ..}}`.
pub fn from_json(value: &Value) -> Result<BTreeMap<String, Runtime>> {
    let bad = |text: String| Error::invalid_argument(text);
    let named =
        value.as_object().ok_or_else(|| bad("invalid value of \"runtimes\": expected an object".into()))?;
    let mut runtimes = BTreeMap::new();
    for (name, value) in named {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        if value.get("runtimeArgs").and_then(Value::as_array).is_some_and(|words| !words.is_empty()) {
            return Err(bad(format!("runtime {name:?}: runtimeArgs is not supported")));
        }
        let options = value.get("options");
        let binary = options.and_then(|all| all.get("BinaryName")).and_then(Value::as_str).map(str::to_owned);
        let runtime = match (text("path"), text("runtimeType")) {
            (Some(path), None) => Runtime { shim: OUR_RUNTIME.into(), binary: Some(path) },
            (None, Some(shim)) => Runtime { shim, binary },
            (None, None) => {
                return Err(bad(format!(
                    "runtime {name:?}: either a runtimeType or a path must be configured"
                )));
            }
            (Some(_), Some(_)) => {
                return Err(bad(format!("runtime {name:?}: cannot configure both path and runtimeType")));
            }
        };
        runtimes.insert(name.clone(), runtime);
    }
    Ok(runtimes)
}
