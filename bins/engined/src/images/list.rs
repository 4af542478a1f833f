//! Rows of images.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use engine_api::image::{Descriptor, ImageSummary};
use errdefs::Result;
use reference::Reference;

use super::Image;
use super::resolve::DANGLING;
use crate::engine::Engine;
use crate::filters::Filters;
use crate::time::Time;

/// The filters of a list.
pub const FILTERS: [&str; 8] =
    ["before", "dangling", "label", "label!", "reference", "since", "until", "intermediate"];

/// An image with all its names.
pub struct Named {
    pub image: Arc<Image>,
    pub tags: Vec<String>,
    pub digests: Vec<String>,
    /// The image that it was committed from.
    pub parent: String,
    /// Names of its records in the store.
    pub records: Vec<String>,
    /// What the first of them points to.
    pub target: Descriptor,
}

/// What rows are to hold besides.
#[derive(Clone, Copy, Default)]
pub struct Wish {
    /// Every manifest.
    pub manifests: bool,
    /// Bytes of layers that other images have as well.
    pub shared_size: bool,
}

/// Every image once, with its names.
///
/// # Errors
/// The supervisor does not answer.
pub async fn named(engine: &Engine) -> Result<Vec<Named>> {
    let mut by_id: BTreeMap<String, Named> = BTreeMap::new();
    for (record, image) in engine.images.all(engine).await? {
        let entry = by_id.entry(image.id.clone()).or_insert_with(|| Named {
            image: image.clone(),
            tags: Vec::new(),
            digests: Vec::new(),
            parent: super::resolve::parent_of(&record),
            records: Vec::new(),
            target: record.target.as_ref().map(super::manifests::descriptor_of).unwrap_or_default(),
        });
        entry.records.push(record.name.clone());
        if record.name.starts_with(DANGLING) {
            continue;
        }
        if let Ok(name) = Reference::parse_normalized(&record.name) {
            if name.tag().is_some() && name.digest().is_none() {
                entry.tags.push(name.familiar());
            }
            let digest = format!("{}@{}", name.familiar_name(), image.target);
            if !entry.digests.contains(&digest) {
                entry.digests.push(digest);
            }
        }
    }
    Ok(by_id.into_values().collect())
}

/// `GET /images/json`, newest first.
///
/// # Errors
/// A filter's value is malformed or names what is not there.
pub async fn list(engine: &Arc<Engine>, filters: &Filters, wish: Wish) -> Result<Vec<ImageSummary>> {
    let before = created_of(engine, filters, "before").await?;
    let since = created_of(engine, filters, "since").await?;
    let (dangling, until) = (filters.truth("dangling")?, filters.moment("until")?);
    let mut rows = Vec::new();
    let all = named(engine).await?;
    let shared = if wish.shared_size { shared_layers(&all) } else { HashSet::new() };
    for mut named in all {
        let image = &named.image;
        let labels = image.config.labels.clone().unwrap_or_default();
        let at = created(image);
        let passes = dangling.is_none_or(|dangling| dangling == named.tags.is_empty())
            && before.is_none_or(|before| at < before)
            && since.is_none_or(|since| at > since)
            && filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && until.is_none_or(|until| at < until)
            && filters
                .accepts("reference", |pattern| named.tags.iter().any(|tag| matches_reference(pattern, tag)));
        if passes {
            // Who asks for a name sees that name, not the others that the image has too.
            named.tags.retain(|tag| filters.accepts("reference", |pattern| matches_reference(pattern, tag)));
            if filters.values("reference").is_some() {
                // A client prints a row for a digest whose repository has no tag.
                let has_tag =
                    |digest: &String| named.tags.iter().any(|tag| repository(tag) == repository(digest));
                named.digests.retain(has_tag);
            }
            let shared_size = match wish.shared_size {
                true => shared_bytes(engine, &named.image, &shared).await?,
                false => -1,
            };
            let mut row = row(engine, named, at, shared_size).await?;
            if let (true, Some(target)) = (wish.manifests, &row.descriptor) {
                row.manifests = super::manifests::summaries(engine, target).await?;
            }
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    Ok(rows)
}

/// When the image was made that a filter names.
async fn created_of(engine: &Arc<Engine>, filters: &Filters, name: &str) -> Result<Option<Time>> {
    match filters.values(name) {
        Some([typed, ..]) => Ok(Some(created(&*engine.images.find(engine, typed).await?))),
        _ => Ok(None),
    }
}

/// Snapshots that more than one image stands on.
fn shared_layers(all: &[Named]) -> HashSet<String> {
    let mut seen = HashSet::new();
    let chains = all.iter().flat_map(|named| chain_ids(&named.image));
    chains.filter(|chain_id| !seen.insert(chain_id.clone())).collect()
}

/// The snapshots that an image stands on, the lowest first.
pub fn chain_ids(image: &Image) -> impl Iterator<Item = String> {
    let diff_ids = &image.document.rootfs.diff_ids;
    (1..=diff_ids.len()).map(|count| super::chain_id(&diff_ids[..count]))
}

/// Bytes of all images' layers, each layer once.
///
/// # Errors
/// The supervisor does not answer.
pub async fn layers_size(engine: &Engine) -> Result<i64> {
    let chains: HashSet<String> =
        named(engine).await?.iter().flat_map(|named| chain_ids(&named.image)).collect();
    let mut bytes = 0;
    for chain_id in chains {
        bytes += super::usage(engine, &chain_id).await?;
    }
    Ok(bytes)
}

async fn shared_bytes(engine: &Engine, image: &Image, shared: &HashSet<String>) -> Result<i64> {
    let mut bytes = 0;
    let mine: Vec<String> = chain_ids(image).filter(|chain_id| shared.contains(chain_id)).collect();
    for chain_id in mine {
        bytes += super::usage(engine, &chain_id).await?;
    }
    Ok(bytes)
}

async fn row(engine: &Engine, named: Named, at: Time, shared_size: i64) -> Result<ImageSummary> {
    let size = engine.images.size_of_chain(engine, &named.image.chain_id).await?;
    Ok(ImageSummary {
        containers: -1,
        created: at.seconds(),
        id: named.image.id.clone(),
        parent_id: named.parent,
        labels: named.image.config.labels.clone(),
        repo_digests: Some(named.digests),
        repo_tags: Some(named.tags),
        shared_size,
        descriptor: Some(named.target),
        size,
        virtual_size: size,
        ..ImageSummary::default()
    })
}

/// When an image was made, as its config says.
pub fn created(image: &Image) -> Time {
    image.document.created.as_deref().and_then(Time::parse).unwrap_or_default()
}

/// The name without tag or digest.
fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

/// Whether a pattern with `*` and `?` covers `name:tag`, its name, or the name's last part.
pub fn matches_reference(pattern: &str, tag: &str) -> bool {
    let name = repository(tag);
    glob(pattern.as_bytes(), tag.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

/// `*` and `?` within one path component, as Go's path.Match.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            glob(&pattern[1..], text)
                || text.first().is_some_and(|byte| *byte != b'/' && glob(pattern, &text[1..]))
        }
        (Some(b'?'), Some(byte)) if *byte != b'/' => glob(&pattern[1..], &text[1..]),
        (Some(wanted), Some(byte)) if wanted == byte => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_names_and_tags() {
        for (pattern, tag) in [
            ("busybox", "busybox:latest"),
            ("busy*", "busybox:1"),
            ("*:1", "busybox:1"),
            ("a.b/c/*", "a.b/c/d:1"),
            ("localhost:5000/x", "localhost:5000/x:2"),
        ] {
            assert!(matches_reference(pattern, tag), "{pattern}");
        }
        for (pattern, tag) in [("busy", "busybox:latest"), ("*", "a/b:1"), ("busybox:2", "busybox:1")] {
            assert!(!matches_reference(pattern, tag), "{pattern}");
        }
    }
}
