//! Which images are unpacked where.

use containerd_api::types::transfer::ImageStore;
use errdefs::Result;
use images::unpack::{Step, Unpacker};
use images::{Config, Descriptor, Manifest, Matcher, Platform};
use reference::Digest;

use super::progress::Meter;
use super::{Work, blocking};

/// A snapshotter, and the images that go there.
#[derive(Clone)]
pub struct Destination {
    matcher: Matcher,
    pub unpacker: Unpacker,
}

impl Work {
    /// The destinations that a request names.
    pub fn destinations(&self, store: &ImageStore) -> Result<Vec<Destination>> {
        let mut destinations = Vec::new();
        for wanted in &store.unpacks {
            let snapshotter = match wanted.snapshotter.as_str() {
                "" => self.config.snapshotter.clone(),
                named => named.to_owned(),
            };
            // A name that we do not have is refused before anything is fetched.
            self.namespace.snapshots(&snapshotter)?;
            let platform = wanted.platform.as_ref().map_or_else(Platform::host, Platform::from);
            let platform = if platform.architecture.is_empty() { Platform::host() } else { platform };
            destinations.push(Destination {
                matcher: Matcher::new([platform]),
                unpacker: Unpacker { namespace: self.namespace.clone(), snapshotter },
            });
        }
        Ok(destinations)
    }

    /// Unpacks one layer, alone at it.
    pub async fn unpack_step(&self, unpacker: &Unpacker, step: &Step, meter: &Meter) -> Result<()> {
        let name = format!("{} {} {}", self.namespace.name(), unpacker.snapshotter, step.chain_id);
        let flight = self.flights.take(name).await;
        let (unpacker, step, meter) = (unpacker.clone(), step.clone(), meter.clone());
        // The flight ends with the work, even when nobody waits for it any more.
        blocking(move || {
            let _flight = flight;
            if unpacker.has(&step.chain_id)? {
                return Ok(());
            }
            meter.at("extracting", 0);
            unpacker.step(&step, &|bytes| meter.at("extracting", bytes))?;
            meter.done("extracted");
            Ok(())
        })
        .await
    }

    /// Marks the config with the top of the stack.
    pub async fn unpack_finish(&self, unpacker: &Unpacker, config: &Digest, steps: &[Step]) -> Result<()> {
        let Some(top) = steps.last().map(|step| step.chain_id.clone()) else { return Ok(()) };
        let (unpacker, config) = (unpacker.clone(), config.clone());
        blocking(move || unpacker.finish(&config, &top)).await
    }
}

impl Destination {
    /// Whether an image goes there.
    pub fn takes(&self, manifest: &Manifest, platform: &Platform) -> bool {
        let is_image = images::media_type::is_config(&manifest.config.media_type);
        is_image && self.matcher.rank(Some(platform)).is_some()
    }
}

/// The platform of an image: what the index says, else what its config says.
pub fn platform_of(descriptor: &Descriptor, config: &Config) -> Platform {
    descriptor.platform.clone().unwrap_or_else(|| config.platform.clone())
}
