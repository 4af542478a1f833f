//! Image records.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::mask;
use crate::row::{Key, Resource, Row};
use containerd_api::Timestamp;
use containerd_api::services::images::v1::{Image, ImageCreate, ImageDelete, ImageUpdate};
use containerd_api::types::Descriptor;
use content::Digest;
use errdefs::{Error, Result};
use filters::{Adaptor, Filters, map_field};
use std::borrow::Cow;

/// The images of a namespace.
#[derive(Clone)]
pub struct Images(pub(crate) Namespace);

struct Fields<'a>(&'a Image);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let target = self.0.target.as_ref();
        match path {
            ["name"] => Some(Cow::Borrowed(&self.0.name)),
            ["target", "digest"] => target.map(|target| Cow::Borrowed(target.digest.as_str())),
            ["target", "mediatype"] => target.map(|target| Cow::Borrowed(target.media_type.as_str())),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            ["annotations", key @ ..] => map_field(&target?.annotations, key),
            _ => None,
        }
    }
}

fn validate(image: &Image) -> Result<()> {
    if image.name.is_empty() {
        return Err(Error::invalid_argument("image name must not be empty"));
    }
    validate_labels("image.Labels", &image.labels)?;
    let target = image.target.as_ref().map_or_else(Descriptor::default, Clone::clone);
    Digest::parse(&target.digest).map_err(|cause| {
        Error::invalid_argument(format!("Target.Digest {:?} invalid", target.digest)).with_source(cause)
    })?;
    if target.size <= 0 {
        return Err(Error::invalid_argument("Target.Size must be greater than zero"));
    }
    if target.media_type.is_empty() {
        return Err(Error::invalid_argument("Target.MediaType must be set"));
    }
    Ok(())
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("image {name:?}"))
}

impl Images {
    /// By exact name. NotFound.
    pub fn get(&self, name: &str) -> Result<Image> {
        let state = self.0.core().read();
        let found = state.namespace(&self.0.name).and_then(|namespace| namespace.images.get(name));
        found.cloned().ok_or_else(|| missing(name))
    }

    /// Those that match one of the filters, by name.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Image>> {
        let filters = Filters::parse(filters)?;
        let state = self.0.core().read();
        let all = state.namespace(&self.0.name).into_iter().flat_map(|records| records.images.values());
        Ok(all.filter(|image| filters.matches(&Fields(image))).cloned().collect())
    }

    /// Stores a record; `epoch` sets its times. AlreadyExists, InvalidArgument.
    pub fn create(&self, mut image: Image, epoch: Option<Timestamp>) -> Result<Image> {
        mask::drop_empty(&mut image.labels);
        validate(&image)?;
        image.created_at = Some(epoch.unwrap_or_else(now));
        image.updated_at = image.created_at;
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            if namespace.is_some_and(|namespace| namespace.images.contains_key(&image.name)) {
                return Err(Error::already_exists(format!("image {:?}", image.name)));
            }
            changes.ensure_namespace(state, &self.0.name);
            let held = Resource::Image(image.name.clone());
            changes.hold(&self.0.name, namespace, self.0.lease(), held)?;
            let event = ImageCreate { name: image.name.clone(), labels: image.labels.clone() };
            changes.event(&self.0.name, "/images/create", &event);
            changes.put(Row::Image(self.0.key(), image.clone()));
            Ok(())
        })?;
        Ok(image)
    }

    /// Changes the fields that `paths` name (`labels`, `labels.K`, `target`, `annotations`, `annotations.K`);
    /// none means labels and target.
    pub fn update(&self, image: Image, paths: &[String], epoch: Option<Timestamp>) -> Result<Image> {
        if image.name.is_empty() {
            return Err(Error::invalid_argument("image name is required for update"));
        }
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            let stored = namespace.and_then(|namespace| namespace.images.get(&image.name));
            let mut updated = stored.cloned().ok_or_else(|| missing(&image.name))?;
            if paths.is_empty() {
                updated.labels = image.labels.clone();
                updated.target = image.target.clone();
            }
            for path in paths {
                set(&mut updated, &image, path)?;
            }
            mask::drop_empty(&mut updated.labels);
            validate(&updated)?;
            updated.updated_at = Some(epoch.unwrap_or_else(now));
            let held = Resource::Image(image.name.clone());
            changes.hold(&self.0.name, namespace, self.0.lease(), held)?;
            let event = ImageUpdate { name: updated.name.clone(), labels: updated.labels.clone() };
            changes.event(&self.0.name, "/images/update", &event);
            changes.put(Row::Image(self.0.key(), updated.clone()));
            Ok(updated)
        })
    }

    /// Creates the record or moves the name to this target and these labels.
    pub fn create_or_update(&self, image: Image) -> Result<Image> {
        loop {
            match self.create(image.clone(), None) {
                Err(error) if error.kind() == errdefs::Kind::AlreadyExists => {}
                outcome => return outcome,
            }
            match self.update(image.clone(), &[], None) {
                // Deleted in between: create it after all.
                Err(error) if error.kind() == errdefs::Kind::NotFound => {}
                outcome => return outcome,
            }
        }
    }

    /// Forgets the record; with `target` only if it still points there. `sync` collects before returning.
    pub fn delete(&self, name: &str, target: Option<&Descriptor>, sync: bool) -> Result<()> {
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name).ok_or_else(|| missing(name))?;
            let stored = namespace.images.get(name).ok_or_else(|| missing(name))?;
            let points_at = stored.target.as_ref().map_or("", |target| &target.digest);
            if let Some(target) = target.filter(|target| target.digest != points_at) {
                return Err(Error::not_found(format!(
                    "image {name} has target {points_at}, not {}",
                    target.digest
                )));
            }
            changes.release(&self.0.name, namespace, &Resource::Image(name.to_owned()));
            changes.event(&self.0.name, "/images/delete", &ImageDelete { name: name.to_owned() });
            changes.remove(Key::Image(self.0.key(), name.to_owned()));
            Ok(())
        })?;
        if sync {
            self.0.db.collect()?;
        }
        Ok(())
    }
}

fn set(target: &mut Image, source: &Image, path: &str) -> Result<()> {
    if let Some(key) = path.strip_prefix("labels.") {
        mask::copy_entry(&mut target.labels, &source.labels, key);
        return Ok(());
    }
    let annotations =
        |image: &Image| image.target.as_ref().map(|target| target.annotations.clone()).unwrap_or_default();
    if let Some(key) = path.strip_prefix("annotations.") {
        let source = annotations(source);
        mask::copy_entry(&mut target.target.get_or_insert_default().annotations, &source, key);
        return Ok(());
    }
    match path {
        "labels" => target.labels = source.labels.clone(),
        // The target is one unit, but its annotations are changed by their own path.
        "target" => target.target = source.target.clone(),
        "annotations" => target.target.get_or_insert_default().annotations = annotations(source),
        _ => return Err(mask::refused(path, &format!("image {:?}", target.name))),
    }
    Ok(())
}
