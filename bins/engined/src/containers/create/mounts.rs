//! From `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes to a list of mounts.

use std::path::{Component, Path, PathBuf};

use engine_api::container::Config;
use engine_api::host_config::HostConfig;
use engine_api::mount::Mount;
use errdefs::{Error, Result};

use super::super::{MountRecord, Source};
use crate::engine::Engine;
use crate::identity;

/// Plans all mounts of a container; volumes that are named come into being.
///
/// # Errors
/// A wish is malformed, or names what is not there.
pub fn plan(engine: &Engine, config: &Config, host: &HostConfig) -> Result<Vec<MountRecord>> {
    let mut all: Vec<MountRecord> = Vec::new();
    for other in host.volumes_from.iter().flatten() {
        for mount in from_other(engine, other)? {
            put(&mut all, mount);
        }
    }
    let mut asked = Vec::new();
    for text in host.binds.iter().flatten() {
        asked.push(parse_bind(text)?);
    }
    for mount in &host.mounts {
        asked.push(from_mount(engine, mount)?);
    }
    for (destination, options) in &host.tmpfs {
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        asked.push(MountRecord {
            source: Source::Tmpfs { options },
            destination: clean(destination)?,
            ..MountRecord::default()
        });
    }
    for (at, mount) in asked.iter().enumerate() {
        if asked[..at].iter().any(|other| other.destination == mount.destination) {
            return Err(Error::invalid_argument(format!("Duplicate mount point: {}", mount.destination)));
        }
    }
    for mount in asked {
        make_source(engine, &mount, host)?;
        put(&mut all, mount);
    }
    for destination in config.volumes.iter().flatten().map(|(path, _)| path) {
        let destination = clean(destination)?;
        if !all.iter().any(|mount| mount.destination == destination) {
            let mount = anonymous(destination);
            make_source(engine, &mount, host)?;
            all.push(mount);
        }
    }
    Ok(all)
}

fn put(all: &mut Vec<MountRecord>, mount: MountRecord) {
    all.retain(|other| other.destination != mount.destination);
    all.push(mount);
}

fn anonymous(destination: String) -> MountRecord {
    MountRecord {
        source: Source::Volume { name: identity::new_id(), is_anonymous: true },
        destination,
        ..MountRecord::default()
    }
}

/// `SOURCE:DESTINATION[:OPTIONS]` or `DESTINATION`.
fn parse_bind(text: &str) -> Result<MountRecord> {
    let bad = || Error::invalid_argument(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match parts[..] {
        [destination] => return Ok(anonymous(clean(destination)?)),
        [source, destination] => (source, destination, ""),
        [source, destination, options] => (source, destination, options),
        _ => return Err(bad()),
    };
    if source.is_empty() || destination.is_empty() {
        return Err(bad());
    }
    let mut mount =
        MountRecord { destination: clean(destination)?, mode: options.to_owned(), ..MountRecord::default() };
    if mount.destination == "/" {
        return Err(Error::invalid_argument(format!(
            "invalid volume specification: '{text}': destination can't be '/'"
        )));
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mount.is_read_only = true,
            // Labels of a module that this host does not have, and hints for other systems.
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            "nocopy" | "volume-nocopy" => mount.mode = "nocopy".into(),
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                mount.propagation = option.into()
            }
            other => return Err(Error::invalid_argument(format!("invalid mode: {other}"))),
        }
    }
    mount.source = if source.starts_with('/') {
        if mount.propagation.is_empty() {
            mount.propagation = "rprivate".into();
        }
        Source::Bind { path: clean(source)? }
    } else {
        crate::volumes::check_name(source)?;
        Source::Volume { name: source.to_owned(), is_anonymous: false }
    };
    Ok(mount)
}

fn from_mount(engine: &Engine, wish: &Mount) -> Result<MountRecord> {
    let bad = |text: &str| {
        Error::invalid_argument(format!("invalid mount config for type \"{}\": {text}", wish.kind))
    };
    if wish.target.is_empty() {
        return Err(bad("field Target must not be empty"));
    }
    let mut mount = MountRecord {
        destination: clean(&wish.target)?,
        is_read_only: wish.read_only,
        ..MountRecord::default()
    };
    match wish.kind.as_str() {
        "bind" => {
            if wish.source.is_empty() {
                return Err(bad("field Source must not be empty"));
            }
            if !wish.source.starts_with('/') {
                return Err(bad(&format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    wish.source
                )));
            }
            let options = wish.bind_options.clone().unwrap_or_default();
            mount.propagation =
                if options.propagation.is_empty() { "rprivate".into() } else { options.propagation };
            mount.is_non_recursive = options.non_recursive;
            if options.create_mountpoint && !Path::new(&wish.source).exists() {
                std::fs::create_dir_all(&wish.source)
                    .map_err(crate::files::failed("make directory", Path::new(&wish.source)))?;
            }
            if !Path::new(&wish.source).exists() {
                return Err(bad(&format!("bind source path does not exist: {}", wish.source)));
            }
            mount.source = Source::Bind { path: clean(&wish.source)? };
        }
        "volume" => {
            let options = wish.volume_options.clone().unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            if !matches!(driver.name.as_str(), "" | "local") {
                return Err(Error::unimplemented(format!(
                    "volume driver {:?} is not implemented",
                    driver.name
                )));
            }
            mount.subpath = options.subpath;
            if options.no_copy {
                mount.mode = "nocopy".into();
            }
            if wish.source.is_empty() {
                mount.source = Source::Volume { name: identity::new_id(), is_anonymous: true };
            } else {
                crate::volumes::check_name(&wish.source)?;
                mount.source = Source::Volume { name: wish.source.clone(), is_anonymous: false };
                engine.volumes.create(&wish.source, &driver.options, &options.labels)?;
            }
        }
        "tmpfs" => {
            if !wish.source.is_empty() {
                return Err(bad("field Source must not be specified"));
            }
            let options = wish.tmpfs_options.clone().unwrap_or_default();
            let mut words = Vec::new();
            if options.size_bytes > 0 {
                words.push(format!("size={}", options.size_bytes));
            }
            words.push(format!("mode={:o}", if options.mode == 0 { 0o1777 } else { options.mode }));
            words.extend(options.options.iter().map(|option| option.join("=")));
            mount.source = Source::Tmpfs { options: words };
        }
        "image" | "npipe" | "cluster" => {
            return Err(Error::unimplemented(format!("mounts of type {:?} are not implemented", wish.kind)));
        }
        other => {
            return Err(Error::invalid_argument(format!(
                "invalid mount config for type \"{other}\": mount type unknown"
            )));
        }
    }
    Ok(mount)
}

/// `CONTAINER[:ro|rw]`.
fn from_other(engine: &Engine, text: &str) -> Result<Vec<MountRecord>> {
    let (name, mode) = text.split_once(':').unwrap_or((text, ""));
    if !matches!(mode, "" | "ro" | "rw" | "z" | "Z") {
        return Err(Error::invalid_argument(format!("invalid mode for volumes-from: {mode}")));
    }
    let other = engine.containers.find(name)?;
    let mut mounts = other.record().mounts.clone();
    mounts.retain(|mount| !matches!(mount.source, Source::Tmpfs { .. }));
    for mount in &mut mounts {
        mount.is_read_only |= mode == "ro";
    }
    Ok(mounts)
}

/// Named and anonymous volumes, and the host directories of `-v`, are made when they are not there.
fn make_source(engine: &Engine, mount: &MountRecord, host: &HostConfig) -> Result<()> {
    match &mount.source {
        Source::Volume { name, is_anonymous } => engine.volumes.ensure(name, *is_anonymous),
        Source::Bind { path } => {
            let is_from_bind = !host.mounts.iter().any(|wish| wish.target == mount.destination);
            if is_from_bind && !Path::new(path).exists() {
                std::fs::create_dir_all(path)
                    .map_err(crate::files::failed("make directory", Path::new(path)))?;
            }
            Ok(())
        }
        Source::Tmpfs { .. } => Ok(()),
    }
}

/// An absolute path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::invalid_argument(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let mut cleaned = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    Ok(cleaned.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binds_and_volumes() {
        let mount = parse_bind("/a/../b:/c/:ro,rslave").unwrap();
        assert_eq!(mount.source, Source::Bind { path: "/b".into() });
        assert_eq!(
            (mount.destination.as_str(), mount.is_read_only, mount.propagation.as_str()),
            ("/c", true, "rslave")
        );
        let mount = parse_bind("data:/var").unwrap();
        assert_eq!(mount.source, Source::Volume { name: "data".into(), is_anonymous: false });
        assert!(matches!(parse_bind("/only").unwrap().source, Source::Volume { is_anonymous: true, .. }));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in ["", ":", "a:b:c:d", "/a:/", "/a:relative", "/a:/b:wild", "b@d:/c", "relative"] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            if let Ok(mount) = parse_bind(&text) {
                prop_assert!(mount.destination.starts_with('/') && !mount.destination.contains("/../"));
            }
        }
    }
}
