//! `manifest push`.

use std::sync::Arc;

use distribution::{BlobSource, Pushed, Repository, Target, body_of};
use reference::Reference;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::registry::{self, failure};
use super::store::{Entry, Store, list_of};
use super::{INSECURE, named};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["manifest push"],
    usage: "MANIFEST_LIST",
    about: "Push a manifest list to its registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[INSECURE, Flag::bool("purge", "Forget the list when it is pushed").short('p')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let list = named("manifest list", matches.arg(0))?;
    let store = Store::new(session.config.directory());
    let entries = store.entries(&list.canonical())?;
    if entries.is_empty() {
        return Err(Failure::new(format!("{} not found", list.canonical())));
    }
    let (document, media_type) = list_of(&entries)?;
    let target = registry::repository(session, &list, matches.flag("insecure"))?;
    for entry in &entries {
        bring(&target, &list, entry).await?;
    }
    let bytes = serde_json::to_vec_pretty(&document)?;
    let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
    let descriptor = registry::target_of(
        &serde_json::json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}),
    )?;
    target.push_manifest(&descriptor, bytes.into(), true).await.map_err(|error| failure(&error))?;
    output::println(digest)?;
    if matches.flag("purge") {
        store.remove(&list.canonical())?;
    }
    Ok(Exit::OK)
}

/// Makes a manifest and its blobs be in the list's repository: they may be in another of the same registry.
async fn bring(target: &Repository, list: &Reference, entry: &Entry) -> Result<(), Failure> {
    let source = named("manifest", &entry.reference)?;
    if source.domain() != list.domain() {
        return Err(Failure::new(format!(
            "cannot use source images from a different registry than the target image: {} != {}",
            source.domain(),
            list.domain()
        )));
    }
    let manifest: &Value = &entry.manifest;
    let blobs =
        std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().into_iter().flatten());
    for blob in blobs {
        let blob = registry::target_of(blob)?;
        target
            .push_blob(&blob, &nowhere(), &[source.path().to_owned()])
            .await
            .map_err(|error| failure(&error))?;
    }
    let descriptor: Target = registry::target_of(&serde_json::to_value(&entry.descriptor)?)?;
    let origin = target.fetch_manifest(&descriptor).await;
    let bytes = match origin {
        // It is there already.
        Ok(_) => return Ok(()),
        Err(_) => entry_bytes(entry)?,
    };
    let pushed =
        target.push_manifest(&descriptor, bytes.into(), false).await.map_err(|error| failure(&error))?;
    if pushed == Pushed::Uploaded {
        output::println(format!(
            "Pushed ref {}@{} with digest: {}",
            list.familiar_name(),
            entry.descriptor.digest,
            entry.descriptor.digest
        ))?;
    }
    Ok(())
}

/// The manifest's own bytes, which its digest is of.
fn entry_bytes(entry: &Entry) -> Result<Vec<u8>, Failure> {
    let text = entry.raw.clone().into_bytes();
    let digest = format!("sha256:{}", hex(&Sha256::digest(&text)));
    match digest == entry.descriptor.digest {
        true => Ok(text),
        false => Err(Failure::new(format!(
            "the manifest kept for {} is not the one that it names",
            entry.reference
        ))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Blobs are mounted within a registry; their bytes are not here.
fn nowhere() -> BlobSource {
    Arc::new(|_, _| {
        let (send, receive) = tokio::sync::mpsc::channel(1);
        let missing = std::io::Error::other(
            "the registry does not let its other repository be read: push the images to this one first",
        );
        // The receiver is alive: the channel has room for one.
        let _ = send.try_send(Err(missing));
        body_of(receive)
    })
}
