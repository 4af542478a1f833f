//! Container records.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::mask;
use crate::row::{Key, Row};
use crate::validate_identifier;
use containerd_api::events::{ContainerCreate, ContainerDelete, ContainerUpdate, container_create};
use containerd_api::services::containers::v1::Container;
use errdefs::{Error, Result};
use filters::{Adaptor, Filters, map_field};
use std::borrow::Cow;

/// What an update without paths changes.
const ALL: [&str; 5] = ["labels", "spec", "extensions", "image", "snapshotkey"];

/// The containers of a namespace.
#[derive(Clone)]
pub struct Containers(pub(crate) Namespace);

struct Fields<'a>(&'a Container);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id"] => Some(Cow::Borrowed(&self.0.id)),
            ["runtime", "name"] => Some(Cow::Borrowed(runtime_name(self.0))),
            ["image"] => Some(Cow::Borrowed(&self.0.image)),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            _ => None,
        }
    }
}

fn runtime_name(container: &Container) -> &str {
    container.runtime.as_ref().map_or("", |runtime| &runtime.name)
}

fn validate(container: &Container) -> Result<()> {
    validate_identifier(&container.id)
        .map_err(|cause| Error::invalid_argument("container.ID").with_source(cause))?;
    if container.extensions.contains_key("") {
        return Err(Error::invalid_argument("container.Extension keys must not be empty"));
    }
    validate_labels("containers.Labels", &container.labels)?;
    if runtime_name(container).is_empty() {
        return Err(Error::invalid_argument("container.Runtime.Name must be set"));
    }
    if container.spec.is_none() {
        return Err(Error::invalid_argument("container.Spec must be set"));
    }
    if !container.snapshot_key.is_empty() && container.snapshotter.is_empty() {
        return Err(Error::invalid_argument(
            "container.Snapshotter must be set if container.SnapshotKey is set",
        ));
    }
    Ok(())
}

impl Containers {
    fn missing(&self, id: &str) -> Error {
        Error::not_found(format!("container {id:?} in namespace {:?}", &*self.0.name))
    }

    /// One record. NotFound.
    pub fn get(&self, id: &str) -> Result<Container> {
        let state = self.0.core().read();
        let found = state.namespace(&self.0.name).and_then(|namespace| namespace.containers.get(id));
        found.cloned().ok_or_else(|| self.missing(id))
    }

    /// Those that match one of the filters, by id. InvalidArgument for a bad filter.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Container>> {
        let filters = Filters::parse(filters)?;
        let state = self.0.core().read();
        let all = state.namespace(&self.0.name).into_iter().flat_map(|records| records.containers.values());
        Ok(all.filter(|container| filters.matches(&Fields(container))).cloned().collect())
    }

    /// Stores a record; times are set here. AlreadyExists, InvalidArgument.
    pub fn create(&self, mut container: Container) -> Result<Container> {
        mask::drop_empty(&mut container.labels);
        validate(&container).map_err(|cause| {
            Error::invalid_argument("create container failed validation").with_source(cause)
        })?;
        container.created_at = Some(now());
        container.updated_at = container.created_at;
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            if namespace.is_some_and(|namespace| namespace.containers.contains_key(&container.id)) {
                return Err(Error::already_exists(format!("container {:?}", container.id)));
            }
            changes.ensure_namespace(state, &self.0.name);
            let runtime = container.runtime.clone().unwrap_or_default();
            let event = ContainerCreate {
                id: container.id.clone(),
                image: container.image.clone(),
                runtime: Some(container_create::Runtime { name: runtime.name, options: runtime.options }),
            };
            changes.event(&self.0.name, "/containers/create", &event);
            changes.put(Row::Container(self.0.key(), container.clone()));
            Ok(())
        })?;
        Ok(container)
    }

    /// Changes the fields that `paths` name (`labels`, `labels.K`, `spec`, `extensions`, `extensions.K`, `image`,
    /// `snapshotkey`); none means all of them, and then runtime and snapshotter may not differ.
    pub fn update(&self, container: Container, paths: &[String]) -> Result<Container> {
        if container.id.is_empty() {
            return Err(Error::invalid_argument("must specify a container id"));
        }
        self.0.core().change(|state, changes| {
            let stored =
                state.namespace(&self.0.name).and_then(|namespace| namespace.containers.get(&container.id));
            let mut updated = stored.cloned().ok_or_else(|| self.missing(&container.id))?;
            if paths.is_empty() {
                if updated.snapshotter != container.snapshotter {
                    return Err(Error::invalid_argument("container.Snapshotter field is immutable"));
                }
                if runtime_name(&updated) != runtime_name(&container) {
                    return Err(Error::invalid_argument("container.Runtime.Name field is immutable"));
                }
                for path in ALL {
                    set(&mut updated, &container, path)?;
                }
            }
            for path in paths {
                set(&mut updated, &container, path)?;
            }
            mask::drop_empty(&mut updated.labels);
            validate(&updated)
                .map_err(|cause| Error::invalid_argument("update failed validation").with_source(cause))?;
            updated.updated_at = Some(now());
            let event = ContainerUpdate {
                id: updated.id.clone(),
                image: updated.image.clone(),
                labels: updated.labels.clone(),
                snapshot_key: updated.snapshot_key.clone(),
            };
            changes.event(&self.0.name, "/containers/update", &event);
            changes.put(Row::Container(self.0.key(), updated.clone()));
            Ok(updated)
        })
    }

    /// Forgets the record. NotFound.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.0.core().change(|state, changes| {
            let namespace = state.namespace(&self.0.name);
            if !namespace.is_some_and(|namespace| namespace.containers.contains_key(id)) {
                return Err(self.missing(id));
            }
            changes.event(&self.0.name, "/containers/delete", &ContainerDelete { id: id.to_owned() });
            changes.remove(Key::Container(self.0.key(), id.to_owned()));
            Ok(())
        })
    }
}

fn set(target: &mut Container, source: &Container, path: &str) -> Result<()> {
    if let Some(key) = path.strip_prefix("labels.") {
        mask::copy_entry(&mut target.labels, &source.labels, key);
        return Ok(());
    }
    if let Some(key) = path.strip_prefix("extensions.") {
        mask::copy_entry(&mut target.extensions, &source.extensions, key);
        return Ok(());
    }
    match path {
        "labels" => target.labels = source.labels.clone(),
        "spec" => target.spec = source.spec.clone(),
        "extensions" => target.extensions = source.extensions.clone(),
        "image" => target.image = source.image.clone(),
        "snapshotkey" => target.snapshot_key = source.snapshot_key.clone(),
        _ => return Err(mask::refused(path, &format!("{:?}", target.id))),
    }
    Ok(())
}
