//! Runtimes by the names that `--runtime` takes.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use serde::Deserialize;
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
    /// Words that the program is given before the shim's.
    pub args: Vec<String>,
}

impl Runtime {
    /// A shim with its own choice of a program.
    pub fn of_shim(shim: &str) -> Runtime {
        Runtime { shim: shim.to_owned(), binary: None, args: Vec::new() }
    }

    /// A program under our shim.
    fn of_program(path: &str, args: Vec<String>) -> Runtime {
        Runtime { shim: OUR_RUNTIME.into(), binary: Some(path.to_owned()), args }
    }
}

/// Those that need no configuration. `runc` is what Docker calls its default, so scripts may ask
/// for it by that name.
pub fn built_in() -> BTreeMap<String, Runtime> {
    BTreeMap::from([
        (OUR_RUNTIME.to_owned(), Runtime::of_shim(OUR_RUNTIME)),
        ("rt".to_owned(), Runtime::of_shim(OUR_RUNTIME)),
        ("runc".to_owned(), Runtime::of_program("runc", Vec::new())),
        (RUNC_RUNTIME.to_owned(), Runtime::of_shim(RUNC_RUNTIME)),
    ])
}

/// `NAME=PATH` of `--add-runtime`.
pub fn parse(text: &str) -> Result<(String, Runtime)> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), Runtime::of_program(path, Vec::new())))
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
        let read: FromFile = serde_json::from_value(value.clone())
            .map_err(|cause| bad(format!("runtime {name:?}: {cause}")))?;
        let runtime = read.resolve().map_err(|text| bad(format!("runtime {name:?}: {text}")))?;
        runtimes.insert(name.clone(), runtime);
    }
    Ok(runtimes)
}

/// One entry of the key; a key that means nothing here is named.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct FromFile {
    path: String,
    runtime_args: Option<Vec<String>>,
    runtime_type: String,
    options: Option<Options>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Options {
    binary_name: String,
}

impl FromFile {
    fn resolve(self) -> std::result::Result<Runtime, &'static str> {
        let args = self.runtime_args.unwrap_or_default();
        match (self.path.as_str(), self.runtime_type.as_str()) {
            ("", "") => Err("either a runtimeType or a path must be configured"),
            ("", shim) => {
                if !args.is_empty() {
                    return Err("runtimeArgs cannot be used with a runtimeType");
                }
                let binary = self.options.map(|options| options.binary_name).filter(|name| !name.is_empty());
                Ok(Runtime { binary, ..Runtime::of_shim(shim) })
            }
            (_, shim) if !shim.is_empty() => Err("cannot configure both path and runtimeType"),
            (_, _) if self.options.is_some() => Err("options cannot be used with a path"),
            (path, _) => Ok(Runtime::of_program(path, args)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_read_or_refused_by_name() {
        let read = |text: &str| from_json(&serde_json::from_str(text).unwrap());
        let runsc = read(r#"{"runsc":{"path":"/bin/runsc","runtimeArgs":["--debug"]}}"#).unwrap();
        assert_eq!(runsc["runsc"].args, ["--debug"]);
        let named = r#"{"kata":{"runtimeType":"io.containerd.kata.v2","options":{"BinaryName":"/bin/k"}}}"#;
        assert_eq!(read(named).unwrap()["kata"].binary.as_deref(), Some("/bin/k"));
        for (wrong, word) in [
            (r#"{"a":{}}"#, "either a runtimeType or a path"),
            (r#"{"a":{"path":"/x","runtimeType":"y"}}"#, "cannot configure both"),
            (r#"{"a":{"runtimeType":"y","runtimeArgs":["z"]}}"#, "runtimeArgs"),
            (r#"{"a":{"runtimeType":"y","options":{"ConfigPath":"/z"}}}"#, "ConfigPath"),
            (r#"{"a":{"path":"/x","shimDebug":true}}"#, "shimDebug"),
        ] {
            let told = read(wrong).unwrap_err().to_string();
            assert!(told.starts_with("runtime \"a\": ") && told.contains(word), "{told}");
        }
    }
}
