//! Images, as records of the supervisor's store shown in Docker's words.

pub mod attestations;
mod decompress;
mod displaced;
pub mod history;
pub mod import;
pub mod inspect;
pub mod list;
pub mod load;
mod manifests;
pub mod platform;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
mod records;
pub mod registry;
pub mod remove;
pub mod remove_platforms;
pub mod resolve;
pub mod save;
pub mod tag;
mod unpacking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use containerd_api::services::snapshots::v1::{StatSnapshotRequest, UsageRequest};
use engine_api::container::Config;
use engine_api::image::Descriptor;
use errdefs::Result;
use serde::Deserialize;

use crate::containers::user::Accounts;
use crate::engine::Engine;
use crate::supervisor::{failed, optional};

pub use unpacking::unpack;

/// An image that can run here.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Digest of its config: Docker's image ID.
    pub id: String,
    /// Name in the supervisor's store; of several, the one that was asked for.
    pub name: String,
    /// Digest that the name points to: an index or a manifest.
    pub target: String,
    /// Digest of the manifest for this platform.
    pub manifest: String,
    /// That manifest, with the platform that it is for.
    pub descriptor: Descriptor,
    pub layers: Vec<Layer>,
    pub config: Config,
    pub document: Document,
    /// Name of the topmost snapshot; empty without layers.
    pub chain_id: String,
}

/// A layer as its manifest describes it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Layer {
    pub media_type: String,
    pub digest: String,
    pub size: i64,
}

/// An image's config document (image-spec config.md).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    pub created: Option<String>,
    pub author: String,
    pub architecture: String,
    pub variant: String,
    pub os: String,
    pub docker_version: String,
    pub comment: String,
    pub config: Option<Config>,
    pub rootfs: RootFs,
    pub history: Vec<History>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RootFs {
    pub diff_ids: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct History {
    pub created: Option<String>,
    pub created_by: String,
    pub comment: String,
    pub empty_layer: bool,
}

/// What was read once: content never changes under its digest.
#[derive(Default)]
pub struct Images {
    by_target: Mutex<HashMap<String, Arc<Image>>>,
    accounts: Mutex<HashMap<String, Arc<Accounts>>>,
    sizes: Mutex<HashMap<String, i64>>,
    connections: registry::Connections,
    /// What the store holds, by name.
    pub stored: records::Records,
}

impl Images {
    /// Account files of an image, if read before.
    pub fn accounts(&self, chain_id: &str) -> Option<Arc<Accounts>> {
        self.accounts.lock().expect("no panic while held").get(chain_id).cloned()
    }

    /// Remembers account files of an image.
    pub fn keep_accounts(&self, chain_id: &str, accounts: Arc<Accounts>) {
        self.accounts.lock().expect("no panic while held").insert(chain_id.to_owned(), accounts);
    }

    /// Bytes of a chain of layers, unpacked.
    ///
    /// # Errors
    /// The supervisor does not answer.
    pub async fn size_of_chain(&self, engine: &Engine, chain_id: &str) -> Result<i64> {
        if let Some(known) = self.sizes.lock().expect("no panic while held").get(chain_id) {
            return Ok(*known);
        }
        let mut bytes = 0;
        let mut name = chain_id.to_owned();
        while !name.is_empty() {
            bytes += usage(engine, &name).await?;
            let request =
                StatSnapshotRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: name };
            let info = optional(engine.supervisor.snapshots().stat(request).await, "look at a snapshot")?;
            name = info.and_then(|answer| answer.info).map(|info| info.parent).unwrap_or_default();
        }
        if bytes > 0 {
            self.sizes.lock().expect("no panic while held").insert(chain_id.to_owned(), bytes);
        }
        Ok(bytes)
    }
}

/// Bytes of one snapshot; one that is not there has none.
///
/// # Errors
/// The supervisor does not answer.
pub async fn usage(engine: &Engine, key: &str) -> Result<i64> {
    let request = UsageRequest { snapshotter: engine.supervisor.snapshotter.clone(), key: key.to_owned() };
    let answer = engine.supervisor.snapshots().usage(request).await;
    if let Err(status) = &answer
        && status.code() != tonic::Code::NotFound
    {
        return Err(failed("measure a snapshot")(status.clone()));
    }
    Ok(answer.map_or(0, |answer| answer.into_inner().size))
}

/// The name of the snapshot that stands on all these layers (image-spec config.md#layer-chainid).
pub fn chain_id(diff_ids: &[String]) -> String {
    use sha2::{Digest, Sha256};
    let mut chain = String::new();
    for diff_id in diff_ids {
        chain = if chain.is_empty() {
            diff_id.clone()
        } else {
            format!("sha256:{}", hex::encode(Sha256::digest(format!("{chain} {diff_id}"))))
        };
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_follow_the_image_spec() {
        let layer = |digit: &str| format!("sha256:{}", digit.repeat(64));
        assert_eq!(chain_id(&[]), "");
        assert_eq!(chain_id(&[layer("a")]), layer("a"));
        let two = chain_id(&[layer("a"), layer("b")]);
        assert!(two.starts_with("sha256:") && two != layer("b"));
        assert_ne!(two, chain_id(&[layer("b"), layer("a")]));
    }
}
