//! Group commit: whoever waits first writes for all that queued, with one sync of the disk.

use crate::reserve::Reserve;
use crate::row::{Change, Key, Row};
use containerd_api::Any;
use errdefs::{Error, Kind, Result};
use events::Exchange;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// Pages that redb keeps. All records are in memory anyway; this holds the tree's upper levels.
const CACHE_BYTES: usize = 1 << 20;

/// An event that goes out once the change it tells of is durable.
pub(crate) struct Event {
    pub namespace: String,
    pub topic: &'static str,
    pub payload: Any,
}

/// Changes that succeed or fail together.
pub(crate) struct Batch {
    /// Nobody waits for it.
    lazy: bool,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    events: Vec<Event>,
    ticket: Ticket,
}

impl Batch {
    /// Encodes `changes`.
    pub(crate) fn new(changes: &[Change], events: Vec<Event>, lazy: bool) -> Batch {
        let rows = changes
            .iter()
            .map(|change| match change {
                Change::Put(row) => (row.key().encode(), Some(row.value())),
                Change::Remove(key) => (key.encode(), None),
            })
            .collect();
        Batch { lazy, rows, events, ticket: Ticket::default() }
    }

    /// The changes it was made of.
    pub(crate) fn changes(&self) -> Result<Vec<Change>> {
        let change = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| match value {
            Some(value) => Row::decode(key, value).map(Change::Put),
            None => {
                Key::decode(key).map(Change::Remove).ok_or_else(|| Error::internal("cannot decode own key"))
            }
        };
        self.rows.iter().map(change).collect()
    }
}

/// The outcome of a batch, once there is one.
#[derive(Clone, Default)]
pub(crate) struct Ticket(Arc<Mutex<Option<Outcome>>>);

/// Done, or the kind and text of the failure, which every waiter gets.
type Outcome = std::result::Result<(), (Kind, String)>;

impl Ticket {
    fn settle(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn outcome(&self) -> Option<Result<()>> {
        let outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        outcome.map(|outcome| outcome.map_err(|(kind, text)| Error::new(kind, text)))
    }
}

/// The file, and the queue in front of it.
pub(crate) struct Group {
    path: PathBuf,
    reserve: Reserve,
    exchange: Exchange,
    /// None after a failure, until the file is open again.
    file: Mutex<Option<Database>>,
    queue: Mutex<Queue>,
    turn: Condvar,
}

#[derive(Default)]
struct Queue {
    pending: Vec<Batch>,
    leading: bool,
}

/// What is left of the queue after a failed write, for the owner to settle.
pub(crate) struct Failure {
    batches: Vec<Batch>,
    kind: Kind,
    text: String,
}

fn failed(path: &Path, cause: impl Into<redb::Error>) -> Error {
    let cause = cause.into();
    let full = matches!(&cause, redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull);
    let kind = if full { Kind::ResourceExhausted } else { Kind::Unknown };
    let error = Error::new(kind, format!("cannot write metadata {}", path.display())).with_source(cause);
    if full { error.with_hint("free space on the file system that holds the root directory") } else { error }
}

/// How long a killed predecessor may take to be gone.
const PREDECESSOR: Duration = Duration::from_secs(1);

fn open(path: &Path) -> Result<Database> {
    let start = Instant::now();
    loop {
        let opened = if path.exists() { create(path) } else { make(path) };
        match opened {
            // Its lock goes with it; nobody tells when.
            Err(redb::DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < PREDECESSOR => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.map_err(|cause| cannot_open(path, cause)),
        }
    }
}

fn create(path: &Path) -> std::result::Result<Database, redb::DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// Makes the file under another name, and gives it its own when it is whole: one that the power left half made
/// would be refused for ever.
fn make(path: &Path) -> std::result::Result<Database, redb::DatabaseError> {
    let new = path.with_extension("new");
    let database = match create(&new) {
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(redb::DatabaseError::DatabaseAlreadyOpen),
        // What is left of one that was not finished.
        Err(_) if new.exists() => {
            std::fs::remove_file(&new).map_err(redb::StorageError::Io)?;
            create(&new)
        }
        made => made,
    }?;
    if path.exists() {
        // Another process was first: what this one has made nobody needs.
        drop(database);
        let _ = std::fs::remove_file(&new);
        return Err(redb::DatabaseError::DatabaseAlreadyOpen);
    }
    std::fs::rename(&new, path).and_then(|()| sync_parent(path)).map_err(redb::StorageError::Io)?;
    Ok(database)
}

/// The file's name must be as durable as what is in it.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

fn cannot_open(path: &Path, cause: redb::DatabaseError) -> Error {
    match cause {
        redb::DatabaseError::DatabaseAlreadyOpen => Error::failed_precondition(format!(
            "cannot open metadata {}: another process has it",
            path.display()
        ))
        .with_hint("stop the daemon that uses this root directory, or give --root another one"),
        cause => Error::unknown(format!("cannot open metadata {}", path.display())).with_source(cause),
    }
}

impl Group {
    /// Opens the file; makes it when missing.
    pub(crate) fn open(path: PathBuf, exchange: Exchange) -> Result<Group> {
        let database = open(&path)?;
        Ok(Group {
            reserve: Reserve::take(path.with_extension("reserve")),
            path,
            exchange,
            file: Mutex::new(Some(database)),
            queue: Mutex::default(),
            turn: Condvar::new(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every stored row.
    pub(crate) fn load(&self, mut row: impl FnMut(Row)) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match file.take() {
            Some(database) => file.insert(database),
            None => file.insert(open(&self.path)?),
        };
        let read = database.begin_read().map_err(|cause| failed(&self.path, cause))?;
        let table = match read.open_table(RECORDS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(cause) => return Err(failed(&self.path, cause)),
        };
        for entry in table.iter().map_err(|cause| failed(&self.path, cause))? {
            let (key, value) = entry.map_err(|cause| failed(&self.path, cause))?;
            row(Row::decode(key.value(), value.value())?);
        }
        Ok(())
    }

    /// Whether there is room for deletions only.
    pub(crate) fn is_full(&self) -> bool {
        self.reserve.is_full()
    }

    /// Queues a batch. Called under the lock of the state, so that the file sees the changes in their order.
    pub(crate) fn queue_batch(&self, batch: Batch) -> Ticket {
        let ticket = batch.ticket.clone();
        self.queue().pending.push(batch);
        ticket
    }

    /// Waits until `ticket`'s batch is durable, writing the queue if nobody else does. A failure of the
    /// write goes to `recover`, which must call [`Group::settle`].
    pub(crate) fn wait(&self, ticket: &Ticket, recover: impl Fn(Failure)) -> Result<()> {
        loop {
            let mut queue = self.queue();
            if let Some(outcome) = ticket.outcome() {
                return outcome;
            }
            if queue.leading {
                drop(self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            queue.leading = true;
            let batches = std::mem::take(&mut queue.pending);
            drop(queue);
            self.lead(batches, &recover);
        }
    }

    /// Writes whatever is queued.
    pub(crate) fn flush(&self, recover: impl Fn(Failure)) -> Result<()> {
        let Some(ticket) = self.queue().pending.last().map(|batch| batch.ticket.clone()) else {
            return Ok(());
        };
        self.wait(&ticket, recover)
    }

    fn lead(&self, batches: Vec<Batch>, recover: &impl Fn(Failure)) {
        let written = match self.write(&batches) {
            Err(error) if error.kind() == Kind::ResourceExhausted && self.reserve.release() => {
                tracing::warn!(
                    error = error.chain(),
                    "disk full: only deletions are taken until there is space"
                );
                self.reopen().and_then(|()| self.write(&batches))
            }
            written => written,
        };
        match written {
            Ok(()) => {
                for batch in batches {
                    for Event { namespace, topic, payload } in batch.events {
                        if let Err(error) = self.exchange.publish(&namespace, topic, payload) {
                            tracing::warn!(topic, error = error.chain(), "event not published");
                        }
                    }
                    batch.ticket.settle(Ok(()));
                }
            }
            Err(error) => recover(Failure { batches, kind: error.kind(), text: error.chain() }),
        }
        self.queue().leading = false;
        self.turn.notify_all();
    }

    /// After a failure the file must be opened anew before it takes another write.
    fn reopen(&self) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = None;
        *file = Some(open(&self.path)?);
        Ok(())
    }

    fn write(&self, batches: &[Batch]) -> Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = file.as_ref() else {
            return Err(Error::unavailable(format!(
                "cannot write metadata {}: file is closed",
                self.path.display()
            )));
        };
        let write = || -> std::result::Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(RECORDS)?;
                for (key, value) in batches.iter().flat_map(|batch| &batch.rows) {
                    match value {
                        Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                        None => drop(table.remove(key.as_slice())?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|cause| failed(&self.path, cause))
    }

    /// Fails what could not be written and everything queued on top of it, and closes the file, so that the
    /// next [`Group::load`] reads what is truly there. Called under the lock of the state. What nobody waited
    /// for comes back, to be queued again.
    pub(crate) fn settle(&self, failure: Failure) -> Vec<Batch> {
        let Failure { mut batches, kind, text } = failure;
        batches.append(&mut self.queue().pending);
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (lazy, waited): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| batch.lazy);
        for batch in waited {
            batch.ticket.settle(Err((kind, text.clone())));
        }
        lazy
    }
}
