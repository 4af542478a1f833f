//! Images to an archive that is an OCI layout and `docker load`'s format at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use archive::{Entry, Kind as EntryKind, Writer};
use errdefs::{Error, Kind, Result};
use metadata::Content;
use reference::Reference;
use serde::Serialize;

use crate::import::{IMAGE_NAME, REF_NAME, to_json};
use crate::media_type::{OCI_INDEX, is_foreign, is_index, is_manifest};
use crate::platform::Matcher;
use crate::spec::{Descriptor, Index, Manifest, Platform};
use crate::tree;

/// What to leave out.
pub struct Options {
    /// Which images of an index go in.
    pub matcher: Matcher,
    /// No `manifest.json`: an OCI layout alone.
    pub skip_manifest_json: bool,
    /// Foreign layers are named, not held.
    pub skip_foreign: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Writes the images, each with the name it is stored under (`None`: by digest alone). `progress` is told
/// each blob that was written.
///
/// # Errors
/// NotFound: a blob is missing, or no manifest fits the platforms.
pub fn export<W: Write>(
    images: &[(Option<String>, Descriptor)],
    content: &Content,
    options: &Options,
    sink: W,
    progress: &dyn Fn(&Descriptor),
) -> Result<W> {
    let mut plan = Plan { content, options, blobs: BTreeMap::new(), saved: BTreeMap::new() };
    let mut top = Vec::new();
    for (name, descriptor) in images {
        let mut descriptor = descriptor.clone();
        descriptor.annotations.remove(IMAGE_NAME);
        if let Some(name) = name {
            descriptor.annotations.insert(IMAGE_NAME.to_owned(), name.clone());
            let tag = Reference::parse_normalized(name).ok().and_then(|name| name.tag().map(str::to_owned));
            descriptor.annotations.insert(REF_NAME.to_owned(), tag.unwrap_or_else(|| name.clone()));
        }
        plan.image(name.as_deref(), &descriptor)?;
        top.push(descriptor);
    }
    let index = Index { schema_version: 2, media_type: OCI_INDEX.to_owned(), manifests: top };
    let mut writer = Writer::new(sink);
    plan.write_blobs(&mut writer, progress)?;
    put(&mut writer, "index.json", &to_json(&index)?)?;
    if !options.skip_manifest_json && !plan.saved.is_empty() {
        let saved: Vec<&Saved> = plan.saved.values().collect();
        put(&mut writer, "manifest.json", &to_json(&saved)?)?;
    }
    put(&mut writer, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    writer.finish().map_err(failed)
}

struct Plan<'a> {
    content: &'a Content,
    options: &'a Options,
    blobs: BTreeMap<String, Descriptor>,
    saved: BTreeMap<String, Saved>,
}

impl Plan<'_> {
    fn image(&mut self, name: Option<&str>, descriptor: &Descriptor) -> Result<()> {
        if !is_index(&descriptor.media_type) && !is_manifest(&descriptor.media_type) {
            return Err(Error::invalid_argument("only manifests may be exported"));
        }
        let fitting = tree::manifests(self.content, descriptor, &self.options.matcher)?;
        if fitting.is_empty() {
            return Err(Error::not_found(format!("no manifest found for platform in {}", descriptor.digest)));
        }
        self.blob(descriptor);
        // Indexes between the top and the manifests.
        for child in tree::children(self.content, descriptor)? {
            if is_index(&child.media_type) && self.content.info(&child.digest).is_ok() {
                self.blob(&child);
            }
        }
        for (at, (manifest_descriptor, manifest, platform)) in fitting.into_iter().enumerate() {
            self.manifest(&manifest_descriptor, &manifest);
            // `docker load` takes one image a name: the best.
            if at == 0 && !is_attestation(platform.as_ref()) {
                self.save(name, &manifest_descriptor, &manifest);
            }
        }
        Ok(())
    }

    fn manifest(&mut self, descriptor: &Descriptor, manifest: &Manifest) {
        self.blob(descriptor);
        self.blob(&manifest.config);
        for layer in &manifest.layers {
            let foreign = is_foreign(&layer.media_type);
            let absent = foreign && self.content.info(&layer.digest).is_err();
            let skipped = foreign && self.options.skip_foreign;
            if !absent && !skipped {
                self.blob(layer);
            }
        }
    }

    fn save(&mut self, name: Option<&str>, descriptor: &Descriptor, manifest: &Manifest) {
        let saved = self.saved.entry(descriptor.digest.to_string()).or_insert_with(|| Saved {
            config: path(&manifest.config),
            repo_tags: None,
            layers: manifest.layers.iter().map(path).collect(),
        });
        let named =
            name.and_then(|name| Reference::parse_normalized(name).ok()).filter(|name| name.tag().is_some());
        if let Some(named) = named {
            let tag = named.familiar();
            let tags = saved.repo_tags.get_or_insert_default();
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }

    fn blob(&mut self, descriptor: &Descriptor) {
        self.blobs.entry(path(descriptor)).or_insert_with(|| descriptor.clone());
    }

    fn write_blobs<W: Write>(&self, writer: &mut Writer<W>, progress: &dyn Fn(&Descriptor)) -> Result<()> {
        let algorithms: BTreeSet<&str> = self.blobs.values().map(|blob| blob.digest.algorithm()).collect();
        let directories =
            std::iter::once("blobs".to_owned()).chain(algorithms.iter().map(|word| format!("blobs/{word}")));
        for directory in directories {
            writer
                .append(&Entry::new(directory, EntryKind::Directory, 0o755), &mut std::io::empty())
                .map_err(failed)?;
        }
        for (path, descriptor) in &self.blobs {
            let mut reader = self.content.reader(&descriptor.digest)?;
            let mut entry = Entry::new(path.as_str(), EntryKind::File, 0o444);
            entry.size = reader.size();
            writer.append(&entry, &mut reader).map_err(failed)?;
            progress(descriptor);
        }
        Ok(())
    }
}

fn is_attestation(platform: Option<&Platform>) -> bool {
    platform.is_some_and(|platform| platform.os == "unknown")
}

fn path(descriptor: &Descriptor) -> String {
    format!("blobs/{}/{}", descriptor.digest.algorithm(), descriptor.digest.hex())
}

fn put<W: Write>(writer: &mut Writer<W>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut entry = Entry::new(name, EntryKind::File, 0o644);
    entry.size = bytes.len() as u64;
    writer.append(&entry, &mut &*bytes).map_err(failed)
}

fn failed(cause: archive::Error) -> Error {
    let kind = if cause.kind() == Kind::InvalidArgument { Kind::Internal } else { cause.kind() };
    Error::new(kind, "cannot write archive of images").with_source(cause)
}
