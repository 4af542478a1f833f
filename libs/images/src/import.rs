//! Archives of images into the content store: `docker save`'s, old and new, and OCI layouts.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};

use archive::{Kind as EntryKind, Reader};
use content::WriterOptions;
use errdefs::{Error, Kind, Result};
use metadata::{CommitOptions, Content, ContentWriter};
use reference::{Digest, Reference};
use serde::Deserialize;

use crate::document::parse_config;
use crate::labels::UNCOMPRESSED;
use crate::media_type::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD, DOCKER_MANIFEST, OCI_INDEX,
};
use crate::spec::{Descriptor, Index, Manifest};
use crate::unpack::random;

/// Greatest `manifest.json`, `oci-layout` or `index.json` (CVE-2023-25153).
const JSON_LIMIT: u64 = 20 << 20;
/// Annotation: the full name of an image.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation: the tag, or some name, of an image.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

#[derive(Default)]
struct Found {
    /// Plain layers of `docker save` are kept compressed.
    compresses: bool,
    layout: Option<Layout>,
    saved: Option<Vec<Saved>>,
    index: Option<Vec<u8>>,
    blobs: HashMap<String, (Digest, u64)>,
    links: HashMap<String, String>,
}

/// Reads an archive, compressed or not, and stores what it holds; returns the descriptor of the index of
/// its images. `progress` is told the name, bytes so far and size of each file.
///
/// # Errors
/// InvalidArgument: it is no archive of images, or names what it does not hold.
pub fn import(
    stream: impl Read + Send,
    content: &Content,
    progress: &dyn Fn(&str, u64, u64),
) -> Result<Descriptor> {
    read(Found::default(), stream, content, progress)
}

/// The same; layers that `docker save` wrote plain are compressed by gzip, and their manifests name those.
///
/// # Errors
/// As [`import`].
pub fn import_compressed(
    stream: impl Read + Send,
    content: &Content,
    progress: &dyn Fn(&str, u64, u64),
) -> Result<Descriptor> {
    read(Found { compresses: true, ..Found::default() }, stream, content, progress)
}

/// What [`import`] does with an archive.
fn read(
    mut found: Found,
    stream: impl Read + Send,
    content: &Content,
    progress: &dyn Fn(&str, u64, u64),
) -> Result<Descriptor> {
    let (_, plain) =
        diff::decompress(stream).map_err(|cause| Error::unknown("cannot read archive").with_source(cause))?;
    let mut reader = Reader::new(std::io::BufReader::with_capacity(256 << 10, plain));
    while let Some(entry) = reader.next_entry().map_err(archive_error)? {
        let path = clean(&String::from_utf8_lossy(&entry.path));
        match entry.kind {
            EntryKind::Symlink | EntryKind::HardLink => {
                let target = String::from_utf8_lossy(&entry.link).into_owned();
                let base = if entry.kind == EntryKind::HardLink { "" } else { directory(&path) };
                found.links.insert(path.clone(), clean(&format!("{base}/{target}")));
            }
            EntryKind::File => found.file(&path, entry.size, &mut reader, content, progress)?,
            _ => {}
        }
    }
    // What follows the archive's end belongs to the stream.
    let mut rest = reader.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink())
        .map_err(|cause| Error::unknown("cannot read archive").with_source(cause))?;
    found.into_index(content)
}

impl Found {
    fn file(
        &mut self,
        path: &str,
        size: u64,
        body: &mut impl BufRead,
        content: &Content,
        progress: &dyn Fn(&str, u64, u64),
    ) -> Result<()> {
        match path {
            "oci-layout" => self.layout = Some(json(path, size, body)?),
            "manifest.json" => self.saved = Some(json(path, size, body)?),
            "index.json" => self.index = Some(bounded(path, size, body)?),
            // Of the format before content addresses.
            "repositories" | "VERSION" => {}
            path if path.ends_with("/json") || path.ends_with("/VERSION") => {}
            path => {
                let blob = store(path, size, body, content, progress)?;
                self.blobs.insert(path.to_owned(), (blob, size));
            }
        }
        Ok(())
    }

    fn into_index(self, content: &Content) -> Result<Descriptor> {
        if let Some(layout) = &self.layout {
            if layout.image_layout_version != "1.0.0" {
                return Err(Error::invalid_argument(format!(
                    "unsupported OCI version {}",
                    layout.image_layout_version
                )));
            }
            if let Some(index) = &self.index {
                crate::document::parse(index, OCI_INDEX)?;
                return put(content, OCI_INDEX, index);
            }
            if self.saved.is_none() {
                return Err(Error::invalid_argument("missing index.json in OCI layout 1.0.0"));
            }
        }
        let saved =
            self.saved.as_ref().ok_or_else(|| Error::invalid_argument("unrecognized image format"))?;
        let mut manifests = Vec::new();
        for image in saved {
            let manifest = self.manifest(image, content)?;
            let tags = image.repo_tags.clone().unwrap_or_default();
            if tags.is_empty() {
                manifests.push(manifest.clone());
            }
            for tag in tags {
                let reference = Reference::parse_normalized(&tag)
                    .map_err(|cause| {
                        Error::invalid_argument(format!("cannot use name {tag:?}")).with_source(cause)
                    })?
                    .with_default_tag();
                let mut named = manifest.clone();
                named.annotations.insert(IMAGE_NAME.to_owned(), reference.canonical());
                named.annotations.insert(REF_NAME.to_owned(), reference.tag().unwrap_or_default().to_owned());
                manifests.push(named);
            }
        }
        let index = Index { schema_version: 2, media_type: OCI_INDEX.to_owned(), manifests };
        put(content, OCI_INDEX, &to_json(&index)?)
    }

    /// Makes the manifest that `docker save` did not write.
    fn manifest(&self, image: &Saved, content: &Content) -> Result<Descriptor> {
        let (digest, size) = self.blob(&image.config)?;
        let config = Descriptor::new(DOCKER_CONFIG, digest, size);
        let platform = parse_config(&content.read(&config.digest, crate::DOCUMENT_LIMIT)?)?.platform;
        let mut layers = Vec::new();
        for path in image.layers.iter().flatten() {
            let (digest, size) = self.blob(path)?;
            let layer = Descriptor::new(layer_type(content, &digest)?, digest, size);
            let is_plain = layer.media_type == DOCKER_LAYER;
            layers.push(if self.compresses && is_plain { compress(content, &layer)? } else { layer });
        }
        let manifest = Manifest { schema_version: 2, media_type: DOCKER_MANIFEST.to_owned(), config, layers };
        let mut descriptor = put(content, DOCKER_MANIFEST, &to_json(&manifest)?)?;
        descriptor.platform = Some(platform);
        Ok(descriptor)
    }

    /// The blob of a file, by way of links.
    fn blob(&self, path: &str) -> Result<(Digest, u64)> {
        let mut path = clean(path);
        for _ in 0..8 {
            if let Some(blob) = self.blobs.get(&path) {
                return Ok(blob.clone());
            }
            match self.links.get(&path) {
                Some(target) => path.clone_from(target),
                None => break,
            }
        }
        Err(Error::invalid_argument(format!("file {path:?} not found in archive")))
    }
}

/// Streams a file into the store under its digest; a layout's blob that is there is passed over.
fn store(
    path: &str,
    size: u64,
    body: &mut impl BufRead,
    content: &Content,
    progress: &dyn Fn(&str, u64, u64),
) -> Result<Digest> {
    let expected =
        path.strip_prefix("blobs/").and_then(|path| Digest::parse(&path.replacen('/', ":", 1)).ok());
    let reference = format!("import-{}", random());
    let options = WriterOptions { reference: reference.clone(), total: size, expected: expected.clone() };
    let mut writer = match (content.writer(options), expected.clone()) {
        (Ok(writer), _) => writer,
        (Err(error), Some(expected)) if error.kind() == Kind::AlreadyExists => return Ok(expected),
        (Err(error), _) => return Err(error),
    };
    let result = (|| {
        // A blob shared by another namespace comes with its bytes.
        if writer.offset() > 0 && writer.offset() != size {
            writer.truncate(0)?;
        }
        let shared = writer.offset() == size && size > 0;
        let mut done = 0;
        loop {
            let bytes = body
                .fill_buf()
                .map_err(|cause| Error::unknown(format!("cannot read {path}")).with_source(cause))?;
            if bytes.is_empty() {
                break;
            }
            let count = bytes.len();
            if !shared {
                writer.write(bytes)?;
            }
            body.consume(count);
            done += count as u64;
            progress(path, done, size);
        }
        match writer.commit(CommitOptions { size, expected: expected.clone(), labels: HashMap::new() }) {
            Err(error) if error.kind() == Kind::AlreadyExists => Ok(writer.digest()),
            other => other,
        }
    })();
    if result.is_err() {
        drop(writer);
        // The first error counts; the ingest ends with the lease at the latest.
        let _ = content.abort(&reference);
    }
    result
}

/// A plain layer as one compressed by gzip, which is stored beside it. The plain one goes with the next collection.
fn compress(content: &Content, plain: &Descriptor) -> Result<Descriptor> {
    let reference = format!("import-{}", random());
    let mut writer =
        content.writer(WriterOptions { reference: reference.clone(), ..WriterOptions::default() })?;
    let source = content.reader(&plain.digest)?;
    let written = match diff::compress(source, diff::Compression::Gzip, Sink(&mut writer)) {
        Ok(written) => written,
        Err(error) => {
            drop(writer);
            // The first error counts; the ingest ends with the lease at the latest.
            let _ = content.abort(&reference);
            return Err(error);
        }
    };
    let size = writer.offset();
    let labels = HashMap::from([(UNCOMPRESSED.to_owned(), written.diff_id.to_string())]);
    let digest = match writer.commit(CommitOptions { size, expected: None, labels }) {
        Err(error) if error.kind() == Kind::AlreadyExists => writer.digest(),
        committed => committed?,
    };
    Ok(Descriptor::new(DOCKER_LAYER_GZIP, digest, size))
}

/// An ingest as a stream of bytes.
struct Sink<'a>(&'a mut ContentWriter);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).map_err(|error| std::io::Error::other(error.chain()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put(content: &Content, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    let digest = content.write(&format!("import-{}", random()), bytes, &HashMap::new())?;
    Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
}

fn layer_type(content: &Content, digest: &Digest) -> Result<&'static str> {
    let mut start = [0; 4];
    let count = content
        .reader(digest)?
        .read_at(&mut start, 0)
        .map_err(|cause| Error::unknown(format!("cannot read layer {digest}")).with_source(cause))?;
    Ok(match diff::Compression::of_bytes(&start[..count]) {
        diff::Compression::None => DOCKER_LAYER,
        diff::Compression::Gzip => DOCKER_LAYER_GZIP,
        diff::Compression::Zstd => DOCKER_LAYER_ZSTD,
    })
}

fn bounded(path: &str, size: u64, body: &mut impl Read) -> Result<Vec<u8>> {
    if size > JSON_LIMIT {
        return Err(Error::invalid_argument(format!(
            "{path} of {size} bytes is larger than the limit of {JSON_LIMIT}"
        )));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    body.read_to_end(&mut bytes)
        .map_err(|cause| Error::unknown(format!("cannot read {path}")).with_source(cause))?;
    Ok(bytes)
}

fn json<T: serde::de::DeserializeOwned>(path: &str, size: u64, body: &mut impl Read) -> Result<T> {
    serde_json::from_slice(&bounded(path, size, body)?)
        .map_err(|cause| Error::invalid_argument(format!("cannot read {path}")).with_source(cause))
}

pub(crate) fn to_json<T: serde::Serialize>(document: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|cause| Error::internal("cannot write manifest").with_source(cause))
}

fn archive_error(cause: archive::Error) -> Error {
    Error::new(cause.kind(), "cannot read archive of images").with_source(cause)
}

fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}
