//! Checkpoint and restore by criu, over its RPC (criu.org/RPC).

pub mod options;
mod session;
mod wire;

pub use session::{Kind, Moment, Session, duplicate};
pub use wire::Writer;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use runtime_spec::Spec;

use crate::failure::{Failure, Tried};

/// The file among the images that says what the standard streams were.
pub const DESCRIPTORS: &str = "descriptors.json";
/// What an outer network namespace is called in the images.
pub const NETWORK: &str = "extRootNetNS";

/// Opens a directory of criu's.
pub fn open_directory(path: &Path) -> Result<OwnedFd, Failure> {
    Ok(File::open(path).tried(format!("cannot open {}", path.display()))?.into())
}

/// The mounts of a container that criu cannot know the other end of: place inside and source.
pub fn outer_mounts(spec: &Spec, rootfs: &Path, bundle: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for mount in &spec.mounts {
        if mount.kind == "bind" || mount.options.iter().any(|word| word == "bind" || word == "rbind") {
            let source = bundle.join(&mount.source).to_string_lossy().into_owned();
            all.push((mount.destination.clone(), source));
        }
    }
    let linux = spec.linux.iter();
    for path in linux.flat_map(|linux| &linux.masked_paths) {
        // Of files: directories are covered by a tmpfs, which the images have.
        let inside = rootfs.join(path.trim_start_matches('/'));
        if path.starts_with("/proc") || path.starts_with("/sys") {
            // As they are on the host.
            if Path::new(path).is_file() {
                all.push((path.clone(), "/dev/null".to_owned()));
            }
        } else if inside.is_file() {
            all.push((path.clone(), "/dev/null".to_owned()));
        }
    }
    all
}
