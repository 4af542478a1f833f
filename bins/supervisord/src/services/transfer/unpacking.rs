//! Which images are unpacked where.

use std::sync::Arc;

use containerd_api::types::transfer::ImageStore;
use errdefs::Result;
use images::unpack::{Active, Step, Unpacker};
use images::{Config, Descriptor, Manifest, Matcher, Platform};
use reference::Digest;
use tokio::sync::Semaphore;

use super::flights::Flight;
use super::progress::Meter;
use super::task::Task;
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
                unpacker: Unpacker {
                    namespace: self.namespace.clone(),
                    snapshotter,
                    processors: self.processors.clone(),
                },
            });
        }
        Ok(destinations)
    }

    /// Unpacks a stack of layers: several at a time where the snapshotter can put them on each other
    /// afterwards. `ready` has the downloads that bring the layers, where there are such.
    pub async fn unpack_stack(
        &self,
        unpacker: &Unpacker,
        steps: &[Step],
        parents: &[String],
        ready: &mut [Option<Task>],
    ) -> Result<()> {
        let ahead = steps.len() > 1 && unpacker.can_rebase()?;
        let slots = Arc::new(Semaphore::new(unpacks_at_a_time()));
        let mut coming: Vec<Option<Task<Option<Ahead>>>> = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            // The bottom has nothing to wait for.
            if at == 0 || !ahead {
                coming.push(None);
                continue;
            }
            let download = ready.get_mut(at).and_then(Option::take);
            let meter = self.progress.meter(&step.layer, parents);
            let (work, unpacker, step, slots) = (self.clone(), unpacker.clone(), step.clone(), slots.clone());
            coming.push(Some(Task::start(async move {
                if let Some(download) = download {
                    download.finish().await?;
                }
                work.unpack_ahead(unpacker, step, meter, slots).await
            })));
        }
        for (at, step) in steps.iter().enumerate() {
            if let Some(download) = ready.get_mut(at).and_then(Option::take) {
                download.finish().await?;
            }
            let made = match coming[at].take() {
                Some(task) => task.finish().await?,
                None => None,
            };
            let meter = self.progress.meter(&step.layer, parents);
            match made {
                Some(made) => self.settle(unpacker, step, made, &meter).await?,
                None => self.unpack_step(unpacker, step, &meter).await?,
            }
        }
        Ok(())
    }

    /// Unpacks one layer before those below it are.
    async fn unpack_ahead(
        self,
        unpacker: Unpacker,
        step: Step,
        meter: Meter,
        slots: Arc<Semaphore>,
    ) -> Result<Option<Ahead>> {
        let flight = self.flights.take(self.chain(&unpacker, &step)).await;
        let _slot = slots.acquire_owned().await;
        blocking(move || {
            let active = unpacker.ahead(&step, &|bytes| meter.at("extracting", bytes))?;
            // The flight lasts until the layer is on its parent: nobody else unpacks it meanwhile.
            Ok(active.map(|active| Ahead { active, _flight: flight }))
        })
        .await
    }

    async fn settle(&self, unpacker: &Unpacker, step: &Step, made: Ahead, meter: &Meter) -> Result<()> {
        let (unpacker, step, meter) = (unpacker.clone(), step.clone(), meter.clone());
        blocking(move || {
            unpacker.settle(&step, made.active)?;
            meter.done("extracted");
            Ok(())
        })
        .await
    }

    fn chain(&self, unpacker: &Unpacker, step: &Step) -> String {
        format!("{} {} {}", self.namespace.name(), unpacker.snapshotter, step.chain_id)
    }

    /// Unpacks one layer, alone at it.
    async fn unpack_step(&self, unpacker: &Unpacker, step: &Step, meter: &Meter) -> Result<()> {
        let flight = self.flights.take(self.chain(unpacker, step)).await;
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

/// A layer that is unpacked, and waits for its parent.
struct Ahead {
    active: Active,
    _flight: Flight,
}

/// Each unpacks with threads of its own; more than processors help nobody.
fn unpacks_at_a_time() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4)
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
