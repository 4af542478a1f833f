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
mod metrics;
mod networks;
mod programs;
mod remap;
mod supervisor;
mod system;
mod time;
mod volumes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use daemon::shutdown::{Request, Signals};
use errdefs::{Error, Result};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::Config;
use crate::engine::Engine;

/// Threads beyond one for each connection, for what the engine does by itself.
const SPARE_THREADS: usize = 64;

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
    daemon::memory::be_thrifty();
    let verbosity = log_to_stderr(&config);
    // Each container takes some for its names, each client one; the programs of containers are not started from here.
    if let Err(cause) = daemon::descriptors::raise() {
        tracing::warn!(%cause, "cannot raise the limit of open files");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Whoever reads an archive slowly keeps a thread that long, and nobody else may wait for it.
        .max_blocking_threads(api::serve::CONNECTIONS + SPARE_THREADS)
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
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match config.flags.rest.log_format.as_str() {
        "json" => lines.json().boxed(),
        _ => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Box::new(move |config| drop(handle.reload(verbosity(config))))
}

async fn serve(config: Config, verbosity: Verbosity) -> Result<()> {
    let mut signals =
        Signals::catch().map_err(|cause| Error::internal("cannot catch signals").with_source(cause))?;
    if let Some(score) = config.flags.rest.oom_score_adjust {
        let path = Path::new("/proc/self/oom_score_adj");
        std::fs::write(path, score.to_string()).map_err(files::failed("set", path))?;
    }
    let pidfile = claim_pidfile(&config)?;
    let metrics = config.flags.rest.metrics_addr.as_deref().filter(|address| !address.is_empty());
    let metrics = metrics.map(metrics::Listener::open).transpose()?;
    let sockets = api::listeners::open(&config)?;
    let opened = tokio::task::spawn_blocking({
        let config = config.clone();
        // The connection is made inside the runtime, the files and the network outside of its workers.
        let handle = tokio::runtime::Handle::current();
        move || {
            let _inside = handle.enter();
            Engine::open(config)
        }
    })
    .await
    .map_err(|cause| Error::internal("cannot open the engine").with_source(cause))?;
    if opened.is_err() {
        finish(&sockets.made, pidfile.as_deref());
    }
    let engine = opened?;
    networks::guard::start(&engine);
    networks::refill(&engine);
    containers::rootfs::sweep(&config.run("mounts"));
    // Whoever asks first must find what runs.
    containers::reconcile::all(&engine).await;
    containers::reconcile::start_at_boot(&engine).await;
    tokio::spawn(supervisor::events::follow(engine.clone()));
    for listener in sockets.all {
        tokio::spawn(api::serve::listen(engine.clone(), listener));
    }
    if let Some(listener) = metrics {
        engine.metrics.introduce(&engine)?;
        tokio::spawn(metrics::serve(engine.clone(), listener));
    }
    tokio::spawn(daemon::memory::give_back());
    daemon::ready::ready()
        .map_err(|cause| Error::internal("cannot tell the service manager").with_source(cause))?;
    tracing::info!(hosts = ?config.flags.host, supervisor = %engine.supervisor.address().display(), "ready");
    loop {
        match signals.next().await {
            Request::Stop => break,
            Request::Report => tracing::info!("asked for a report: the engine is at work"),
            Request::Reload => match config::load(std::env::args_os()) {
                Ok(config) => {
                    verbosity(&config);
                    engine.reload(config.settings());
                    tracing::info!("settings reloaded");
                }
                // What was good goes on.
                Err(error) => tracing::error!(error = %error.chain(), "cannot reload the settings"),
            },
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

/// Writes the process id where asked, unless a live engine has done so.
fn claim_pidfile(config: &Config) -> Result<Option<PathBuf>> {
    let Some(path) = &config.flags.pidfile else { return Ok(None) };
    let before = std::fs::read_to_string(path).unwrap_or_default();
    let pid = before.trim();
    // The same program, whatever it was started as.
    let program = |pid: &str| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let is_live = pid.parse::<u32>().is_ok() && program(pid).is_some() && program(pid) == program("self");
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
