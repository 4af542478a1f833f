//! From what a person types to an image that can run here.

use std::sync::Arc;

use containerd_api::services::images::v1::{Image as StoredImage, ListImagesRequest};
use engine_api::image::{Descriptor, Platform};
use errdefs::{Error, Result};
use reference::{AnyReference, Reference};

use super::manifests::{Either, attested, platform_of};
use super::platform::{fits, shown};
use super::{Document, Image, Images, Layer, chain_id};
use crate::engine::Engine;
use crate::supervisor::failed;

/// The type of a manifest that does not say it.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Prefix of records that keep an image without a name.
pub const DANGLING: &str = "moby-dangling@";

/// Label of a record by which dockerd keeps the identifier of the image that this one was committed from.
pub const PARENT: &str = "org.mobyproject.image.parent";

/// The host's architecture in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn missing(typed: &str) -> Error {
    let shown = Reference::parse_normalized(typed)
        .map_or(typed.to_owned(), |name| name.with_default_tag().familiar());
    Error::not_found(format!("No such image: {shown}"))
}

impl Images {
    /// Finds an image by name, name and digest, identifier or the beginning of one.
    ///
    /// # Errors
    /// No image, or more than one, is meant; or it is for another platform.
    pub async fn find(&self, engine: &Engine, typed: &str) -> Result<Arc<Image>> {
        self.find_record(engine, typed).await.map(|(_, image)| image)
    }

    /// The same, with the record of the store that was meant.
    ///
    /// # Errors
    /// As [`Images::find`].
    pub async fn find_record(&self, engine: &Engine, typed: &str) -> Result<(StoredImage, Arc<Image>)> {
        let parsed = AnyReference::parse(typed);
        if let Ok(AnyReference::Named(name)) = &parsed {
            let name = name.clone().with_default_tag();
            if let Some(record) = self.by_name(engine, &name).await? {
                let image = self.read(engine, &record).await?;
                return Ok((record, image));
            }
        } else if let Err(error) = &parsed {
            return Err(Error::invalid_argument(error.to_string()));
        }
        self.by_id(engine, typed).await
    }

    /// The same, but of an image for several platforms the one for `wanted`.
    ///
    /// # Errors
    /// As [`Images::find`]; NotFound when the image is not here for that platform.
    pub async fn find_for(
        &self,
        engine: &Engine,
        typed: &str,
        wanted: Option<&Platform>,
    ) -> Result<(StoredImage, Arc<Image>)> {
        let (record, image) = self.find_record(engine, typed).await?;
        let Some(wanted) = wanted else { return Ok((record, image)) };
        if fits(wanted, &platform_of(&image.document)) {
            return Ok((record, image));
        }
        let absent = || {
            Error::not_found(format!(
                "image with reference {} was found but does not provide the specified platform ({})",
                image.name,
                shown(wanted)
            ))
        };
        let either: Either = engine.supervisor.read_json(&image.target).await?;
        for manifest in &either.manifests {
            let is_meant = manifest.platform.as_ref().is_some_and(|platform| fits(wanted, platform));
            if is_meant && engine.supervisor.has_blob(&manifest.digest).await? {
                let found = read_manifest(engine, &image.target, &manifest.digest).await?;
                return Ok((record, Arc::new(Image { name: image.name.clone(), ..found })));
            }
        }
        Err(absent())
    }

    async fn by_name(&self, engine: &Engine, name: &Reference) -> Result<Option<StoredImage>> {
        let records = self.records(engine).await?;
        let canonical = name.canonical();
        if let Some(record) = records.iter().find(|record| record.name == canonical) {
            return Ok(Some(record.clone()));
        }
        let Some(digest) = name.digest() else { return Ok(None) };
        // NAME@DIGEST is meant whatever tag keeps that digest.
        let is_meant = |record: &&StoredImage| {
            digest_of(record) == digest.as_str()
                && Reference::parse_normalized(&record.name).is_ok_and(|other| other.name() == name.name())
        };
        Ok(records.iter().find(is_meant).cloned())
    }

    async fn by_id(&self, engine: &Engine, typed: &str) -> Result<(StoredImage, Arc<Image>)> {
        let prefix = typed.strip_prefix("sha256:").unwrap_or(typed);
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing(typed));
        }
        let is_meant =
            |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(prefix));
        let mut found: Option<(StoredImage, Arc<Image>)> = None;
        for (record, image) in self.all(engine).await? {
            if is_meant(&image.id) || is_meant(&image.target) || is_meant(&image.manifest) {
                if found.as_ref().is_some_and(|(_, other)| other.id != image.id) {
                    return Err(Error::invalid_argument(format!("image reference {typed} is ambiguous")));
                }
                found.get_or_insert((record, image));
            }
        }
        found.ok_or_else(|| missing(typed))
    }

    /// The store's records; asked for once as long as nothing changes.
    ///
    /// # Errors
    /// The supervisor does not answer.
    pub async fn records(&self, engine: &Engine) -> Result<Arc<Vec<StoredImage>>> {
        let asked = match self.stored.known() {
            Ok(known) => return Ok(known),
            Err(asked) => asked,
        };
        let answer = engine
            .supervisor
            .images()
            .list(ListImagesRequest::default())
            .await
            .map_err(failed("list images"))?;
        let all = Arc::new(answer.into_inner().images);
        self.stored.keep(asked, &all);
        Ok(all)
    }

    /// All records whose image can run here.
    ///
    /// # Errors
    /// The supervisor does not answer.
    pub async fn all(&self, engine: &Engine) -> Result<Vec<(StoredImage, Arc<Image>)>> {
        let mut all = Vec::new();
        for record in self.records(engine).await?.iter() {
            match self.read(engine, record).await {
                Ok(image) => all.push((record.clone(), image)),
                Err(error) if error.kind() == errdefs::Kind::Unavailable => return Err(error),
                Err(error) => {
                    tracing::debug!(image = record.name, error = %error.chain(), "an image is left out")
                }
            }
        }
        Ok(all)
    }

    /// Reads index, manifest and config of a record, once for each digest.
    ///
    /// # Errors
    /// Content is missing or malformed, or nothing in it is for this platform.
    pub async fn read(&self, engine: &Engine, record: &StoredImage) -> Result<Arc<Image>> {
        let target = digest_of(record).to_owned();
        let known = self.by_target.lock().expect("no panic while held").get(&target).cloned();
        let image = match known {
            Some(image) => image,
            None => {
                let image = Arc::new(read(engine, &target).await?);
                self.by_target.lock().expect("no panic while held").insert(target, image.clone());
                image
            }
        };
        if image.name == record.name {
            return Ok(image);
        }
        Ok(Arc::new(Image { name: record.name.clone(), ..(*image).clone() }))
    }

    /// Forgets content that may have gone.
    pub fn forget(&self, target: &str) {
        self.by_target.lock().expect("no panic while held").remove(target);
    }
}

/// The image that a record's was committed from; empty for every other.
pub fn parent_of(record: &StoredImage) -> String {
    record.labels.get(PARENT).cloned().unwrap_or_default()
}

/// Digest that a record points to.
pub fn digest_of(record: &StoredImage) -> &str {
    record.target.as_ref().map_or("", |target| target.digest.as_str())
}

async fn read(engine: &Engine, target: &str) -> Result<Image> {
    let either: Either = engine.supervisor.read_json(target).await?;
    if either.config.is_some() {
        return read_manifest(engine, target, target).await;
    }
    let manifest = choose(engine, &either.manifests).await?;
    read_manifest(engine, target, &manifest).await
}

async fn read_manifest(engine: &Engine, target: &str, manifest: &str) -> Result<Image> {
    let blob = engine.supervisor.read_blob(manifest).await?;
    let either: Either = serde_json::from_slice(&blob).map_err(|cause| {
        Error::new(errdefs::Kind::DataLoss, format!("cannot read content {manifest}")).with_source(cause)
    })?;
    let config = either.config.ok_or_else(|| {
        Error::new(errdefs::Kind::DataLoss, format!("cannot read manifest {manifest}: it names no config"))
    })?;
    let document: Document = engine.supervisor.read_json(&config.digest).await?;
    let layer =
        |layer: Descriptor| Layer { media_type: layer.media_type, digest: layer.digest, size: layer.size };
    let media_type = match either.media_type.as_str() {
        "" => OCI_MANIFEST.to_owned(),
        named => named.to_owned(),
    };
    let descriptor = Descriptor {
        media_type,
        digest: manifest.to_owned(),
        size: blob.len() as i64,
        platform: Some(platform_of(&document)),
        ..Descriptor::default()
    };
    Ok(Image {
        descriptor,
        id: config.digest,
        name: String::new(),
        target: target.to_owned(),
        manifest: manifest.to_owned(),
        layers: either.layers.into_iter().map(layer).collect(),
        config: document.config.clone().unwrap_or_default(),
        chain_id: chain_id(&document.rootfs.diff_ids),
        document,
    })
}

/// The manifest for this platform, else for another one; of several one that is in the store.
async fn choose(engine: &Engine, manifests: &[Descriptor]) -> Result<String> {
    let rank = |entry: &&Descriptor| {
        let Some(platform) = &entry.platform else { return 1 };
        let is_ours = platform.os == "linux" && platform.architecture == architecture();
        match platform.variant.as_str() {
            "" | "v8" if is_ours => 0,
            _ if is_ours => 1,
            _ => 2,
        }
    };
    let is_image = |entry: &&Descriptor| {
        attested(entry).is_none() && entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
    };
    let mut candidates: Vec<&Descriptor> = manifests.iter().filter(is_image).collect();
    candidates.sort_by_key(rank);
    for candidate in &candidates {
        if engine.supervisor.has_blob(&candidate.digest).await? {
            return Ok(candidate.digest.clone());
        }
    }
    Err(Error::not_found("no image of the index is here, for any platform"))
}
