//! An image's blobs as they are in the content store.

use errdefs::{Error, Kind, Result};
use metadata::Content;

use crate::document::{Document, parse, parse_config};
use crate::media_type::{is_index, is_manifest};
use crate::platform::Matcher;
use crate::spec::{Config, Descriptor, Manifest, Platform};
use crate::{DOCUMENT_LIMIT, labels};

/// Reads a manifest or index.
///
/// # Errors
/// NotFound: it is not there. InvalidArgument: it is none.
pub fn document(content: &Content, descriptor: &Descriptor) -> Result<Document> {
    parse(&content.read(&descriptor.digest, DOCUMENT_LIMIT)?, &descriptor.media_type)
}

/// Reads an image's config.
///
/// # Errors
/// As [`document`].
pub fn config(content: &Content, manifest: &Manifest) -> Result<Config> {
    parse_config(&content.read(&manifest.config.digest, DOCUMENT_LIMIT)?)
}

/// What a document points to; nothing for blobs that are no documents.
///
/// # Errors
/// As [`document`].
pub fn children(content: &Content, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
    if !is_index(&descriptor.media_type) && !is_manifest(&descriptor.media_type) {
        return Ok(Vec::new());
    }
    Ok(match document(content, descriptor)? {
        Document::Index(index) => index.manifests,
        Document::Manifest(manifest) => std::iter::once(manifest.config).chain(manifest.layers).collect(),
    })
}

/// The manifests of an index that are wanted, best first; `limit` 0 is no limit.
///
/// # Errors
/// NotFound: none fits.
pub fn choose(index: &[Descriptor], matcher: &Matcher, limit: usize, what: &str) -> Result<Vec<Descriptor>> {
    let mut fitting: Vec<(usize, Descriptor)> = index
        .iter()
        .filter_map(|manifest| Some((matcher.rank(manifest.platform.as_ref())?, manifest.clone())))
        .collect();
    fitting.sort_by_key(|(rank, _)| *rank);
    if fitting.is_empty() && !index.is_empty() {
        return Err(Error::not_found(format!("no match for platform in manifest {what}")));
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    Ok(fitting.into_iter().take(limit).map(|(_, manifest)| manifest).collect())
}

/// All manifests below `descriptor` that fit and are in the store, with their platforms.
///
/// # Errors
/// As [`document`], but an index may name manifests that are not there.
pub fn manifests(
    content: &Content,
    descriptor: &Descriptor,
    matcher: &Matcher,
) -> Result<Vec<(Descriptor, Manifest, Option<Platform>)>> {
    match document(content, descriptor) {
        Ok(Document::Manifest(manifest)) => {
            let platform = match &descriptor.platform {
                Some(platform) => Some(platform.clone()),
                None => config(content, &manifest).ok().map(|config| config.platform),
            };
            let fits = matcher.rank(platform.as_ref()).is_some();
            Ok(fits.then(|| (descriptor.clone(), *manifest, platform)).into_iter().collect())
        }
        Ok(Document::Index(index)) => {
            let mut found = Vec::new();
            for child in choose(&index.manifests, matcher, 0, descriptor.digest.as_str()).unwrap_or_default()
            {
                if !is_index(&child.media_type) && !is_manifest(&child.media_type) {
                    continue;
                }
                match manifests(content, &child, matcher) {
                    Ok(below) => found.extend(below),
                    Err(error) if error.kind() == Kind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        }
        Err(error) => Err(error),
    }
}

/// Sets the labels that keep everything below `descriptor` that is in the store.
///
/// # Errors
/// As [`document`].
pub fn hold(content: &Content, descriptor: &Descriptor) -> Result<()> {
    let below = children(content, descriptor)?;
    let mut present = Vec::new();
    for child in below {
        if content.info(&child.digest).is_ok() {
            hold(content, &child)?;
            present.push(child);
        }
    }
    labels::add(content, &descriptor.digest, labels::of_children(&present))
}
