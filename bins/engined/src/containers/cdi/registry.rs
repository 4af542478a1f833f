//! The files in which vendors describe their devices (CDI specification 1.1), JSON or YAML.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::edits::Edits;

/// Longer files are none that a vendor writes.
const LIMIT_BYTES: u64 = 16 << 20;

/// One file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Content {
    pub cdi_version: String,
    /// `vendor/class`.
    pub kind: String,
    pub devices: Vec<Device>,
    pub container_edits: Edits,
}

/// One device of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    pub name: String,
    pub container_edits: Edits,
}

/// A file that could be read.
pub struct File {
    pub path: PathBuf,
    pub content: Content,
}

/// All files of some directories.
pub struct Registry {
    /// The most important last.
    files: Vec<File>,
    broken: Vec<String>,
}

impl Registry {
    /// Reads the directories, the least important first. What cannot be read is passed over and told of when a
    /// device is missed.
    pub fn load(directories: &[PathBuf]) -> Registry {
        let mut registry = Registry { files: Vec::new(), broken: Vec::new() };
        for directory in directories {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            paths.sort();
            for path in paths {
                match read(&path) {
                    Some(Ok(content)) => registry.files.push(File { path, content }),
                    Some(Err(text)) => registry.broken.push(format!("{}: {text}", path.display())),
                    None => {}
                }
            }
        }
        registry
    }

    /// A device by its qualified name.
    pub fn find(&self, name: &str) -> Option<(&File, &Device)> {
        let (kind, name) = name.split_once('=')?;
        self.files.iter().rev().filter(|file| file.content.kind == kind).find_map(|file| {
            file.content.devices.iter().find(|device| device.name == name).map(|device| (file, device))
        })
    }

    /// Qualified names of all devices, each once.
    pub fn names(&self) -> Vec<String> {
        let of = |file: &File| {
            let kind = file.content.kind.clone();
            file.content
                .devices
                .iter()
                .map(move |device| format!("{kind}={}", device.name))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<String> = self.files.iter().flat_map(of).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether anybody describes devices of this kind.
    pub fn has_kind(&self, kind: &str) -> bool {
        self.files.iter().any(|file| file.content.kind == kind)
    }

    /// Files that could not be read, and why.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }
}

/// The content of a file whose name says that it is one.
fn read(path: &Path) -> Option<Result<Content, String>> {
    let is_yaml = match path.extension()?.to_str()? {
        "json" => false,
        "yaml" | "yml" => true,
        _ => return None,
    };
    let text = match path.metadata() {
        Ok(found) if found.len() > LIMIT_BYTES => return Some(Err("too long".into())),
        _ => std::fs::read_to_string(path).map_err(|cause| cause.to_string()),
    };
    Some(text.and_then(|text| parse(&text, is_yaml)))
}

fn parse(text: &str, is_yaml: bool) -> Result<Content, String> {
    let content: Content = if is_yaml {
        serde_saphyr::from_str(text).map_err(|cause| cause.to_string())?
    } else {
        serde_json::from_str(text).map_err(|cause| cause.to_string())?
    };
    let is_word = |text: &str| {
        text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
    };
    let is_kind =
        content.kind.split_once('/').is_some_and(|(vendor, class)| is_word(vendor) && is_word(class));
    if content.cdi_version.is_empty() || !is_kind {
        return Err(format!(
            "no CDI specification: version {:?}, kind {:?}",
            content.cdi_version, content.kind
        ));
    }
    if let Some(bad) = content.devices.iter().find(|device| !is_word(&device.name)) {
        return Err(format!("invalid device name {:?}", bad.name));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_later_directory_wins() {
        let scratch = tempfile::tempdir().unwrap();
        let directories = ["a", "b"].map(|name| scratch.path().join(name));
        for (directory, env) in directories.iter().zip(["A=1", "B=1"]) {
            std::fs::create_dir(directory).unwrap();
            let text = format!(
                r#"{{"cdiVersion":"0.3.0","kind":"v.com/c","devices":[{{"name":"d","containerEdits":{{"env":["{env}"]}}}}]}}"#
            );
            std::fs::write(directory.join("x.json"), text).unwrap();
        }
        std::fs::write(directories[0].join("bad.json"), "{").unwrap();
        std::fs::write(directories[0].join("notes.txt"), "{").unwrap();
        let registry = Registry::load(&directories);
        let (_, device) = registry.find("v.com/c=d").unwrap();
        assert_eq!(device.container_edits.env, ["B=1"]);
        assert!(registry.find("v.com/c=other").is_none() && registry.find("nonsense").is_none());
        assert_eq!(registry.broken().len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,80}", is_yaml: bool) {
            let _ = parse(&text, is_yaml);
        }
    }
}
