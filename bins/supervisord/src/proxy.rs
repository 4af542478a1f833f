//! Snapshotters of other processes: containerd's proxy plugins of the type `snapshot`.
//!
//! What is in one is kept in its records here as well, as every snapshotter's is: so its parents, its kinds and its
//! leftovers are known without asking.

use containerd_api::services::snapshots::v1::snapshots_client::SnapshotsClient;
use containerd_api::services::snapshots::v1::{self as api, Info, Kind};
use containerd_api::types::Mount;
use containerd_api::{Dial, Timestamp};
use errdefs::{Error, Result};
use snapshots::{Change, LABEL_REF, Labels, Record, Snapshotter, Store, Usage, is_target};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// How long a socket may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what nobody waits for may take.
const CLEANING: Duration = Duration::from_secs(60);
/// The largest message, as containerd's clients take.
const MESSAGE_BYTES: usize = 16 << 20;

/// A proxy plugin, as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxied {
    /// The snapshotter's name.
    pub name: String,
    /// The socket where its process serves `containerd.services.snapshots.v1.Snapshots`.
    pub address: PathBuf,
    /// What introspection tells of it: `root`, where its files are.
    pub exports: HashMap<String, String>,
    /// What it can do: `remap-ids`, `rebase`.
    pub capabilities: Vec<String>,
}

/// A snapshotter of another process.
pub struct Proxy {
    plugin: Proxied,
    root: PathBuf,
    store: Arc<dyn Store>,
    client: SnapshotsClient<Channel>,
    calls: Handle,
    /// Keys that may be there without a record.
    making: Mutex<HashSet<String>>,
}

/// A key while something is made of it.
struct Making<'a>(&'a Proxy, String);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.making().remove(&self.1);
    }
}

/// A thread for the calls: a snapshotter is asked by threads that may wait, before anything else is served.
fn calls(name: &str) -> Result<Handle> {
    let failed = |cause: std::io::Error| Error::unknown("cannot call other processes").with_source(cause);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let work = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)?;
    Ok(handle)
}

impl Proxy {
    /// The snapshotter, whether its process is there by now or not: it is called when it is needed.
    pub fn open(plugin: Proxied, store: Arc<dyn Store>) -> Result<Proxy> {
        let calls = calls(&plugin.name)?;
        let connecting = calls.enter();
        let endpoint = Endpoint::from_static("http://snapshotter").connect_timeout(CONNECT);
        let channel = endpoint.connect_with_connector_lazy(Dial(plugin.address.clone()));
        drop(connecting);
        let client = SnapshotsClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let root = plugin.exports.get("root").map(PathBuf::from).unwrap_or_default();
        Ok(Proxy { plugin, root, store, client, calls, making: Mutex::default() })
    }

    fn making(&self) -> MutexGuard<'_, HashSet<String>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, key: &str) -> Making<'_> {
        self.making().insert(key.to_owned());
        Making(self, key.to_owned())
    }

    /// Makes a call and waits for its answer.
    fn call<T, F>(&self, call: impl FnOnce(SnapshotsClient<Channel>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = std::result::Result<T, Status>> + Send + 'static,
    {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let call = call(self.client.clone());
        self.calls.spawn(async move { tell.send(call.await) });
        let answer = told.recv().map_err(|_| Error::internal("a call was dropped"))?;
        answer.map_err(|status| {
            let is_away =
                std::error::Error::source(&status).is_some_and(|cause| cause.is::<tonic::transport::Error>());
            let error = Error::from(status);
            if !is_away {
                return error;
            }
            let text =
                format!("cannot ask snapshotter {} at {}", self.plugin.name, self.plugin.address.display());
            Error::unavailable(text).with_source(error).with_hint("start the process that serves this socket")
        })
    }

    fn snapshotter(&self) -> String {
        self.plugin.name.clone()
    }

    fn record(&self, key: &str) -> Result<Record> {
        self.store.get(key).ok_or_else(|| Error::not_found(format!("snapshot {key} does not exist")))
    }

    fn recorded(&self, key: &str, record: Record) -> Result<()> {
        self.store.apply(vec![Change::Put(key.to_owned(), record)])
    }

    /// Somebody had made what is named by the label `snapshot.ref` before: it is taken note of.
    fn note_target(&self, target: &str, parent: &str) -> Result<()> {
        let filter = format!("labels.{LABEL_REF:?}=={target:?},parent=={parent:?}");
        let found = self.list(vec![filter])?.into_iter().find(|info| is_target(info, target, parent));
        match found {
            Some(info) if self.store.get(&info.name).is_none() => {
                let record =
                    Record { labels: info.labels, ..fresh(Kind::Committed, &info.parent, &Labels::new()) };
                self.recorded(&info.name, record)
            }
            _ => Ok(()),
        }
    }

    fn list(&self, filters: Vec<String>) -> Result<Vec<Info>> {
        let request = api::ListSnapshotsRequest { snapshotter: self.snapshotter(), filters };
        // The namespace of those that are asked for is any.
        let mut request = asked("default", request);
        request.set_timeout(CLEANING);
        self.call(|mut client| async move {
            let mut pages = client.list(request).await?.into_inner();
            let mut found = Vec::new();
            while let Some(page) = pages.message().await? {
                found.extend(page.info);
            }
            Ok(found)
        })
    }

    /// Removes what a crash left there without a record; children go before their parents.
    fn remove_strays(&self) -> Result<()> {
        let there = self.list(Vec::new())?;
        // Asked in this order: what was in the making when it was seen is recorded or gone later.
        let making = self.making().clone();
        let mut strays: Vec<String> = there.into_iter().map(|info| info.name).collect();
        strays.retain(|name| is_ours(name) && !making.contains(name) && self.store.get(name).is_none());
        loop {
            let before = strays.len();
            let mut failure = None;
            strays.retain(|name| match self.remove_there(name) {
                Ok(()) => false,
                Err(error) => {
                    failure = Some(error);
                    true
                }
            });
            match failure {
                Some(error) if strays.len() == before => return Err(error),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    fn remove_there(&self, key: &str) -> Result<()> {
        let request = api::RemoveSnapshotRequest { snapshotter: self.snapshotter(), key: key.to_owned() };
        let mut request = asked(namespace_of(key), request);
        request.set_timeout(CLEANING);
        match self.call(|mut client| async move { client.remove(request).await.map(drop) }) {
            // An earlier removal was not recorded.
            Err(error) if error.kind() == errdefs::Kind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// The namespace that a key of the metadata's making begins with: `NAMESPACE/NUMBER/KEY`.
fn namespace_of(key: &str) -> &str {
    key.split_once('/').map_or("default", |(namespace, _)| namespace)
}

/// Whether a key is of the metadata's making. Others use the same process: theirs stays.
fn is_ours(key: &str) -> bool {
    let mut words = key.splitn(3, '/');
    let (namespace, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    metadata::validate_identifier(namespace).is_ok()
        && number.parse::<u64>().is_ok()
        && words.next().is_some()
}

fn asked<T>(namespace: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    // A namespace is an identifier, which is a header's value.
    if let Ok(namespace) = namespace.parse() {
        request.metadata_mut().insert("containerd-namespace", namespace);
    }
    request
}

fn fresh(kind: Kind, parent: &str, labels: &Labels) -> Record {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = Some(Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() as i32 });
    let (parent, labels) = (parent.to_owned(), labels.clone());
    // The number names a directory of ours, of which there is none.
    Record { id: 0, kind, parent, labels, usage: None, created_at: stamp, updated_at: stamp }
}

impl Snapshotter for Proxy {
    fn capabilities(&self) -> Vec<String> {
        self.plugin.capabilities.clone()
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn exports(&self) -> HashMap<String, String> {
        let address = ("address".to_owned(), self.plugin.address.display().to_string());
        self.plugin.exports.clone().into_iter().chain([address]).collect()
    }

    fn stat(&self, key: &str) -> Result<Info> {
        Ok(self.record(key)?.info(key))
    }

    fn update(&self, info: &Info, paths: &[String]) -> Result<Info> {
        let mut record = self.record(&info.name)?;
        let mask = (!paths.is_empty()).then(|| containerd_api::FieldMask { paths: paths.to_vec() });
        let (snapshotter, wanted) = (self.snapshotter(), Some(info.clone()));
        let request = api::UpdateSnapshotRequest { snapshotter, info: wanted, update_mask: mask };
        let request = asked(namespace_of(&info.name), request);
        let updated =
            self.call(|mut client| async move { client.update(request).await.map(Response::into_inner) })?;
        let updated = updated.info.unwrap_or_else(|| info.clone());
        record.labels = updated.labels.clone();
        self.recorded(&info.name, record)?;
        Ok(updated)
    }

    fn usage(&self, key: &str) -> Result<Usage> {
        let request = api::UsageRequest { snapshotter: self.snapshotter(), key: key.to_owned() };
        let request = asked(namespace_of(key), request);
        let usage =
            self.call(|mut client| async move { client.usage(request).await.map(Response::into_inner) })?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Usage { size: count(usage.size), inodes: count(usage.inodes) })
    }

    fn mounts(&self, key: &str) -> Result<Vec<Mount>> {
        let request = api::MountsRequest { snapshotter: self.snapshotter(), key: key.to_owned() };
        let request = asked(namespace_of(key), request);
        self.call(|mut client| async move {
            client.mounts(request).await.map(|answer| answer.into_inner().mounts)
        })
    }

    fn prepare(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        let _making = self.make(key);
        let request = api::PrepareSnapshotRequest {
            snapshotter: self.snapshotter(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: labels.clone(),
        };
        let request = asked(namespace_of(key), request);
        let made = self.call(|mut client| async move {
            client.prepare(request).await.map(|answer| answer.into_inner().mounts)
        });
        match (made, labels.get(LABEL_REF)) {
            (Ok(mounts), _) => {
                self.recorded(key, fresh(Kind::Active, parent, labels))?;
                Ok(mounts)
            }
            (Err(error), Some(target)) if error.kind() == errdefs::Kind::AlreadyExists => {
                self.note_target(target, parent)?;
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn view(&self, key: &str, parent: &str, labels: &Labels) -> Result<Vec<Mount>> {
        let _making = self.make(key);
        let request = api::ViewSnapshotRequest {
            snapshotter: self.snapshotter(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: labels.clone(),
        };
        let request = asked(namespace_of(key), request);
        let mounts = self.call(|mut client| async move {
            client.view(request).await.map(|answer| answer.into_inner().mounts)
        })?;
        self.recorded(key, fresh(Kind::View, parent, labels))?;
        Ok(mounts)
    }

    fn commit(&self, name: &str, key: &str, parent: &str, labels: &Labels) -> Result<()> {
        let _making = self.make(name);
        let active = self.record(key)?;
        let request = api::CommitSnapshotRequest {
            snapshotter: self.snapshotter(),
            name: name.to_owned(),
            key: key.to_owned(),
            labels: labels.clone(),
            parent: parent.to_owned(),
        };
        let request = asked(namespace_of(key), request);
        self.call(|mut client| async move { client.commit(request).await.map(drop) })?;
        let parent = if parent.is_empty() { &active.parent } else { parent };
        let record = fresh(Kind::Committed, parent, labels);
        self.store.apply(vec![Change::Remove(key.to_owned()), Change::Put(name.to_owned(), record)])
    }

    fn remove(&self, key: &str) -> Result<()> {
        self.record(key)?;
        if self.store.has_children(key) {
            return Err(Error::failed_precondition("cannot remove snapshot with child"));
        }
        self.remove_there(key)?;
        self.store.apply(vec![Change::Remove(key.to_owned())])
    }

    fn walk(&self) -> Result<Vec<Info>> {
        Ok(self.store.list().into_iter().map(|(name, record)| record.info(&name)).collect())
    }

    fn cleanup(&self) -> Result<()> {
        self.remove_strays()?;
        let mut request = asked("default", api::CleanupRequest { snapshotter: self.snapshotter() });
        request.set_timeout(CLEANING);
        self.call(|mut client| async move { client.cleanup(request).await.map(drop) })
    }
}
