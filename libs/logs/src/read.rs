//! Reading a log: the last lines, a span of time, and what comes.

use crate::follow::Watch;
use crate::source::{self, Source};
use crate::{Driver, Entry, Time};
use std::future::Future;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

/// Which entries of a log are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection {
    /// Only so many from the end; applied first, as Docker does.
    pub tail: Option<u64>,
    /// Nothing older.
    pub since: Option<Time>,
    /// Nothing newer; the reading ends there.
    pub until: Option<Time>,
}

type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads a log through all its rotated files, oldest first.
///
/// It needs no logger: a line torn by a crash is passed over. Files are read with blocking calls,
/// 64 KiB at a time; only waiting is asynchronous.
pub struct Reader {
    driver: Driver,
    path: PathBuf,
    selection: Selection,
    /// `None` as long as there is no file.
    source: Option<Source>,
    follow: Option<(Stopped, Option<Watch>)>,
    ended: bool,
}

impl Reader {
    /// Opens the log whose newest file is `path`. A log that does not exist (yet) is empty; so is
    /// one of [`Driver::None`].
    pub fn open(driver: Driver, path: impl Into<PathBuf>, selection: Selection) -> io::Result<Reader> {
        let path = path.into();
        let source = first_source(driver, &path, &selection)?;
        let ended = driver == Driver::None;
        Ok(Reader { driver, path, selection, source, follow: None, ended })
    }

    /// Makes [`Reader::next`] wait for more at the end, until `stopped` resolves; what was written
    /// up to then is still read.
    pub fn follow_until(&mut self, stopped: impl Future<Output = ()> + Send + 'static) {
        self.follow = Some((Box::pin(stopped), None));
    }

    /// The next entry; `None` at the end. Can be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.next_now()? {
                return Ok(Some(entry));
            }
            if self.ended || !self.wait().await? {
                return self.next_now();
            }
        }
    }

    /// The next entry that is there now; `None` when there is none (yet).
    pub fn next_now(&mut self) -> io::Result<Option<Entry>> {
        while !self.ended {
            let Some(entry) = self.next_unfiltered()? else { return Ok(None) };
            if self.selection.until.is_some_and(|until| entry.time > until) {
                self.ended = true;
            } else if self.selection.since.is_none_or(|since| entry.time >= since) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn next_unfiltered(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some(source) = &mut self.source else {
                self.source = open_if_there(self.driver, &self.path)?;
                if self.source.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if let Some(entry) = source.next_entry()? {
                return Ok(Some(entry));
            }
            let Some(newer) = newer_than(self.driver, &self.path, source.identity()?)? else {
                return Ok(None);
            };
            // The logger writes nothing to a file that it has renamed, but may have written
            // between our read and its rename.
            if let Some(entry) = source.next_entry()? {
                return Ok(Some(entry));
            }
            self.source = Some(newer);
        }
    }

    /// Waits for a change; false when there will be none.
    async fn wait(&mut self) -> io::Result<bool> {
        let Some((stopped, watch)) = &mut self.follow else { return Ok(false) };
        let Some(watch) = watch else {
            // Look once more after the watch is set: the change may have come before it.
            *watch = Some(Watch::new(&self.path)?);
            return Ok(true);
        };
        let until = self.selection.until;
        tokio::select! {
            biased;
            changed = watch.changed() => changed.map(|()| true),
            () = stopped => { self.ended_after_this(); Ok(false) }
            () = passed(until) => { self.ended_after_this(); Ok(false) }
        }
    }

    fn ended_after_this(&mut self) {
        self.follow = None;
    }
}

/// Resolves once `until` lies in the past; never without one.
async fn passed(until: Option<Time>) {
    match until {
        None => std::future::pending().await,
        Some(until) => {
            let left = u64::try_from(until.0.saturating_sub(Time::now().0)).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
    }
}

/// The files of a log, newest first, as far as their numbers go without a gap.
fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
    let rotated = (1..).map({
        let path = path.to_owned();
        move |number| crate::file::rotated(&path, number)
    });
    std::iter::once(path.to_owned())
        .filter(|path| path.exists())
        .chain(rotated.take_while(|path| path.exists()))
}

fn open_if_there(driver: Driver, path: &Path) -> io::Result<Option<Source>> {
    match Source::open(driver, path, 0) {
        Ok(source) => Ok(Some(source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_source(driver: Driver, path: &Path, selection: &Selection) -> io::Result<Option<Source>> {
    let mut wanted = selection.tail;
    let mut first = None;
    for file in files(path) {
        let stat = file.metadata()?;
        if selection
            .since
            .is_some_and(|since| Time::from(stat.modified().unwrap_or(std::time::SystemTime::now())) < since)
            && first.is_some()
        {
            break;
        }
        match &mut wanted {
            None => first = Some((file, 0)),
            Some(wanted) => {
                let (found, offset) = source::seek_tail(driver, &file, *wanted)?;
                *wanted -= found;
                if found > 0 || first.is_none() {
                    first = Some((file, offset));
                }
                if *wanted == 0 {
                    break;
                }
            }
        }
    }
    first.map(|(file, offset)| Source::open(driver, &file, offset)).transpose()
}

/// The file after the one of this identity; `None` if that is the newest. When it has been
/// rotated away altogether, the oldest that is left.
fn newer_than(driver: Driver, path: &Path, identity: (u64, u64)) -> io::Result<Option<Source>> {
    let mut newer: Option<PathBuf> = None;
    for file in files(path) {
        match file.metadata() {
            Ok(stat) if (stat.dev(), stat.ino()) == identity => break,
            Ok(_) => newer = Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    match newer {
        None => Ok(None),
        Some(file) => open_if_there(driver, &file),
    }
}
