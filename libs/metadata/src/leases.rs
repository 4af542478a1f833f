//! Leases: roots of garbage collection that a client holds.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::row::{self, Key, Row};
use crate::state::{LeaseState, NamespaceState};
use crate::{Labels, mask};
use containerd_api::services::leases::v1::{Lease, Resource};
use content::Digest;
use errdefs::{Error, Result};
use filters::{Adaptor, Filters, map_field};
use std::borrow::Cow;

/// The leases of a namespace.
#[derive(Clone)]
pub struct Leases(pub(crate) Namespace);

struct Fields<'a>(&'a Lease);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id"] => Some(Cow::Borrowed(&self.0.id)),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            _ => None,
        }
    }
}

fn find<'a>(records: Option<&'a NamespaceState>, id: &str) -> Result<&'a LeaseState> {
    let found = records.and_then(|records| records.leases.get(id));
    found.ok_or_else(|| Error::not_found(format!("lease {id:?}")))
}

fn parse(resource: &Resource) -> Result<row::Resource> {
    let id = resource.id.clone();
    let (kind, rest) = match resource.r#type.split_once('/') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (resource.r#type.as_str(), None),
    };
    let refused = |what: &str| Error::invalid_argument(format!("invalid {what} type {}", resource.r#type));
    match (kind, rest) {
        ("content", None) => {
            Digest::parse(&id).map_err(|cause| {
                Error::invalid_argument(format!("invalid content resource id {id}")).with_source(cause)
            })?;
            Ok(row::Resource::Content(id))
        }
        ("ingests", None) => Ok(row::Resource::Ingest(id)),
        ("images", None) => Ok(row::Resource::Image(id)),
        ("content" | "ingests" | "images", Some(_)) => Err(refused("resource")),
        ("snapshots", Some(snapshotter)) if !snapshotter.is_empty() && !snapshotter.contains('/') => {
            Ok(row::Resource::Snapshot(snapshotter.to_owned(), id))
        }
        ("snapshots", _) => Err(refused("snapshot resource")),
        _ => Err(Error::unimplemented(format!("resource type {} not supported yet", resource.r#type))),
    }
}

impl Leases {
    /// Makes a lease; an empty id is chosen here. Label `containerd.io/gc.expire` (RFC 3339) ends it.
    pub fn create(&self, id: &str, mut labels: Labels) -> Result<Lease> {
        mask::drop_empty(&mut labels);
        validate_labels("lease.Labels", &labels)?;
        let id = if id.is_empty() { random_id()? } else { id.to_owned() };
        let lease = Lease { id, created_at: Some(now()), labels };
        self.0.core().change(|state, changes| {
            let records = state.namespace(&self.0.name);
            if find(records, &lease.id).is_ok() {
                return Err(Error::already_exists(format!("lease {:?}", lease.id)));
            }
            changes.ensure_namespace(state, &self.0.name);
            changes.put(Row::Lease(self.0.key(), lease.clone()));
            Ok(())
        })?;
        Ok(lease)
    }

    /// Ends a lease; `sync` collects before returning. NotFound.
    pub fn delete(&self, id: &str, sync: bool) -> Result<()> {
        self.0.core().change(|state, changes| {
            let lease = find(state.namespace(&self.0.name), id)?;
            for resource in &lease.held {
                changes.forget(Key::Held(self.0.key(), id.to_owned(), resource.clone()));
            }
            changes.remove(Key::Lease(self.0.key(), id.to_owned()));
            Ok(())
        })?;
        if sync {
            self.0.db.collect()?;
        }
        Ok(())
    }

    /// Those that match one of the filters, by id.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Lease>> {
        let filters = Filters::parse(filters)?;
        let state = self.0.core().read();
        let leases = state.namespace(&self.0.name).into_iter().flat_map(|records| records.leases.values());
        Ok(leases
            .map(|state| &state.lease)
            .filter(|lease| filters.matches(&Fields(lease)))
            .cloned()
            .collect())
    }

    /// Adds a resource of type `content`, `ingests`, `images` or `snapshots/NAME`.
    pub fn add_resource(&self, id: &str, resource: &Resource) -> Result<()> {
        self.0.core().change(|state, changes| {
            find(state.namespace(&self.0.name), id)?;
            changes.put(Row::Held(self.0.key(), id.to_owned(), parse(resource)?));
            Ok(())
        })
    }

    /// Takes a resource away; one that the lease does not hold is no error.
    pub fn delete_resource(&self, id: &str, resource: &Resource) -> Result<()> {
        self.0.core().change(|state, changes| {
            let lease = find(state.namespace(&self.0.name), id)?;
            let resource = parse(resource)?;
            if lease.held.contains(&resource) {
                changes.remove(Key::Held(self.0.key(), id.to_owned(), resource));
            }
            Ok(())
        })
    }

    /// What a lease holds.
    pub fn resources(&self, id: &str) -> Result<Vec<Resource>> {
        let state = self.0.core().read();
        let lease = find(state.namespace(&self.0.name), id)?;
        let words = lease.held.iter().map(row::Resource::words);
        Ok(words.map(|(r#type, id)| Resource { id, r#type }).collect())
    }
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::internal("cannot choose a lease id").with_source(cause))?;
    Ok(hex::encode(bytes))
}
