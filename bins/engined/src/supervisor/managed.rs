//! A supervisor of our own, started when nobody named one and none answers.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use errdefs::{Error, Result};

use crate::config::{Config, DEFAULT_SUPERVISOR};
use crate::files::failed;

const PROGRAM: &str = "supervisord";
const START_TIMEOUT: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The address to talk to: the one that was named, the default one when it answers, or that of a
/// supervisor started under this engine's roots, which outlives the engine and is found again.
///
/// # Errors
/// The program is missing or does not come up.
pub fn address(config: &Config) -> Result<PathBuf> {
    if let Some(named) = &config.flags.containerd {
        return Ok(named.clone());
    }
    let default = Path::new(DEFAULT_SUPERVISOR);
    if answers(default) {
        return Ok(default.to_owned());
    }
    let state = config.run("supervisord");
    let address = state.join("supervisord.sock");
    if !answers(&address) {
        start(config, &state, &address)?;
    }
    Ok(address)
}

fn answers(address: &Path) -> bool {
    UnixStream::connect(address).is_ok()
}

fn start(config: &Config, state: &Path, address: &Path) -> Result<()> {
    let program = crate::programs::find(PROGRAM).ok_or_else(|| {
        Error::not_found(format!("cannot start {PROGRAM}: no such program beside engined or on PATH"))
            .with_hint("Install it, or name a running containerd with --containerd.")
    })?;
    std::fs::create_dir_all(state).map_err(failed("make directory", state))?;
    let log_path = config.data("supervisord.log");
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&log_path)
        .map_err(failed("open", &log_path))?;
    let error_log = log.try_clone().map_err(failed("open", &log_path))?;
    // A session of its own: what ends the engine must not end it.
    let mut child = Command::new("setsid")
        .arg(&program)
        .arg("--address")
        .arg(address)
        .arg("--root")
        .arg(config.data("supervisord"))
        .arg("--state")
        .arg(state)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(error_log)
        .spawn()
        .map_err(failed("start", &program))?;
    let deadline = Instant::now() + START_TIMEOUT;
    while !answers(address) {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Error::unavailable(format!(
                "{PROGRAM} ended at once ({status}); see {}",
                log_path.display()
            )));
        }
        if Instant::now() > deadline {
            return Err(Error::unavailable(format!("{PROGRAM} does not answer on {}", address.display())));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    // Reaped when it ends, so that no zombie stays.
    std::thread::spawn(move || child.wait());
    Ok(())
}
