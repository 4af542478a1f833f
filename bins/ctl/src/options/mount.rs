//! `--mount`, `--volume`, `--tmpfs`.

use std::collections::BTreeMap;
use std::path::Path;

use engine_api::mount::{BindOptions, Driver, ImageOptions, Mount, TmpfsOptions, VolumeOptions};

use crate::options::size;

/// Parses one `--mount`: fields separated by commas, quoted as in CSV.
///
/// # Errors
/// An unknown field, a wrong value, or options of another type.
pub fn parse(text: &str) -> Result<Mount, String> {
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    for field in csv_fields(text)? {
        let (name, value) = match field.split_once('=') {
            Some((name, value)) => (name.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        set_field(&mut mount, &name, value, &field)?;
    }
    check(&mount)?;
    Ok(mount)
}

fn set_field(mount: &mut Mount, name: &str, value: Option<&str>, field: &str) -> Result<(), String> {
    let flag = || match value {
        None => Ok(true),
        Some(text) => truth(text).ok_or_else(|| format!("invalid value for {name}: {text}")),
    };
    match name {
        "readonly" | "ro" => mount.read_only = flag()?,
        "volume-nocopy" => volume(mount).no_copy = flag()?,
        "bind-nonrecursive" => bind(mount).non_recursive = flag()?,
        "bind-create-src" => bind(mount).create_mountpoint = flag()?,
        _ => {
            let value = value.ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
            set_value(mount, name, value, field)?;
        }
    }
    Ok(())
}

fn set_value(mount: &mut Mount, name: &str, value: &str, field: &str) -> Result<(), String> {
    match name {
        "type" => mount.kind = value.to_lowercase(),
        "source" | "src" => {
            let relative =
                value == "." || value.starts_with("./") || value.starts_with("../") || value == "..";
            mount.source = if relative { absolute(value) } else { value.to_owned() };
        }
        "target" | "dst" | "destination" => mount.target = value.to_owned(),
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "bind-recursive" => match value {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                return Err(format!(
                    "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        },
        "volume-subpath" => volume(mount).subpath = value.to_owned(),
        "volume-label" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            volume(mount).labels.insert(key.to_owned(), value.to_owned());
        }
        "volume-driver" => driver(mount).name = value.to_owned(),
        "volume-opt" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            driver(mount).options.insert(key.to_owned(), value.to_owned());
        }
        "image-subpath" => {
            mount.image_options.get_or_insert_with(ImageOptions::default).subpath = value.to_owned()
        }
        "tmpfs-size" => {
            let bytes = size::parse_bytes(value).map_err(|_| format!("invalid value for {name}: {value}"))?;
            mount.tmpfs_options.get_or_insert_with(TmpfsOptions::default).size_bytes = bytes;
        }
        "tmpfs-mode" => {
            let mode =
                u32::from_str_radix(value, 8).map_err(|_| format!("invalid value for {name}: {value}"))?;
            mount.tmpfs_options.get_or_insert_with(TmpfsOptions::default).mode = mode;
        }
        _ => return Err(format!("unexpected key '{name}' in '{field}'")),
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut Driver {
    volume(mount).driver_config.get_or_insert_default()
}

fn check(mount: &Mount) -> Result<(), String> {
    if mount.kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    if mount.bind_options.as_ref().is_some_and(|bind| bind.read_only_force_recursive) && !mount.read_only {
        return Err(
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction".to_owned()
        );
    }
    let mixed = |option: &str| Err(format!("cannot mix '{option}' options with mount type '{}'", mount.kind));
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return mixed("bind-*");
    }
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return mixed("volume-*");
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return mixed("tmpfs-*");
    }
    if mount.image_options.is_some() && mount.kind != "image" {
        return mixed("image-*");
    }
    Ok(())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Fields of one CSV record (RFC 4180).
///
/// # Errors
/// Quotes that do not match; in Go's words.
pub fn csv_fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = quoted;
            loop {
                let end = tail.find('"').ok_or("parse error: extraneous or missing \" in quoted-field")?;
                field.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            fields.push(field);
            rest = tail;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("parse error: bare \" in non-quoted-field".to_owned());
            }
            fields.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("parse error: extraneous or missing \" in quoted-field".to_owned()),
        }
    }
}

/// What `-v` asks for: binds of named or host paths, and anonymous volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volumes {
    pub binds: Vec<String>,
    pub anonymous: Vec<String>,
}

/// Splits all `-v` flags; relative host paths become absolute, the rest is the engine's to judge.
///
/// # Errors
/// More than source, target and mode.
pub fn volumes(flags: &[String]) -> Result<Volumes, String> {
    let mut volumes = Volumes::default();
    for flag in flags {
        if flag.is_empty() {
            return Err("invalid empty volume spec".to_owned());
        }
        if flag.ends_with(':') && flag != ":" || flag.contains("::") {
            return Err(format!("invalid spec: {flag}: empty section between colons"));
        }
        if flag.matches(':').count() > 2 {
            return Err(format!("invalid spec: {flag}: too many colons"));
        }
        match flag.split_once(':') {
            None => volumes.anonymous.push(flag.clone()),
            Some((source, rest)) if source.starts_with('.') => {
                volumes.binds.push(format!("{}:{rest}", absolute(source)))
            }
            Some(_) => volumes.binds.push(flag.clone()),
        }
    }
    Ok(volumes)
}

fn absolute(path: &str) -> String {
    std::path::absolute(Path::new(path)).map_or_else(|_| path.to_owned(), |path| clean(&path))
}

/// Resolves `.` and `..` in words, as Go's `filepath.Abs` does.
fn clean(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let text = path.to_string_lossy();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `--tmpfs TARGET[:OPTIONS]`.
pub fn tmpfs(flags: &[String]) -> BTreeMap<String, String> {
    let split = |flag: &String| {
        let (target, options) = flag.split_once(':').unwrap_or((flag, ""));
        (target.to_owned(), options.to_owned())
    };
    flags.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mounts_are_parsed() {
        let mount = parse("type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave").unwrap();
        assert_eq!(
            (mount.kind.as_str(), mount.source.as_str(), mount.target.as_str(), mount.read_only),
            ("bind", "/a", "/b", true)
        );
        assert_eq!(mount.bind_options.unwrap().propagation, "rslave");
        let mount = parse(
            "source=v,target=/b,volume-nocopy=true,volume-driver=d,volume-opt=a=b,\"volume-label=x,y=z\"",
        )
        .unwrap();
        let options = mount.volume_options.unwrap();
        assert!(options.no_copy && options.labels["x,y"] == "z");
        assert_eq!(options.driver_config.unwrap().options["a"], "b");
        let mount = parse("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        assert_eq!(
            mount.tmpfs_options.unwrap(),
            TmpfsOptions { size_bytes: 1 << 20, mode: 0o1770, options: vec![] }
        );
    }

    #[test]
    fn wrong_mounts_are_refused() {
        for (text, error) in [
            ("type=bind,src=/a", "target is required"),
            ("target=/a,foo=b", "unexpected key 'foo' in 'foo=b'"),
            ("target=/a,foo", "invalid field 'foo' must be a key=value pair"),
            ("target=/a,readonly=x", "invalid value for readonly: x"),
            ("type=tmpfs,target=/a,volume-nocopy", "cannot mix 'volume-*' options with mount type 'tmpfs'"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error);
        }
        assert!(parse("target=\"x").is_err());
    }

    #[test]
    fn volumes_are_split() {
        let here = std::env::current_dir().unwrap();
        let got =
            volumes(&["/a:/b:ro".into(), "name:/c".into(), "/anon".into(), "./x/../y:/d".into()]).unwrap();
        assert_eq!(got.binds, ["/a:/b:ro".to_owned(), "name:/c".into(), format!("{}/y:/d", here.display())]);
        assert_eq!(got.anonymous, ["/anon"]);
        assert_eq!(tmpfs(&["/t:size=1m".into()])["/t"], "size=1m");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z=,\":/.-]{0,40}") {
            let _ = parse(&text);
            let _ = volumes(&[text]);
        }
    }
}
