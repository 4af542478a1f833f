//! A bundle: a directory with a configuration and a root filesystem (bundle.md).

use std::path::{Path, PathBuf};

use runtime_spec::Spec;
use seccomp::Filter;

use crate::annotations;
use crate::failure::{Failure, Tried};
use crate::validate;

/// A bundle that was read and found right.
#[derive(Debug)]
pub struct Bundle {
    pub directory: PathBuf,
    pub rootfs: PathBuf,
    pub spec: Spec,
    /// The configuration's system call filter.
    pub filter: Option<Filter>,
}

impl Bundle {
    /// Reads `config` (default `config.json`) of a bundle and checks it whole.
    pub fn open(directory: &Path, config: Option<&Path>) -> Result<Bundle, Failure> {
        let shown = directory.display();
        let directory = directory.canonicalize().tried(format!("cannot open bundle {shown}"))?;
        let path = directory.join(config.unwrap_or(Path::new("config.json")));
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::new(format!("JSON specification file {} not found", path.display()))
            }
            _ => Failure::new(format!("cannot read {}: {error}", path.display())),
        })?;
        let invalid =
            |error: serde_json::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
        let mut spec: Spec = serde_json::from_slice(&bytes).map_err(invalid)?;
        annotations::translate(&mut spec);
        let filter = validate::check(&spec)?;
        let root = spec.root.as_ref().map_or("rootfs", |root| root.path.as_str());
        let rootfs = directory.join(root);
        let rootfs = rootfs.canonicalize().tried(format!("invalid rootfs {}", rootfs.display()))?;
        Ok(Bundle { directory, rootfs, spec, filter })
    }

    /// Reads the configuration of a bundle in use, for its process.
    pub fn open_again(directory: &Path) -> Result<Spec, Failure> {
        let path = directory.join("config.json");
        let bytes = std::fs::read(&path).tried(format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
    }
}
