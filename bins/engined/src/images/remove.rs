//! Taking names away, and the image with the last one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use containerd_api::services::images::v1::DeleteImageRequest;
use engine_api::image::ImageDeleted;
use errdefs::{Error, Result};
use reference::{AnyReference, Reference};

use super::list::{Named, named};
use super::resolve::DANGLING;
use crate::engine::Engine;
use crate::identity::short;
use crate::supervisor::failed;

/// Removes a name, or all names of an image that is meant by its identifier.
///
/// # Errors
/// The image is not there, or a container uses it.
pub async fn remove(engine: &Arc<Engine>, typed: &str, is_forced: bool) -> Result<Vec<ImageDeleted>> {
    let (record, image) = engine.images.find_record(engine, typed).await?;
    let all = named(engine).await?;
    let Some(whole) = all.into_iter().find(|named| named.image.id == image.id) else { return Ok(Vec::new()) };
    let is_by_name = matches!(AnyReference::parse(typed), Ok(AnyReference::Named(_)))
        && Reference::parse_normalized(&record.name).is_ok_and(|name| {
            name.familiar().starts_with(typed.split(['@']).next().unwrap_or(typed))
                || name.canonical().starts_with(typed)
        });
    let is_other_name = |name: &&String| **name != record.name && !name.starts_with(DANGLING);
    let is_last = !is_by_name || !whole.records.iter().any(|name| is_other_name(&name));
    // What keeps it without a name goes with its last name.
    let records = if is_last { whole.records.clone() } else { vec![record.name.clone()] };
    if !is_by_name && whole.tags.len() > 1 && !is_forced {
        return Err(Error::failed_precondition(format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            short(image.id.trim_start_matches("sha256:"))
        )));
    }
    if is_last && is_by_name && is_forced && is_used_live(engine, &whole) {
        // The name can be had; what a running container stands on stays without one.
        super::displaced::without_name(engine, &record).await?;
        return delete(engine, &whole, &[record.name], false).await;
    }
    if is_last {
        refuse_if_used(engine, &whole, is_by_name.then_some(typed), is_forced)?;
    }
    delete(engine, &whole, &records, is_last).await
}

fn is_used_live(engine: &Engine, whole: &Named) -> bool {
    engine.containers.all().iter().any(|container| {
        let record = container.record();
        record.image_id == whole.image.id && record.state.phase.is_live()
    })
}

/// A container that uses the image keeps it: a running one always, a stopped one unless forced.
fn refuse_if_used(engine: &Engine, whole: &Named, name: Option<&str>, is_forced: bool) -> Result<()> {
    for container in engine.containers.all() {
        let record = container.record();
        if record.image_id != whole.image.id {
            continue;
        }
        let shown = short(&record.id);
        let image = short(whole.image.id.trim_start_matches("sha256:"));
        let why = match (name, record.state.phase.is_live()) {
            (Some(name), _) if !is_forced => format!(
                "unable to remove repository reference \"{name}\" (must force) - container {shown} is using its referenced image {image}"
            ),
            (_, true) => format!(
                "unable to delete {image} (cannot be forced) - image is being used by running container {shown}"
            ),
            (None, false) if !is_forced => format!(
                "unable to delete {image} (must be forced) - image is being used by stopped container {shown}"
            ),
            _ => continue,
        };
        return Err(Error::failed_precondition(format!("conflict: {why}")));
    }
    Ok(())
}

/// Layers that other images, or containers, stand on.
async fn chains_in_use(engine: &Engine, id: &str) -> Result<HashSet<String>> {
    let all = engine.images.all(engine).await?;
    let others = all.iter().filter(|(_, image)| image.id != id);
    let mut chains: HashSet<String> =
        others.flat_map(|(_, image)| super::list::chain_ids(image).collect::<Vec<_>>()).collect();
    if engine.containers.all().iter().any(|container| container.record().image_id == id) {
        let own = all.iter().filter(|(_, image)| image.id == id);
        chains.extend(own.flat_map(|(_, image)| super::list::chain_ids(image).collect::<Vec<_>>()));
    }
    Ok(chains)
}

/// Deletes records, and tells Docker's rows.
///
/// # Errors
/// The supervisor refuses.
pub async fn delete(
    engine: &Arc<Engine>,
    whole: &Named,
    records: &[String],
    is_last: bool,
) -> Result<Vec<ImageDeleted>> {
    let mut rows = Vec::new();
    let image = &whole.image;
    let kept = if is_last { chains_in_use(engine, &image.id).await? } else { HashSet::new() };
    for (at, name) in records.iter().enumerate() {
        // The last deletion waits for the collector, so that the space is free when we answer.
        let sync = is_last && at + 1 == records.len();
        let request = DeleteImageRequest { name: name.clone(), sync, ..DeleteImageRequest::default() };
        let removed = engine.supervisor.images().delete(request).await;
        engine.images.stored.changed();
        removed.map_err(failed(format!("remove image {name}")))?;
        if !name.starts_with(DANGLING)
            && let Ok(name) = Reference::parse_normalized(name)
        {
            rows.push(ImageDeleted { untagged: name.familiar(), ..ImageDeleted::default() });
            engine.events.tell(
                "image",
                "untag",
                &image.id,
                BTreeMap::from([("name".to_owned(), name.familiar())]),
            );
        }
    }
    if is_last {
        rows.extend(
            whole
                .digests
                .iter()
                .map(|digest| ImageDeleted { untagged: digest.clone(), ..ImageDeleted::default() }),
        );
        rows.push(ImageDeleted { deleted: image.id.clone(), ..ImageDeleted::default() });
        let chains: Vec<String> = super::list::chain_ids(image).collect();
        for chain_id in chains.into_iter().rev().filter(|chain_id| !kept.contains(chain_id)) {
            rows.push(ImageDeleted { deleted: chain_id, ..ImageDeleted::default() });
        }
        engine.images.forget(&image.target);
        engine.events.tell(
            "image",
            "delete",
            &image.id,
            BTreeMap::from([("name".to_owned(), image.id.clone())]),
        );
    }
    Ok(rows)
}
