//! Sandbox records.

use crate::database::Namespace;
use crate::labels::{now, validate_labels};
use crate::row::{Key, Row};
use crate::state::NamespaceState;
use crate::{mask, validate_identifier};
use containerd_api::types::Sandbox;
use errdefs::{Error, Result};
use filters::{Adaptor, Filters, map_field};
use std::borrow::Cow;

/// What an update without paths changes.
const ALL: [&str; 4] = ["labels", "extensions", "runtime", "spec"];

/// The sandboxes of a namespace.
#[derive(Clone)]
pub struct Sandboxes(pub(crate) Namespace);

struct Fields<'a>(&'a Sandbox);

impl Adaptor for Fields<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id"] => Some(Cow::Borrowed(&self.0.sandbox_id)),
            ["labels", key @ ..] => map_field(&self.0.labels, key),
            _ => None,
        }
    }
}

fn runtime_name(sandbox: &Sandbox) -> &str {
    sandbox.runtime.as_ref().map_or("", |runtime| &runtime.name)
}

fn find<'a>(records: Option<&'a NamespaceState>, id: &str) -> Result<&'a Sandbox> {
    let records = records.filter(|records| !records.sandboxes.is_empty());
    let records = records.ok_or_else(|| Error::not_found("no sandbox buckets"))?;
    // The text has the class's words in its middle, as clients know it.
    records.sandboxes.get(id).ok_or_else(|| Error::not_found(format!("bucket {id:?} not found")))
}

impl Sandboxes {
    /// One record. NotFound.
    pub fn get(&self, id: &str) -> Result<Sandbox> {
        find(self.0.core().read().namespace(&self.0.name), id).cloned()
    }

    /// Those that match one of the filters (`id`, `labels.K`), by id.
    pub fn list(&self, filters: &[String]) -> Result<Vec<Sandbox>> {
        let filters = Filters::parse(filters)?;
        let state = self.0.core().read();
        let all = state.namespace(&self.0.name).into_iter().flat_map(|records| records.sandboxes.values());
        Ok(all.filter(|sandbox| filters.matches(&Fields(sandbox))).cloned().collect())
    }

    /// Stores a record. AlreadyExists, InvalidArgument.
    pub fn create(&self, mut sandbox: Sandbox) -> Result<Sandbox> {
        let invalid = |cause: Error| Error::invalid_argument("failed to validate sandbox").with_source(cause);
        validate_identifier(&sandbox.sandbox_id)
            .map_err(|cause| invalid(Error::invalid_argument("invalid sandbox ID").with_source(cause)))?;
        mask::drop_empty(&mut sandbox.labels);
        validate_labels("sandbox.Labels", &sandbox.labels).map_err(invalid)?;
        sandbox.created_at = Some(now());
        sandbox.updated_at = sandbox.created_at;
        self.0.core().change(|state, changes| {
            let records = state.namespace(&self.0.name);
            if records.is_some_and(|records| records.sandboxes.contains_key(&sandbox.sandbox_id)) {
                return Err(Error::already_exists(format!(
                    "sandbox bucket {:?} already exists",
                    sandbox.sandbox_id
                )));
            }
            changes.ensure_namespace(state, &self.0.name);
            changes.put(Row::Sandbox(self.0.key(), sandbox.clone()));
            Ok(())
        })?;
        Ok(sandbox)
    }

    /// Changes `labels(.K)`, `extensions(.K)`, `runtime`, `spec`; none means all, and keeps the runtime's name.
    pub fn update(&self, sandbox: Sandbox, paths: &[String]) -> Result<Sandbox> {
        self.0.core().change(|state, changes| {
            let mut updated = find(state.namespace(&self.0.name), &sandbox.sandbox_id)?.clone();
            if paths.is_empty() {
                if runtime_name(&updated) != runtime_name(&sandbox) {
                    return Err(Error::invalid_argument("sandbox.Runtime.Name field is immutable"));
                }
                for path in ALL {
                    set(&mut updated, &sandbox, path)?;
                }
            }
            for path in paths {
                set(&mut updated, &sandbox, path)?;
            }
            mask::drop_empty(&mut updated.labels);
            validate_labels("sandbox.Labels", &updated.labels)?;
            updated.updated_at = Some(now());
            changes.put(Row::Sandbox(self.0.key(), updated.clone()));
            Ok(updated)
        })
    }

    /// Forgets the record. NotFound.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.0.core().change(|state, changes| {
            find(state.namespace(&self.0.name), id).map_err(|cause| {
                Error::not_found(format!("failed to delete sandbox {id:?}")).with_source(cause)
            })?;
            changes.remove(Key::Sandbox(self.0.key(), id.to_owned()));
            Ok(())
        })
    }
}

fn set(target: &mut Sandbox, source: &Sandbox, path: &str) -> Result<()> {
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
        "extensions" => target.extensions = source.extensions.clone(),
        "runtime" => target.runtime = source.runtime.clone(),
        "spec" => target.spec = source.spec.clone(),
        _ => return Err(mask::refused(path, &format!("sandbox {:?}", target.sandbox_id))),
    }
    Ok(())
}
