//! The records that a transfer leaves: which names, for which target.

use containerd_api::services::images::v1::Image;
use containerd_api::types::transfer::{ImageReference, ImageStore};
use errdefs::{Error, Kind, Result};
use images::Descriptor;
use images::import::{IMAGE_NAME, REF_NAME};
use metadata::Namespace;

/// Names for what was pulled or tagged: the store's own, and its extra references in full.
pub fn names(store: &ImageStore, target: &Descriptor) -> Vec<String> {
    let mut names: Vec<String> = (!store.name.is_empty()).then(|| store.name.clone()).into_iter().collect();
    for extra in &store.extra_references {
        match (extra.is_prefix, extra.add_digest) {
            (_, true) => names.push(format!("{}@{}", extra.name, target.digest)),
            (false, false) => names.push(extra.name.clone()),
            // A prefix alone is no name.
            (true, false) => {}
        }
    }
    names
}

/// Names for one image of an archive, from its annotations by way of the store's prefixes.
pub fn imported_names(store: &ImageStore, target: &Descriptor) -> Vec<String> {
    let mut names = Vec::new();
    for prefix in store.extra_references.iter().filter(|extra| extra.is_prefix) {
        let by_digest = format!("{}@{}", prefix.name, target.digest);
        match annotated(target, prefix) {
            Some(name) => {
                names.push(name);
                if prefix.add_digest && !prefix.skip_named_digest {
                    names.push(by_digest);
                }
            }
            None if prefix.add_digest => names.push(by_digest),
            None => {}
        }
    }
    // Nothing was asked for: the archive's own full names hold.
    if store.name.is_empty() && store.extra_references.is_empty() {
        names.extend(target.annotations.get(IMAGE_NAME).cloned());
    }
    names
}

fn annotated(target: &Descriptor, prefix: &ImageReference) -> Option<String> {
    if let Some(full) = target.annotations.get(IMAGE_NAME).filter(|name| !name.is_empty()) {
        return (translate(full, prefix).as_deref() == Some(full)).then(|| full.clone());
    }
    translate(target.annotations.get(REF_NAME).filter(|name| !name.is_empty())?, prefix)
}

/// A full name stays, when it has the prefix or any may come; a bare tag is the prefix's.
fn translate(name: &str, prefix: &ImageReference) -> Option<String> {
    if prefix.name.is_empty() {
        return None;
    }
    if name.contains(['/', ':', '@']) {
        let has_prefix = name
            .strip_prefix(&prefix.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']));
        return (prefix.allow_overwrite || has_prefix).then(|| name.to_owned());
    }
    Some(format!("{}:{name}", prefix.name))
}

/// Writes the records; a name that is taken moves.
pub fn save(namespace: &Namespace, store: &ImageStore, names: &[String], target: &Descriptor) -> Result<()> {
    for name in names {
        namespace.images().create_or_update(Image {
            name: name.clone(),
            labels: store.labels.clone(),
            target: Some(target.into()),
            ..Image::default()
        })?;
    }
    Ok(())
}

/// The images that a store names as a source.
pub fn lookup(namespace: &Namespace, store: &ImageStore) -> Result<Vec<(String, Descriptor)>> {
    if store.extra_references.iter().any(|extra| extra.is_prefix) {
        return Err(Error::unimplemented("prefix lookup on export"));
    }
    let own = (!store.name.is_empty()).then_some(&store.name);
    let names = own.into_iter().chain(store.extra_references.iter().map(|extra| &extra.name));
    let found = names.map(|name| Ok((name.clone(), target(namespace, name)?))).collect::<Result<Vec<_>>>()?;
    if found.is_empty() { Err(Error::invalid_argument("no image is named")) } else { Ok(found) }
}

/// What an image's record points to.
pub fn target(namespace: &Namespace, name: &str) -> Result<Descriptor> {
    let image = namespace.images().get(name)?;
    let target =
        image.target.ok_or_else(|| Error::new(Kind::DataLoss, format!("image {name:?} has no target")))?;
    Descriptor::try_from(&target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(annotations: &[(&str, &str)]) -> Descriptor {
        let digest = reference::Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
        let mut descriptor = Descriptor::new("", digest, 1);
        descriptor.annotations =
            annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        descriptor
    }

    fn store(prefix: &str, overwrite: bool, digest: bool) -> ImageStore {
        let extra = ImageReference {
            name: prefix.into(),
            is_prefix: true,
            allow_overwrite: overwrite,
            add_digest: digest,
            skip_named_digest: true,
        };
        ImageStore { extra_references: vec![extra], ..ImageStore::default() }
    }

    #[test]
    fn annotations_give_names() {
        let full = image(&[(IMAGE_NAME, "docker.io/library/a:1"), (REF_NAME, "1")]);
        let bare = image(&[(REF_NAME, "1")]);
        let none = image(&[]);
        assert_eq!(imported_names(&store("import", true, true), &full), ["docker.io/library/a:1"]);
        assert!(imported_names(&store("import", false, false), &full).is_empty());
        assert_eq!(
            imported_names(&store("docker.io/library/a", false, false), &full),
            ["docker.io/library/a:1"]
        );
        assert_eq!(imported_names(&store("x/y", false, true), &bare), ["x/y:1"]);
        assert_eq!(imported_names(&store("x", true, true), &none), [format!("x@{}", none.digest)]);
        assert_eq!(imported_names(&ImageStore::default(), &full), ["docker.io/library/a:1"]);
    }
}
