//! A supervisor of our own, started when nobody named one and none answers.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use errdefs::{Error, Result};

use crate::config::{Config, DEFAULT_SUPERVISOR};
use crate::files::{self, failed};

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
    let settings = state.join("supervisord.toml");
    files::replace(&settings, settings_of(config).as_bytes(), files::Promise::Process)?;
    let error_log = log.try_clone().map_err(failed("open", &log_path))?;
    // A session of its own: what ends the engine must not end it.
    let mut child = Command::new("setsid")
        .arg(&program)
        .arg("--config")
        .arg(&settings)
        .arg("--address")
        .arg(address)
        .arg("--root")
        .arg(config.data("supervisord"))
        .arg("--state")
        .arg(state)
        .envs(proxies(config))
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

/// What of the engine's flags is for whoever pulls and pushes.
fn settings_of(config: &Config) -> String {
    let rest = &config.flags.rest;
    let mut text = "version = 2\n\n[plugins.\"io.containerd.transfer.v1.local\"]\n".to_owned();
    for (key, number) in [
        ("max_concurrent_downloads", rest.max_concurrent_downloads),
        ("max_concurrent_uploaded_layers", rest.max_concurrent_uploads),
    ] {
        text.extend(number.map(|number| format!("  {key} = {number}\n")));
    }
    text
}

fn proxies(config: &Config) -> impl Iterator<Item = (&'static str, &String)> {
    let rest = &config.flags.rest;
    let all =
        [("HTTP_PROXY", &rest.http_proxy), ("HTTPS_PROXY", &rest.https_proxy), ("NO_PROXY", &rest.no_proxy)];
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
}

/// Flags that the supervisor at hand does not learn of, because it was not started by this engine.
pub fn unheard(config: &Config) -> Option<String> {
    config.flags.containerd.as_ref()?;
    let rest = &config.flags.rest;
    let given = [
        ("max-concurrent-downloads", rest.max_concurrent_downloads.is_some()),
        ("max-concurrent-uploads", rest.max_concurrent_uploads.is_some()),
        ("http-proxy", rest.http_proxy.is_some()),
        ("https-proxy", rest.https_proxy.is_some()),
        ("no-proxy", rest.no_proxy.is_some()),
    ];
    let names: Vec<&str> =
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "WARNING: {} has no effect: set it where the containerd of --containerd is started",
            names.join(", ")
        )
    })
}
