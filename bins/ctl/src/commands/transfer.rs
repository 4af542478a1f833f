//! Archives between the engine and a file or stdin and stdout.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use engine_client::Request;

use crate::grammar::{Exit, Failure};
use crate::options::environment::os_text;
use crate::output;

/// Writes an answer to a file (beside it first, then renamed) or to stdout.
///
/// # Errors
/// Stdout is a terminal, the file cannot be written, or the engine refuses.
pub async fn download(request: Request<'_>, file: Option<&str>, failed: &str) -> Result<Exit, Failure> {
    let Some(path) = file.filter(|path| !path.is_empty()) else {
        if io::stdout().is_terminal() {
            return Err(Failure::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        let mut answer = request.send().await?;
        while let Some(chunk) = answer.chunk().await? {
            output::print(&chunk)?;
        }
        return Ok(Exit::OK);
    };
    let path = Path::new(path);
    let fail = |error: io::Error| Failure::new(format!("{failed}: {}: {}", path.display(), os_text(&error)));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(Err(error)) = parent.map(Path::metadata) {
        let (parent, reason) = (parent.unwrap_or(path).display(), os_text(&error));
        return Err(Failure::new(format!("{failed}: invalid output path: stat {parent}: {reason}")));
    }
    if path.is_dir() {
        return Err(Failure::new(format!("{failed}: {} is a directory", path.display())));
    }
    let mut answer = request.send().await?;
    if path.exists() && !path.is_file() {
        // A device or pipe is written in place.
        let mut device = std::fs::OpenOptions::new().write(true).open(path).map_err(fail)?;
        while let Some(chunk) = answer.chunk().await? {
            device.write_all(&chunk).map_err(fail)?;
        }
        return Ok(Exit::OK);
    }
    let temporary = path.with_file_name(format!(
        ".{}.tmp{}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let mut target = std::fs::File::create(&temporary).map_err(fail)?;
    let mut copy = async || -> Result<(), Failure> {
        while let Some(chunk) = answer.chunk().await? {
            target.write_all(&chunk).map_err(fail)?;
        }
        std::fs::rename(&temporary, path).map_err(fail)
    };
    let copied = copy().await;
    if copied.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    copied.map(|()| Exit::OK)
}
