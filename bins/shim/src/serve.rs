//! The server: one thread, from the start of its first container to the end of its last.

use crate::arguments::Arguments;
use crate::bundle::Bundle;
use crate::container::Surroundings;
use crate::events::{Events, Target};
use crate::journal;
use crate::reaper::Reaper;
use crate::rest;
use crate::sandbox::{self, SandboxService};
use crate::service::{NAMES, TaskService, Tasks};
use errdefs::{Error, Result};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The descriptor of the listening socket, for a server that is started as such.
const LISTENER: i32 = 3;
/// How long a thread that waits for disks is kept for the next wait; it is memory of a container that is quiet.
const IDLE_THREADS: Duration = Duration::from_secs(1);
/// How long the last events may take at the end.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// Serves on the socket that the arguments name, or on descriptor 3, until it is told to end.
pub fn serve(arguments: &Arguments) -> Result<()> {
    let listener = listener(arguments).map_err(cannot)?;
    let target = Target::new(std::env::var("TTRPC_ADDRESS").ok(), arguments);
    serve_on(listener, arguments, &Bundle::current()?, target)
}

/// Serves until it is told to end.
pub(crate) fn serve_on(
    listener: UnixListener,
    arguments: &Arguments,
    bundle: &Bundle,
    target: Target,
) -> Result<()> {
    rest::be_thrifty();
    journal::open(bundle.path());
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|e| cannot(e.into()))?;
    let socket = listener.local_addr().ok().and_then(|address| address.as_pathname().map(PathBuf::from));
    listener.set_nonblocking(true).map_err(cannot)?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().thread_keep_alive(IDLE_THREADS).build().map_err(cannot)?;
    let served = runtime.block_on(run(arguments, target, listener, socket));
    // Threads that unmount are not waited for: nobody asked for what they do.
    runtime.shutdown_background();
    served.map_err(cannot)
}

fn cannot(cause: std::io::Error) -> Error {
    Error::unknown("cannot serve").with_source(cause)
}

fn listener(arguments: &Arguments) -> std::io::Result<UnixListener> {
    if let Some(path) = &arguments.socket {
        return UnixListener::bind(path);
    }
    let inherited = syscalls::descriptors::inherited(LISTENER)
        .ok_or_else(|| std::io::Error::other("descriptor 3 is no socket: use the action start"))?;
    syscalls::descriptors::set_close_on_exec(LISTENER, true);
    Ok(inherited.into())
}

async fn run(
    arguments: &Arguments,
    target: Target,
    listener: UnixListener,
    socket: Option<PathBuf>,
) -> std::io::Result<()> {
    let reaper = Reaper::default();
    let mut child = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut report = signal(SignalKind::user_defined1())?;
    let sweeper = reaper.clone();
    tokio::spawn(async move {
        while child.recv().await.is_some() {
            sweeper.sweep();
        }
    });
    let events = Events::start(&arguments.namespace, target, reaper.clone());
    let surroundings =
        Surroundings { namespace: arguments.namespace.clone(), reaper, events: events.clone() };
    let tasks = Arc::new(Tasks::new(surroundings));
    let reported = tasks.clone();
    tokio::spawn(async move {
        while report.recv().await.is_some() {
            reported.report();
        }
    });
    let service = Arc::new(TaskService(tasks.clone()));
    let server = NAMES
        .iter()
        .fold(ttrpc::Server::new().same_user_only(), |server, name| server.service(*name, service.clone()))
        .service(sandbox::NAME, Arc::new(SandboxService(tasks.clone())));
    let mut ending = tasks.ending.subscribe();
    let end = async {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // From here on nobody shall find this server; connections that are open are answered.
        if let Some(path) = &socket {
            let _ = std::fs::remove_file(path);
        }
        events.flush(LAST_EVENTS).await;
    };
    server.serve(tokio::net::UnixListener::from_std(listener)?, end).await
}
