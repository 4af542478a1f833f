//! The labels that keep an image's blobs alive and say where they came from.

use std::collections::HashMap;

use containerd_api::services::content::v1::Info;
use errdefs::Result;
use metadata::Content;
use reference::{Digest, Reference};

use crate::media_type::{is_config, is_layer, is_manifest};
use crate::spec::Descriptor;

/// On a compressed layer: the digest of the plain one.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
const CONTENT: &str = "containerd.io/gc.ref.content";
const SOURCE: &str = "containerd.io/distribution.source";

/// The labels by which a document refers to its children.
pub fn of_children(children: &[Descriptor]) -> HashMap<String, String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut labels = HashMap::new();
    for child in children {
        let infix = match child.media_type.as_str() {
            media_type if is_config(media_type) => "config",
            media_type if is_manifest(media_type) => "m.",
            media_type if is_layer(media_type) => "l.",
            _ => "",
        };
        let count = counts.entry(infix).or_default();
        let key = match (infix, *count) {
            ("config", 0) => format!("{CONTENT}.config"),
            (infix, count) => format!("{CONTENT}.{infix}{count}"),
        };
        *count += 1;
        labels.insert(key, child.digest.to_string());
    }
    labels
}

/// Adds labels to a blob; others stay.
///
/// # Errors
/// NotFound: there is no such blob.
pub fn add(content: &Content, digest: &Digest, labels: HashMap<String, String>) -> Result<()> {
    if labels.is_empty() {
        return Ok(());
    }
    let paths: Vec<String> = labels.keys().map(|key| format!("labels.{key}")).collect();
    content.update(&Info { digest: digest.to_string(), labels, ..Info::default() }, &paths)?;
    Ok(())
}

/// Marks the config of an unpacked image with its top snapshot.
pub fn snapshot(snapshotter: &str, chain_id: &Digest) -> HashMap<String, String> {
    HashMap::from([(format!("{CONTENT_SNAPSHOT}.{snapshotter}"), chain_id.to_string())])
}
const CONTENT_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot";

/// Where a blob came from, for cross-repository mounts.
pub fn source(reference: &Reference) -> (String, String) {
    (format!("{SOURCE}.{}", reference.domain()), reference.path().to_owned())
}

/// Notes another repository of a registry that has the blob.
///
/// # Errors
/// NotFound: there is no such blob.
pub fn add_source(content: &Content, digest: &Digest, reference: &Reference) -> Result<()> {
    let (key, repository) = source(reference);
    let known = content.info(digest)?.labels.remove(&key).unwrap_or_default();
    let mut repositories: Vec<&str> = known.split(',').filter(|known| !known.is_empty()).collect();
    if repositories.contains(&repository.as_str()) {
        return Ok(());
    }
    repositories.push(&repository);
    repositories.sort_unstable();
    let value = repositories.join(",");
    // A label holds 4 KiB in all; the mount is an optimisation.
    if key.len() + value.len() > 4096 {
        return Ok(());
    }
    add(content, digest, HashMap::from([(key, value)]))
}

/// Repositories of the reference's registry that have the blob.
pub fn sources(content: &Content, digest: &Digest, reference: &Reference) -> Vec<String> {
    let (key, _) = source(reference);
    let known = content.info(digest).ok().and_then(|mut info| info.labels.remove(&key)).unwrap_or_default();
    known.split(',').filter(|known| !known.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::{DOCKER_LAYER_GZIP, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

    #[test]
    fn children_are_numbered_by_kind() {
        let digest = |n: u8| Digest::parse(&format!("sha256:{}", format!("{n:02x}").repeat(32))).unwrap();
        let types = [OCI_CONFIG, OCI_LAYER, DOCKER_LAYER_GZIP, OCI_MANIFEST, "application/x"];
        let children: Vec<_> =
            types.iter().zip(0..).map(|(media_type, n)| Descriptor::new(media_type, digest(n), 1)).collect();
        let labels = of_children(&children);
        let mut keys: Vec<_> =
            labels.keys().map(|key| key.strip_prefix("containerd.io/gc.ref.content.").unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["0", "config", "l.0", "l.1", "m.0"]);
    }
}
