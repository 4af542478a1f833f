//! A file that output is appended to, on a disk that may be full, broken or stuck.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Who is told, in words, that output is lost.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// The file. Its writes are done on a thread of their own: a disk that hangs holds up who writes, and nothing else.
pub struct Appended {
    written: Arc<Written>,
}

struct Written {
    path: PathBuf,
    file: File,
    tell: Tell,
    /// Bytes lost since the file could last be written.
    lost: Mutex<u64>,
}

impl Appended {
    pub(crate) fn new(path: &Path, file: File, tell: Tell) -> Appended {
        Appended { written: Arc::new(Written { path: path.to_owned(), file, tell, lost: Mutex::new(0) }) }
    }

    /// Appends; resolves when it is done or has failed. The bytes are written even if the future is dropped.
    pub(crate) async fn append(&self, bytes: &[u8]) {
        let (written, bytes) = (self.written.clone(), bytes.to_vec());
        // The writing itself does not panic, and nobody cancels it.
        let _ = tokio::task::spawn_blocking(move || written.append(&bytes)).await;
    }
}

impl Written {
    fn append(&self, bytes: &[u8]) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match append(&self.file, bytes) {
            Ok(()) if *lost > 0 => {
                let text =
                    format!("{} can be written again; {lost} bytes of output are lost", self.path.display());
                *lost = 0;
                (self.tell)(&text);
            }
            Ok(()) => {}
            Err((missing, cause)) => {
                if *lost == 0 {
                    (self.tell)(&format!("output is lost: cannot write {}: {cause}", self.path.display()));
                }
                *lost += missing as u64;
            }
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let lost = *self.lost.get_mut().unwrap_or_else(PoisonError::into_inner);
        if lost > 0 {
            (self.tell)(&format!(
                "{lost} bytes of output were lost: {} could not be written",
                self.path.display()
            ));
        }
    }
}

/// Writes all; else how many bytes are missing, and why.
fn append(mut file: &File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err((rest.len(), io::ErrorKind::WriteZero.into())),
            Ok(size) => rest = &rest[size..],
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err((rest.len(), cause)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn losses_are_told_once_and_counted() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hear = said.clone();
        let tell: Tell = Arc::new(move |text: &str| hear.lock().unwrap().push(text.to_owned()));
        // Every write to it fails for want of space.
        let full = Path::new("/dev/full");
        let file = File::options().append(true).open(full).unwrap();
        let appended = Appended::new(full, file, tell);
        appended.append(b"four").await;
        appended.append(b"and six").await;
        assert_eq!(said.lock().unwrap().len(), 1, "{said:?}");
        drop(appended);
        let said = said.lock().unwrap();
        assert!(said[0].starts_with("output is lost: cannot write /dev/full: No space"), "{said:?}");
        assert_eq!(said[1..], ["11 bytes of output were lost: /dev/full could not be written"]);
    }
}
