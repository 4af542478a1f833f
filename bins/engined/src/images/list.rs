//! Rows of images.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_api::image::ImageSummary;
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
    /// Names of its records in the store.
    pub records: Vec<String>,
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
            records: Vec::new(),
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
pub async fn list(engine: &Arc<Engine>, filters: &Filters) -> Result<Vec<ImageSummary>> {
    let created_of = async |name: &str| -> Result<Option<Time>> {
        let Some([typed, ..]) = filters.values(name) else { return Ok(None) };
        Ok(Some(created(&*engine.images.find(engine, typed).await?)))
    };
    let (before, since) = (created_of("before").await?, created_of("since").await?);
    let dangling = filters.truth("dangling")?;
    let mut rows = Vec::new();
    for mut named in named(engine).await? {
        let image = &named.image;
        let labels = image.config.labels.clone().unwrap_or_default();
        let at = created(image);
        let passes = dangling.is_none_or(|dangling| dangling == named.tags.is_empty())
            && before.is_none_or(|before| at < before)
            && since.is_none_or(|since| at > since)
            && filters.labels("label", &labels)
            && filters.without_labels(&labels)
            && filters.accepts("until", |text| Time::parse(text).is_none_or(|until| at < until))
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
            rows.push(row(engine, named, at).await?);
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    Ok(rows)
}

async fn row(engine: &Engine, named: Named, at: Time) -> Result<ImageSummary> {
    let size = engine.images.size_of_chain(engine, &named.image.chain_id).await?;
    Ok(ImageSummary {
        containers: -1,
        created: at.seconds(),
        id: named.image.id.clone(),
        labels: named.image.config.labels.clone(),
        repo_digests: Some(named.digests),
        repo_tags: Some(named.tags),
        shared_size: -1,
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
