//! The supervisor: serves the containerd API, drives shims.

mod authority;
mod cli;
mod config;
mod fsck;
mod hosts;
mod logging;
mod metrics;
mod payload;
mod proxy;
mod publish;
mod requests;
mod restart;
mod sandboxes;
mod server;
mod services;
mod shims;
mod tasks;
mod tcp;

use cli::{Command, Flags};
use config::{Config, Socket};
use daemon::shutdown::{Request, Signals};
use errdefs::{Error, Result};
use server::{Parts, Sockets};
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::Instant;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let (flags, command) = match cli::parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("supervisord: {error}\nRun 'supervisord --help' for the flags and commands.");
            return ExitCode::from(2);
        }
    };
    match run(&flags, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("supervisord: {}", error.chain());
            if let Some(hint) = error.hint() {
                eprintln!("{hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags, command: Command) -> Result<()> {
    match command {
        Command::Print(text) => print(&text),
        Command::ConfigDefault => print(config::DEFAULT),
        Command::ConfigDump => print_table(&Config::load(flags)?.table),
        Command::ConfigMigrate => print_table(&config::migrated(flags)?),
        Command::Fsck { hash } => fsck::check(&Config::load(flags)?, hash, print),
        Command::Hosts { image } => print(&hosts::explain(&image, &Config::load(flags)?.transfer)?),
        Command::Publish { topic, namespace } => {
            let address = Config::load(flags)?.grpc.path;
            publish::publish(&address, &namespace, &topic)
        }
        Command::Serve => serve(&Config::load(flags)?),
    }
}

fn print_table(table: &toml::Table) -> Result<()> {
    let text = toml::to_string_pretty(table);
    print(&text.map_err(|cause| Error::internal("cannot write the configuration").with_source(cause))?)
}

fn print(text: &str) -> Result<()> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|cause| Error::unknown("cannot write to standard output").with_source(cause))
}

/// Opens what is on disk, listens, takes the shims of a former life back, serves, drains.
fn serve(config: &Config) -> Result<()> {
    let start = Instant::now();
    daemon::memory::be_thrifty();
    logging::start(&config.log_level, config.log_json);
    for warning in &config.warnings {
        tracing::warn!("configuration: {warning}");
    }
    adjust_oom_score(config.oom_score);
    config.timeouts.install();
    let inherited = daemon::socket::inherited();
    let parts = Parts::open(config)?;
    let sockets = sockets(config, inherited)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|cause| Error::unknown("cannot start").with_source(cause))?;
    let served = runtime.block_on(async {
        let mut signals =
            Signals::catch().map_err(|cause| Error::unknown("cannot catch signals").with_source(cause))?;
        parts.load().await?;
        let shims = parts.shims.clone();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let service = parts.serve(config, sockets, stopped).await?;
        tokio::pin!(service);
        tracing::info!(address = %config.grpc.path.display(), took = ?start.elapsed(), "supervisord is ready");
        tokio::spawn(daemon::memory::give_back());
        say(daemon::ready::ready());
        loop {
            tokio::select! {
                served = &mut service => return served,
                request = signals.next() => match request {
                    Request::Stop => break,
                    Request::Report => shims.describe(),
                    Request::Reload => {}
                },
            }
        }
        tracing::info!("stopping; tasks go on");
        say(daemon::ready::stopping());
        let _ = stop.send(true);
        service.await
    });
    // Calls that are stuck on a disk must not keep the daemon.
    runtime.shutdown_background();
    served
}

/// A service manager that cannot be told is no reason to stop.
fn say(told: std::io::Result<()>) {
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// Takes the sockets that the service manager passes, and makes those it does not.
fn sockets(config: &Config, inherited: Vec<std::os::fd::OwnedFd>) -> Result<Sockets> {
    let mut passed: Vec<UnixListener> = inherited.into_iter().map(UnixListener::from).collect();
    let mut take = |socket: &Socket| -> Result<UnixListener> {
        let path = socket.path.as_path();
        let at = |listener: &UnixListener| {
            listener.local_addr().is_ok_and(|addr| addr.as_pathname() == Some(path))
        };
        let position = passed.iter().position(at);
        let listener = match position {
            Some(position) => passed.remove(position),
            None => listen(socket)?,
        };
        let ready = listener.set_nonblocking(true);
        ready.map_err(|cause| {
            Error::unknown(format!("cannot listen on {}", path.display())).with_source(cause)
        })?;
        Ok(listener)
    };
    Ok(Sockets { grpc: take(&config.grpc)?, ttrpc: take(&config.ttrpc)? })
}

fn listen(socket: &Socket) -> Result<UnixListener> {
    let path = socket.path.as_path();
    if !config::fits_socket(path) {
        return Err(Error::invalid_argument(format!(
            "{:?}: unix socket path too long (> 104)",
            path.display()
        )));
    }
    let listener = daemon::socket::listen(path, Some(&socket.group)).map_err(|cause| match cause {
        daemon::socket::Error::InUse(_) => Error::failed_precondition(cause.to_string())
            .with_hint("stop the daemon that listens there, or give --address another path"),
        cause => Error::unknown(cause.to_string()),
    })?;
    if let Some(uid) = socket.uid {
        let owned = rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(uid)), None);
        owned.map_err(|cause| {
            Error::unknown(format!("cannot change owner of {}", path.display())).with_source(cause)
        })?;
    }
    Ok(listener)
}

/// In a user namespace the score can only be raised, and containers matter more than it.
fn adjust_oom_score(score: i32) {
    if score == 0 {
        return;
    }
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", score.to_string()) {
        tracing::warn!(%error, score, "cannot adjust the OOM score");
    }
}
