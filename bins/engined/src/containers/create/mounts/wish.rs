//! `--mount`: wishes as structures.

use std::path::{Component, Path};

use engine_api::mount::{Mount, TmpfsOptions};
use errdefs::{Error, Result};

use super::clean;
use super::text::is_propagation;
use crate::containers::{MountRecord, Source};
use crate::identity;

/// What an entry of `HostConfig.Mounts` asks for.
///
/// # Errors
/// It is malformed, or its source is not there.
pub fn read(wish: &Mount) -> Result<MountRecord> {
    check(wish).map_err(|text| {
        Error::invalid_argument(format!("invalid mount config for type \"{}\": {text}", wish.kind))
    })?;
    let mut mount = MountRecord {
        destination: clean(&wish.target)?,
        is_read_only: wish.read_only,
        is_wish: true,
        ..MountRecord::default()
    };
    match wish.kind.as_str() {
        "bind" => {
            let options = wish.bind_options.clone().unwrap_or_default();
            mount.propagation =
                if options.propagation.is_empty() { "rprivate".into() } else { options.propagation };
            mount.is_non_recursive = options.non_recursive;
            mount.is_read_only_shallow = options.read_only_non_recursive;
            mount.is_read_only_deep = options.read_only_force_recursive;
            mount.makes_source = options.create_mountpoint;
            mount.source = Source::Bind { path: clean(&wish.source)? };
        }
        "volume" => {
            let options = wish.volume_options.clone().unwrap_or_default();
            mount.subpath = options.subpath;
            mount.is_bare = options.no_copy;
            mount.mode = "z".into();
            mount.source = if wish.source.is_empty() {
                Source::Volume { name: identity::new_id(), is_anonymous: true }
            } else {
                crate::volumes::check_name(&wish.source)?;
                Source::Volume { name: wish.source.clone(), is_anonymous: false }
            };
        }
        "image" => {
            mount.subpath = wish.image_options.clone().unwrap_or_default().subpath;
            mount.propagation = "rprivate".into();
            mount.is_read_only = true;
            mount.source = Source::Image { name: wish.source.clone(), id: String::new(), key: String::new() };
        }
        _ => {
            let options = wish.tmpfs_options.clone().unwrap_or_default();
            mount.source = Source::Tmpfs { options: tmpfs_words(&options) };
        }
    }
    Ok(mount)
}

fn tmpfs_words(options: &TmpfsOptions) -> Vec<String> {
    let mut words = Vec::new();
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes > 0 {
        words.push(format!("size={}", options.size_bytes));
    }
    words.extend(options.options.iter().map(|option| option.join("=")));
    words
}

fn check(wish: &Mount) -> std::result::Result<(), String> {
    let extra = [
        ("BindOptions", "bind", wish.bind_options.is_some()),
        ("VolumeOptions", "volume", wish.volume_options.is_some()),
        ("ImageOptions", "image", wish.image_options.is_some()),
        ("TmpfsOptions", "tmpfs", wish.tmpfs_options.is_some()),
        ("ClusterOptions", "cluster", wish.cluster_options.is_some()),
    ];
    if let Some((field, ..)) = extra.iter().find(|(_, kind, is_set)| *is_set && *kind != wish.kind) {
        return Err(format!("field {field} must not be specified"));
    }
    if wish.target.is_empty() {
        return Err("field Target must not be empty".into());
    }
    if !wish.target.starts_with('/') {
        return Err(format!("invalid mount path: '{}' mount path must be absolute", wish.target));
    }
    if clean(&wish.target).is_ok_and(|target| target == "/") {
        return Err("invalid specification: destination can't be '/'".into());
    }
    if !matches!(wish.consistency.as_str(), "" | "default" | "consistent" | "cached" | "delegated") {
        return Err(format!("invalid consistency mode: {}", wish.consistency));
    }
    match wish.kind.as_str() {
        "bind" => check_bind(wish),
        "volume" => {
            let subpath = wish.volume_options.as_ref().map_or("", |options| options.subpath.as_str());
            if wish.source.is_empty() && !subpath.is_empty() {
                return Err("must not set Subpath when using anonymous volumes".into());
            }
            check_subpath(subpath)
        }
        "tmpfs" => check_tmpfs(wish),
        "image" if wish.source.is_empty() => Err("field Source must not be empty".into()),
        "image" => check_subpath(wish.image_options.as_ref().map_or("", |options| options.subpath.as_str())),
        // Other systems' and swarms'.
        _ => Err("mount type unknown".into()),
    }
}

fn check_bind(wish: &Mount) -> std::result::Result<(), String> {
    let options = wish.bind_options.clone().unwrap_or_default();
    if wish.source.is_empty() {
        return Err("field Source must not be empty".into());
    }
    if !options.propagation.is_empty() && !is_propagation(&options.propagation) {
        return Err(format!("invalid propagation mode: {}", options.propagation));
    }
    if !wish.source.starts_with('/') {
        return Err(format!("invalid mount path: '{}' mount path must be absolute", wish.source));
    }
    if options.read_only_force_recursive {
        if !wish.read_only {
            return Err("options conflict: Writable && ReadOnlyForceRecursive".into());
        }
        if options.read_only_non_recursive {
            return Err("options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive".into());
        }
    }
    if !options.create_mountpoint && !Path::new(&wish.source).exists() {
        return Err(format!("bind source path does not exist: {}", wish.source));
    }
    Ok(())
}

fn check_tmpfs(wish: &Mount) -> std::result::Result<(), String> {
    if !wish.source.is_empty() {
        return Err("field Source must not be specified".into());
    }
    for option in wish.tmpfs_options.iter().flat_map(|options| &options.options) {
        match option.as_slice() {
            [word] | [word, _] if matches!(word.as_str(), "exec" | "noexec") => {}
            [word] | [word, _] => return Err(format!("invalid option: {word}")),
            _ => return Err("invalid option array length".into()),
        }
    }
    Ok(())
}

/// A part of a volume is named from its root, and nothing leads above that.
fn check_subpath(path: &str) -> std::result::Result<(), String> {
    let mut depth = 0_i32;
    for part in Path::new(path).components() {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => i32::MIN / 2,
        };
        if depth < 0 {
            return Err("subpath must be a relative path within the volume".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::mount::{BindOptions, ImageOptions, VolumeOptions};
    use proptest::prelude::*;

    fn wish(kind: &str, source: &str) -> Mount {
        Mount { kind: kind.into(), source: source.into(), target: "/t".into(), ..Mount::default() }
    }

    fn refusal(wish: Mount) -> String {
        read(&wish).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_is_read() {
        let options =
            BindOptions { propagation: "rslave".into(), non_recursive: true, ..BindOptions::default() };
        let bind = read(&Mount { bind_options: Some(options), ..wish("bind", "/tmp") }).unwrap();
        assert_eq!((bind.propagation.as_str(), bind.is_non_recursive), ("rslave", true));
        let options = VolumeOptions { no_copy: true, subpath: "a/../b".into(), ..VolumeOptions::default() };
        let volume = read(&Mount { volume_options: Some(options), ..wish("volume", "data") }).unwrap();
        assert!(volume.is_bare && volume.subpath == "a/../b");
        let options = TmpfsOptions { size_bytes: 9, mode: 0o700, options: vec![vec!["exec".into()]] };
        let tmpfs = read(&Mount { tmpfs_options: Some(options), ..wish("tmpfs", "") }).unwrap();
        assert_eq!(
            tmpfs.source,
            Source::Tmpfs { options: ["mode=700", "size=9", "exec"].map(String::from).into() }
        );
        let image = read(&wish("image", "busybox")).unwrap();
        assert!(image.is_read_only && matches!(image.source, Source::Image { .. }));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let part = |subpath: &str| VolumeOptions { subpath: subpath.into(), ..VolumeOptions::default() };
        let forced = BindOptions { read_only_force_recursive: true, ..BindOptions::default() };
        for (wish, text) in [
            (wish("cloud", "x"), "mount type unknown"),
            (wish("bind", ""), "field Source must not be empty"),
            (wish("bind", "/nothing/here"), "bind source path does not exist: /nothing/here"),
            (wish("tmpfs", "x"), "field Source must not be specified"),
            (
                Mount { volume_options: Some(part("../x")), ..wish("volume", "v") },
                "subpath must be a relative path",
            ),
            (Mount { volume_options: Some(part("x")), ..wish("volume", "") }, "anonymous volumes"),
            (
                Mount { volume_options: Some(part("")), ..wish("bind", "/tmp") },
                "field VolumeOptions must not be",
            ),
            (
                Mount { bind_options: Some(forced), ..wish("bind", "/tmp") },
                "Writable && ReadOnlyForceRecursive",
            ),
            (
                Mount { image_options: Some(ImageOptions { subpath: "/abs".into() }), ..wish("image", "i") },
                "subpath must be a relative path",
            ),
            (Mount { target: "/".into(), ..wish("volume", "v") }, "destination can't be '/'"),
            (Mount { target: "t".into(), ..wish("volume", "v") }, "mount path must be absolute"),
        ] {
            let said = refusal(wish);
            assert!(said.contains(text), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_subpath_leads_out(path in "[a./]{0,12}") {
            if check_subpath(&path).is_ok() {
                let mut depth = 0;
                for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
                    depth += if part == ".." { -1 } else { 1 };
                    prop_assert!(depth >= 0 && !path.starts_with('/'));
                }
            }
        }
    }
}
