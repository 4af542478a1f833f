//! Processes added to running containers.

mod start;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use containerd_api::services::tasks::v1::{DeleteProcessRequest, ResizePtyRequest};
use engine_api::exec::{ExecCreate, ExecCreated, ExecInspect, ProcessConfig};
use errdefs::{Error, Result};
use tokio::sync::watch;

use crate::containers::{Container, Phase, plan};
use crate::detach::DetachKeys;
use crate::engine::Engine;
use crate::supervisor::failed;

pub use start::{Client, start};

/// The execs of an engine, until their container ends.
#[derive(Default)]
pub struct Execs(Mutex<HashMap<String, Arc<Exec>>>);

/// One added process.
pub struct Exec {
    pub id: String,
    pub container: Arc<Container>,
    pub wish: ExecCreate,
    pub keys: DetachKeys,
    pub state: watch::Sender<State>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub is_started: bool,
    pub pid: u32,
    pub exit_code: Option<i64>,
}

impl Exec {
    /// Docker's word for what is done to it: the program, a space, and its arguments, be there any or none.
    fn action(&self, verb: &str) -> String {
        let words = self.wish.cmd.as_ref().map_or(&[][..], |words| words.as_slice());
        let (program, arguments) =
            words.split_first().map_or(("", String::new()), |(first, rest)| (first, rest.join(" ")));
        format!("{verb}: {program} {arguments}")
    }

    /// It runs or has run: nothing runs twice.
    pub fn has_started(&self) -> Error {
        let how = if self.is_running() { "is already running" } else { "has already run" };
        Error::failed_precondition(format!("exec command {} {how}", self.id))
    }

    fn is_running(&self) -> bool {
        let state = self.state.borrow();
        state.is_started && state.exit_code.is_none()
    }
}

impl Execs {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Exec>>> {
        self.0.lock().expect("no panic while held")
    }

    /// Forgets one that nobody asks for again.
    pub fn forget(&self, exec: &Exec) {
        exec.container.live().execs.retain(|id| *id != exec.id);
        self.all().remove(&exec.id);
    }

    /// By identifier or the beginning of one.
    ///
    /// # Errors
    /// No exec is meant.
    pub fn find(&self, typed: &str) -> Result<Arc<Exec>> {
        let all = self.all();
        let found = all.get(typed).or_else(|| {
            let mut fitting = all.iter().filter(|(id, _)| !typed.is_empty() && id.starts_with(typed));
            fitting.next().filter(|_| fitting.next().is_none()).map(|(_, exec)| exec)
        });
        found.cloned().ok_or_else(|| Error::not_found(format!("No such exec instance: {typed}")))
    }
}

/// Creates an exec in a running container.
///
/// # Errors
/// The container does not run, or the wish is malformed.
pub async fn create(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    wish: ExecCreate,
) -> Result<ExecCreated> {
    if !container.record().state.phase.is_live() {
        // It may be just starting: what it prints can be seen before that is recorded.
        drop(container.moving.lock().await);
    }
    match container.record().state.phase {
        Phase::Running => {}
        Phase::Paused => {
            return Err(Error::failed_precondition(format!(
                "Container {} is paused, unpause the container before exec",
                container.id
            )));
        }
        Phase::Restarting => {
            return Err(Error::failed_precondition(format!(
                "Container {} is restarting, wait until the container is running",
                container.id
            )));
        }
        _ => return Err(Error::failed_precondition(format!("container {} is not running", container.id))),
    }
    if wish.cmd.as_ref().is_none_or(|words| words.is_empty()) {
        return Err(Error::invalid_argument("No exec command specified"));
    }
    // A user that the container does not know is told of now: the start has no answer of its own any more.
    if !wish.user.is_empty() {
        let accounts = plan::accounts(engine, container, &container.record()).await?;
        accounts.resolve(&wish.user, &[])?;
    }
    let exec = Arc::new(Exec {
        id: crate::identity::new_id(),
        container: container.clone(),
        keys: DetachKeys::parse(&wish.detach_keys).map_err(|_| {
            Error::invalid_argument(format!("Invalid escape keys ({}) provided", wish.detach_keys))
        })?,
        wish,
        state: watch::Sender::new(State::default()),
    });
    engine.tell_container(&exec.action("exec_create"), container, &[("execID", exec.id.clone())]);
    container.live().execs.push(exec.id.clone());
    engine.execs.all().insert(exec.id.clone(), exec.clone());
    Ok(ExecCreated { id: exec.id.clone() })
}

/// `GET /exec/{id}/json`.
///
/// # Errors
/// No exec is meant.
pub fn inspect(engine: &Engine, typed: &str) -> Result<ExecInspect> {
    let exec = engine.execs.find(typed)?;
    let state = *exec.state.borrow();
    let words = exec.wish.cmd.clone().unwrap_or_default().0;
    Ok(ExecInspect {
        id: exec.id.clone(),
        running: exec.is_running(),
        exit_code: state.exit_code,
        process_config: ProcessConfig {
            tty: exec.wish.tty,
            entrypoint: words.first().cloned().unwrap_or_default(),
            arguments: words.get(1..).unwrap_or_default().to_vec(),
            privileged: Some(exec.wish.privileged),
            user: exec.wish.user.clone(),
        },
        open_stdin: exec.wish.attach_stdin,
        open_stderr: exec.wish.attach_stderr,
        open_stdout: exec.wish.attach_stdout,
        container_id: exec.container.id.clone(),
        detach_keys: String::new(),
        pid: i64::from(state.pid),
        ..ExecInspect::default()
    })
}

/// Tells an exec's terminal its size in characters.
///
/// # Errors
/// It does not run.
pub async fn resize(engine: &Engine, typed: &str, height: u32, width: u32) -> Result<()> {
    let exec = engine.execs.find(typed)?;
    // A client resizes as soon as it is connected: the start is under way then.
    let mut state = exec.state.subscribe();
    let patience = std::time::Duration::from_secs(10);
    let _ = tokio::time::timeout(patience, state.wait_for(|state| state.is_started)).await;
    if !exec.is_running() {
        return Err(Error::failed_precondition(format!("exec {} is not running", exec.id)));
    }
    let request =
        ResizePtyRequest { container_id: exec.container.id.clone(), exec_id: exec.id.clone(), width, height };
    engine.supervisor.tasks().resize_pty(request).await.map_err(failed("resize the terminal"))?;
    Ok(())
}

/// Records the end of an exec.
pub async fn exited(engine: &Arc<Engine>, id: &str, status: u32) {
    let Ok(exec) = engine.execs.find(id) else { return };
    finish(engine, &exec, i64::from(status)).await;
}

async fn finish(engine: &Arc<Engine>, exec: &Exec, code: i64) {
    let is_first = exec.state.send_if_modified(|state| {
        let is_first = state.exit_code.is_none();
        if is_first {
            state.exit_code = Some(code);
            state.is_started = true;
        }
        is_first
    });
    if !is_first {
        return;
    }
    engine.tell_container(
        "exec_die",
        &exec.container,
        &[("execID", exec.id.clone()), ("exitCode", code.to_string())],
    );
    let request = DeleteProcessRequest { container_id: exec.container.id.clone(), exec_id: exec.id.clone() };
    if let Err(status) = engine.supervisor.tasks().delete_process(request).await
        && status.code() != tonic::Code::NotFound
    {
        tracing::debug!(exec = exec.id, %status, "cannot delete an ended process");
    }
}

/// The container has ended, and all its processes with it. What ended unseen gets the code of a
/// killed process; clients may still ask for a while.
pub fn forget_of(engine: &Arc<Engine>, container: &Arc<Container>) {
    let ids = std::mem::take(&mut container.live().execs);
    let engine = engine.clone();
    tokio::spawn(async move {
        for id in &ids {
            let exec = engine.execs.all().get(id).cloned();
            if let Some(exec) = exec.filter(|exec| exec.is_running()) {
                // Its own exit event may be right behind.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                finish(&engine, &exec, 137).await;
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let mut all = engine.execs.all();
        for id in &ids {
            all.remove(id);
        }
    });
}
