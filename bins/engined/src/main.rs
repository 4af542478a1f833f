//! The engine: serves the Docker Engine API, drives the containerd API.

mod api;
mod config;
mod containers;
mod detach;
mod engine;
mod events;
mod exec;
mod files;
mod filters;
mod identity;
mod images;
mod networks;
mod programs;
mod supervisor;
mod system;
mod time;
mod volumes;

use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use daemon::shutdown::{Request, Signals};
use errdefs::{Error, Result};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::Config;
use crate::engine::Engine;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("engined: {}", error.chain());
            if let Some(hint) = error.hint() {
                eprintln!("{hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let config = config::load(std::env::args_os())?;
    if config.flags.validate {
        println!("configuration OK");
        return Ok(());
    }
    let verbosity = log_to_stderr(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(64)
        .build()
        .map_err(|cause| Error::internal("cannot start the runtime").with_source(cause))?;
    runtime.block_on(serve(config, verbosity))
}

/// Which messages are printed.
fn verbosity(config: &Config) -> Targets {
    let level = match config.flags.log_level.as_str() {
        _ if config.is_debug() => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    // Only our own words: the libraries' are about their insides.
    Targets::new().with_target("engined", level).with_default(LevelFilter::WARN)
}

/// Changes the verbosity of a running engine.
type Verbosity = Box<dyn Fn(&Config) + Send>;

fn log_to_stderr(config: &Config) -> Verbosity {
    let (filter, handle) = tracing_subscriber::reload::Layer::new(verbosity(config));
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
    Box::new(move |config| drop(handle.reload(verbosity(config))))
}

async fn serve(config: Config, verbosity: Verbosity) -> Result<()> {
    let mut signals =
        Signals::catch().map_err(|cause| Error::internal("cannot catch signals").with_source(cause))?;
    let pidfile = claim_pidfile(&config)?;
    let sockets = open_sockets(&config)?;
    let engine = tokio::task::spawn_blocking({
        let config = config.clone();
        // The connection is made inside the runtime, the files and the network outside of its workers.
        let handle = tokio::runtime::Handle::current();
        move || {
            let _inside = handle.enter();
            Engine::open(config)
        }
    })
    .await
    .map_err(|cause| Error::internal("cannot open the engine").with_source(cause))??;
    networks::guard::start(&engine);
    networks::refill(&engine);
    containers::rootfs::sweep(&config.run("mounts"));
    // Whoever asks first must find what runs.
    containers::reconcile::all(&engine).await;
    containers::reconcile::start_at_boot(&engine).await;
    tokio::spawn(supervisor::events::follow(engine.clone()));
    for listener in sockets.listeners {
        tokio::spawn(api::serve::listen(engine.clone(), listener));
    }
    daemon::ready::ready()
        .map_err(|cause| Error::internal("cannot tell the service manager").with_source(cause))?;
    tracing::info!(hosts = ?config.hosts(), supervisor = %engine.supervisor.address().display(), "ready");
    while signals.next().await == Request::Reload {
        match config::load(std::env::args_os()) {
            Ok(config) => {
                verbosity(&config);
                engine.reload(config.settings());
                tracing::info!("settings reloaded");
            }
            // What was good goes on.
            Err(error) => tracing::error!(error = %error.chain(), "cannot reload the settings"),
        }
    }
    finish(&sockets.made, pidfile.as_deref());
    Ok(())
}

/// Containers go on; only what announces the engine goes.
fn finish(sockets: &[PathBuf], pidfile: Option<&Path>) {
    let _ = daemon::ready::stopping();
    for path in sockets.iter().map(PathBuf::as_path).chain(pidfile) {
        let _ = std::fs::remove_file(path);
    }
}

/// Listening sockets, and the paths of those made here.
struct Sockets {
    listeners: Vec<tokio::net::UnixListener>,
    made: Vec<PathBuf>,
}

fn open_sockets(config: &Config) -> Result<Sockets> {
    let mut sockets = Sockets { listeners: Vec::new(), made: Vec::new() };
    let inherited = daemon::socket::inherited();
    let wants_inherited = config.hosts().iter().any(|host| host.starts_with("fd://"));
    if wants_inherited && inherited.is_empty() {
        return Err(Error::invalid_argument(
            "cannot listen on fd://: no sockets were passed by a service manager",
        ));
    }
    let mut all: Vec<StdListener> = inherited.into_iter().map(StdListener::from).collect();
    for host in config.hosts() {
        let Some(path) = host.strip_prefix("unix://") else { continue };
        let path = PathBuf::from(path);
        let listener = daemon::socket::listen(&path, Some(&config.flags.group))
            .map_err(|cause| Error::failed_precondition(cause.to_string()))?;
        all.push(listener);
        sockets.made.push(path);
    }
    for listener in all {
        let opened =
            listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
        sockets
            .listeners
            .push(opened.map_err(|cause| Error::internal("cannot use a socket").with_source(cause))?);
    }
    Ok(sockets)
}

/// Writes the process id where asked, unless a live engine has done so.
fn claim_pidfile(config: &Config) -> Result<Option<PathBuf>> {
    let Some(path) = &config.flags.pidfile else { return Ok(None) };
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let pid = before.trim();
    let is_live = !pid.is_empty()
        && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "engined");
    if is_live && pid != std::process::id().to_string() {
        return Err(Error::failed_precondition(format!(
            "process with PID {pid} is still running, see {}",
            path.display()
        )));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(files::failed("make directory", directory))?;
    }
    files::replace(path, std::process::id().to_string().as_bytes(), files::Promise::Process)?;
    Ok(Some(path.clone()))
}
