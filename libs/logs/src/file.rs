//! The file being written: appended in batches, rotated at entries, never given up on an error.

use crate::{Driver, source};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Batches are written when they reach this size, or when their reader has no more.
const BATCH_BYTES: usize = 64 * 1024;
/// How much is kept in memory while the file cannot be written; more is lost, and counted.
const HELD_BYTES: usize = 4 << 20;

/// The name of a rotated file: 1 is the newest.
pub(crate) fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// A log file under its driver's rules.
pub(crate) struct LogFile {
    driver: Driver,
    path: PathBuf,
    file: File,
    size: u64,
    /// Rotate when the file has this many bytes.
    max_size: Option<u64>,
    /// How many files there are at most, this one included.
    max_file: u32,
    held: Vec<u8>,
    lost_entries: u64,
}

impl LogFile {
    /// Opens or creates the file and repairs the end that a crash may have torn.
    pub(crate) fn open(
        driver: Driver,
        path: &Path,
        max_size: Option<u64>,
        max_file: u32,
    ) -> io::Result<LogFile> {
        let file = open(path)?;
        let length = file.metadata()?.len();
        let size = match driver {
            Driver::Local => {
                let whole = source::whole_records(&file, length)?;
                if whole < length {
                    file.set_len(whole)?;
                }
                whole
            }
            _ if length > 0 && last_byte(&file, length)? != b'\n' => {
                (&file).write_all(b"\n")?;
                length + 1
            }
            _ => length,
        };
        let (path, held) = (path.to_owned(), Vec::new());
        Ok(LogFile { driver, path, file, size, max_size, max_file, held, lost_entries: 0 })
    }

    /// Where to encode the next entry; `None` when it must be dropped.
    pub(crate) fn entry(&mut self) -> Option<&mut Vec<u8>> {
        let size = self.size + self.held.len() as u64;
        if self.max_size.is_some_and(|max| size >= max) {
            if self.flush().is_ok() && self.size > 0 {
                // A rotation that fails is tried again with the next entry; the file grows on.
                let _ = self.rotate();
            }
        } else if self.held.len() >= BATCH_BYTES {
            let _ = self.flush();
        }
        if self.held.len() >= HELD_BYTES {
            self.lost_entries += 1;
            return None;
        }
        Some(&mut self.held)
    }

    /// Writes what is held. After an error the rest stays held: call it again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            if done == self.held.len() {
                break Ok(());
            }
            match (&self.file).write(&self.held[done..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.size += done as u64;
        self.held.drain(..done);
        result
    }

    /// Nothing more comes for now: a container that is quiet costs no memory.
    pub(crate) fn rest(&mut self) {
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// How many entries were dropped for want of room.
    pub(crate) fn lost_entries(&self) -> u64 {
        self.lost_entries
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.max_file < 2 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        for number in (1..self.max_file - 1).rev() {
            absent_is_fine(std::fs::rename(rotated(&self.path, number), rotated(&self.path, number + 1)))?;
        }
        absent_is_fine(std::fs::rename(&self.path, rotated(&self.path, 1)))?;
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }

    /// The driver whose entries the file holds.
    pub(crate) fn driver(&self) -> Driver {
        self.driver
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

fn last_byte(file: &File, length: u64) -> io::Result<u8> {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last[0])
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
