//! Lists being made: `~/.docker/manifests/LIST/MANIFEST`, one JSON document each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine_api::image::{Descriptor, Platform};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grammar::Failure;

/// One manifest of a list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Entry {
    /// The manifest's name, in full.
    #[serde(rename = "Ref")]
    pub reference: String,
    #[serde(rename = "Descriptor")]
    pub descriptor: Descriptor,
    /// The manifest as the registry has it, to the byte.
    #[serde(rename = "Raw")]
    pub raw: String,
    /// The same, read.
    #[serde(skip)]
    pub manifest: Value,
}

/// All lists of a configuration.
pub struct Store {
    directory: PathBuf,
}

impl Store {
    pub fn new(config_directory: &Path) -> Self {
        Self { directory: config_directory.join("manifests") }
    }

    /// Docker's name for a list's or a manifest's file.
    fn file(name: &str) -> String {
        name.replace('/', "_").replace(':', "-")
    }

    fn list_path(&self, list: &str) -> PathBuf {
        self.directory.join(Self::file(list))
    }

    pub fn exists(&self, list: &str) -> bool {
        self.list_path(list).is_dir()
    }

    /// The manifests of a list by name; none for a list that is none.
    ///
    /// # Errors
    /// A file cannot be read or is not ours.
    pub fn entries(&self, list: &str) -> Result<Vec<Entry>, Failure> {
        let files = match fs::read_dir(self.list_path(list)) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut entries = Vec::new();
        for file in files {
            let path = file?.path();
            let text = fs::read(&path)?;
            let unreadable =
                |error: serde_json::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
            let mut entry: Entry = serde_json::from_slice(&text).map_err(unreadable)?;
            entry.manifest = serde_json::from_str(&entry.raw).map_err(unreadable)?;
            entries.push(entry);
        }
        entries.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(entries)
    }

    /// The manifest of this name in a list.
    ///
    /// # Errors
    /// As [`Self::entries`].
    pub fn entry(&self, list: &str, manifest: &str) -> Result<Option<Entry>, Failure> {
        Ok(self.entries(list)?.into_iter().find(|entry| entry.reference == manifest))
    }

    /// Puts a manifest into a list.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&self, list: &str, entry: &Entry) -> Result<(), Failure> {
        let directory = self.list_path(list);
        fs::create_dir_all(&directory)?;
        let path = directory.join(Self::file(&entry.reference));
        let temporary = self.directory.join(format!(".new{}", std::process::id()));
        fs::write(&temporary, serde_json::to_vec(entry)?)?;
        Ok(fs::rename(temporary, path)?)
    }

    /// Forgets a list.
    ///
    /// # Errors
    /// Its directory cannot be removed.
    pub fn remove(&self, list: &str) -> Result<(), Failure> {
        Ok(fs::remove_dir_all(self.list_path(list))?)
    }
}

/// Media types of lists.
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Whether a media type is a list's.
pub fn is_list(media_type: &str) -> bool {
    matches!(media_type, DOCKER_LIST | OCI_INDEX)
}

/// The list as a registry keeps it, and its media type: OCI's as soon as one of its manifests is.
///
/// # Errors
/// A manifest has no platform.
pub fn list_of(entries: &[Entry]) -> Result<(Value, &'static str), Failure> {
    let is_oci = entries.iter().any(|entry| entry.descriptor.media_type == OCI_MANIFEST);
    let media_type = if is_oci { OCI_INDEX } else { DOCKER_LIST };
    let mut manifests = Vec::new();
    for entry in entries {
        let descriptor = &entry.descriptor;
        let platform = descriptor.platform.clone().unwrap_or_default();
        let Platform { architecture, os, .. } = &platform;
        if architecture.is_empty() || os.is_empty() {
            return Err(Failure::new(format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                entry.reference
            )));
        }
        manifests.push(serde_json::json!({
            "mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest, "platform": platform,
        }));
    }
    Ok((serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}), media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, media_type: &str, os: &str) -> Entry {
        let platform = Platform { os: os.into(), architecture: "amd64".into(), ..Platform::default() };
        let descriptor =
            Descriptor { media_type: media_type.into(), platform: Some(platform), ..Descriptor::default() };
        Entry { reference: name.into(), descriptor, raw: "{}".into(), manifest: Value::Null }
    }

    #[test]
    fn lists_are_kept_and_written() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path());
        assert!(!store.exists("h:1/a:b") && store.entries("h:1/a:b").unwrap().is_empty());
        store.put("h:1/a:b", &entry("h:1/x:1", "docker", "linux")).unwrap();
        store.put("h:1/a:b", &entry("h:1/x:2", OCI_MANIFEST, "linux")).unwrap();
        assert!(home.path().join("manifests/h-1_a-b/h-1_x-1").exists());
        let entries = store.entries("h:1/a:b").unwrap();
        assert_eq!(list_of(&entries).unwrap().1, OCI_INDEX);
        assert_eq!(list_of(&entries[..1]).unwrap().1, DOCKER_LIST);
        assert!(list_of(&[entry("x", "docker", "")]).is_err());
        store.remove("h:1/a:b").unwrap();
        assert!(!store.exists("h:1/a:b"));
    }
}
