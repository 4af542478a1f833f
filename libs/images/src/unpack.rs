//! An image's layers into snapshots, named by their chain IDs.

use std::collections::HashMap;
use std::io::Read;

use containerd_api::services::leases::v1::Resource;
use errdefs::{Error, Kind, Result};
use metadata::{Namespace, Snapshots};
use reference::Digest;

use crate::labels;
use crate::spec::Descriptor;

/// Label: what the snapshot will be called.
const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";

/// Where an image is unpacked.
#[derive(Clone)]
pub struct Unpacker {
    /// Under the lease that holds the work.
    pub namespace: Namespace,
    pub snapshotter: String,
    /// What makes layers of other kinds readable.
    pub processors: diff::Processors,
}

/// One layer on its place in the stack.
#[derive(Clone, Debug)]
pub struct Step {
    pub layer: Descriptor,
    pub diff_id: Digest,
    /// Chain ID of what is below; `None` at the bottom.
    pub parent: Option<Digest>,
    pub chain_id: Digest,
}

/// The steps of unpacking a manifest, bottom first.
///
/// # Errors
/// InvalidArgument: manifest and config name different numbers of layers.
pub fn steps(layers: &[Descriptor], diff_ids: &[Digest]) -> Result<Vec<Step>> {
    if layers.len() != diff_ids.len() {
        return Err(Error::invalid_argument(format!(
            "number of layers and diffIDs don't match: {} != {}",
            layers.len(),
            diff_ids.len()
        )));
    }
    let chain = crate::chain::chain_ids(diff_ids);
    let steps = layers.iter().zip(diff_ids).enumerate().map(|(at, (layer, diff_id))| Step {
        layer: layer.clone(),
        diff_id: diff_id.clone(),
        parent: at.checked_sub(1).map(|below| chain[below].clone()),
        chain_id: chain[at].clone(),
    });
    Ok(steps.collect())
}

impl Unpacker {
    /// Whether the snapshot of a chain is there; if so the lease holds it from now on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has(&self, chain_id: &Digest) -> Result<bool> {
        let snapshots = self.namespace.snapshots(&self.snapshotter)?;
        if !is_there(snapshots.stat(chain_id.as_str()))? {
            return Ok(false);
        }
        if let Some(lease) = self.namespace.lease() {
            let id = chain_id.to_string();
            let resource = Resource { id, r#type: format!("snapshots/{}", self.snapshotter) };
            self.namespace.leases().add_resource(lease, &resource)?;
        }
        // Collected between look and hold, perhaps.
        is_there(snapshots.stat(chain_id.as_str()))
    }

    /// Unpacks one layer whose parent is there; does nothing when its snapshot is there already. The
    /// caller sees to it that one chain is unpacked by one caller at a time. `progress` is told how
    /// many bytes of the layer were read.
    ///
    /// # Errors
    /// FailedPrecondition: the layer has another diffID than the config says. Otherwise what reading,
    /// extracting or the snapshotter say; nothing is left behind.
    pub fn step(&self, step: &Step, progress: &(dyn Fn(u64) + Sync)) -> Result<()> {
        if self.has(&step.chain_id)? {
            return Ok(());
        }
        let snapshots = self.namespace.snapshots(&self.snapshotter)?;
        let parent = step.parent.as_ref().map(Digest::as_str).unwrap_or_default();
        let Some(active) = self.prepare(step, &snapshots, parent)? else { return Ok(()) };
        let target = diff::Target::writable(&active.mounts);
        target.and_then(|target| self.fill(step, &target, progress)).map_err(|error| wrap(error, step))?;
        self.commit(step, active, "")
    }

    /// Whether layers can be unpacked before those below them are.
    ///
    /// # Errors
    /// The snapshotter is not known.
    pub fn can_rebase(&self) -> Result<bool> {
        Ok(self.namespace.snapshots(&self.snapshotter)?.capabilities().iter().any(|able| able == "rebase"))
    }

    /// Unpacks a layer whose parent need not be there yet; `None` when its snapshot is there already, or when
    /// it cannot be unpacked without the layers below: then [`Unpacker::step`] has to do it.
    ///
    /// # Errors
    /// As [`Unpacker::step`].
    pub fn ahead(&self, step: &Step, progress: &(dyn Fn(u64) + Sync)) -> Result<Option<Active>> {
        if self.has(&step.chain_id)? {
            return Ok(None);
        }
        let snapshots = self.namespace.snapshots(&self.snapshotter)?;
        let whiteouts = match snapshots.whiteouts() {
            metadata::Whiteouts::Remove => return Ok(None),
            metadata::Whiteouts::Overlay => archive::Whiteouts::Overlay,
            metadata::Whiteouts::OverlayUser => archive::Whiteouts::OverlayUser,
        };
        let Some(active) = self.prepare(step, &snapshots, "")? else { return Ok(None) };
        let target = diff::Target::awaiting(&active.mounts, whiteouts);
        match target.and_then(|target| self.fill(step, &target, progress)) {
            Ok(()) => Ok(Some(active)),
            Err(error) if diff::needs_lowers(&error) => Ok(None),
            Err(error) => Err(wrap(error, step)),
        }
    }

    /// Puts what [`Unpacker::ahead`] made on its parent, which is there by now.
    ///
    /// # Errors
    /// What the snapshotter says; then nothing is left behind.
    pub fn settle(&self, step: &Step, active: Active) -> Result<()> {
        self.commit(step, active, step.parent.as_ref().map(Digest::as_str).unwrap_or_default())
    }

    fn prepare(&self, step: &Step, snapshots: &Snapshots, parent: &str) -> Result<Option<Active>> {
        let key = format!("extract-{} {}", random(), step.chain_id);
        match snapshots.prepare(&key, parent, &labels_of(step)) {
            Ok(mounts) => Ok(Some(Active { snapshots: snapshots.clone(), key, mounts, is_committed: false })),
            Err(error) if error.kind() == Kind::AlreadyExists && self.has(&step.chain_id)? => Ok(None),
            Err(error) => Err(wrap(error, step)),
        }
    }

    fn commit(&self, step: &Step, mut active: Active, parent: &str) -> Result<()> {
        match active.snapshots.commit(step.chain_id.as_str(), &active.key, parent, &labels_of(step)) {
            // Somebody else was faster: ours goes.
            Err(error) if error.kind() == Kind::AlreadyExists && self.has(&step.chain_id)? => Ok(()),
            Err(error) => Err(wrap(error, step)),
            Ok(()) => {
                active.is_committed = true;
                Ok(())
            }
        }
    }

    fn fill(&self, step: &Step, target: &diff::Target, progress: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let media_type = &step.layer.media_type;
        let is_known = self.processors.chain(media_type)?.is_empty();
        let content = self.namespace.content();
        let reader = content.reader(&step.layer.digest)?;
        let inner = self.processors.open(media_type, reader, &HashMap::new())?;
        let stream = Told { inner, count: 0, told: 0, progress };
        let layer = diff::Layer { stream, verified: is_known.then_some(&step.layer.digest) };
        let applied = diff::apply(layer, target)?;
        if applied.diff_id != step.diff_id {
            return Err(Error::failed_precondition(format!(
                "wrong diff id {} calculated on extraction, expected {}",
                applied.diff_id, step.diff_id
            )));
        }
        // The files before the record that names them.
        target.sync()?;
        if step.diff_id != step.layer.digest {
            let label = HashMap::from([(labels::UNCOMPRESSED.to_owned(), step.diff_id.to_string())]);
            labels::add(&content, &step.layer.digest, label)?;
        }
        Ok(())
    }

    /// Marks the config with its snapshot, so that the image keeps it.
    ///
    /// # Errors
    /// NotFound: the config is not there.
    pub fn finish(&self, config: &Digest, chain_id: &Digest) -> Result<()> {
        labels::add(&self.namespace.content(), config, labels::snapshot(&self.snapshotter, chain_id))
    }
}

/// A snapshot under work; dropped before its commit it is removed.
pub struct Active {
    snapshots: Snapshots,
    key: String,
    mounts: Vec<metadata::Mount>,
    is_committed: bool,
}

impl Drop for Active {
    fn drop(&mut self) {
        if !self.is_committed {
            // What cannot be removed now the collector will.
            let _ = self.snapshots.remove(&self.key);
        }
    }
}

fn labels_of(step: &Step) -> HashMap<String, String> {
    HashMap::from([(SNAPSHOT_REF.to_owned(), step.chain_id.to_string())])
}

fn wrap(error: Error, step: &Step) -> Error {
    let kind = error.kind();
    let hint = error.hint().map(str::to_owned);
    let wrapped = Error::new(kind, format!("cannot unpack layer {}", step.layer.digest)).with_source(error);
    match hint {
        Some(hint) => wrapped.with_hint(hint),
        None => wrapped,
    }
}

fn is_there<T>(result: Result<T>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A name that nobody else has.
pub(crate) fn random() -> String {
    let mut bytes = [0; 12];
    // A name from the clock is as good when the kernel has no randomness yet.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        bytes.copy_from_slice(&now.as_nanos().to_le_bytes()[..12]);
    }
    hex::encode(bytes)
}

/// Tells how much was read, a mebibyte at a time.
struct Told<'a, R> {
    inner: R,
    count: u64,
    told: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        if count == 0 || self.count - self.told >= 1 << 20 {
            self.told = self.count;
            (self.progress)(self.count);
        }
        Ok(count)
    }
}
