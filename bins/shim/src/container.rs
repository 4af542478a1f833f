//! A container: its processes, its runtime, and how its end is told.

use crate::bundle::{Bundle, Config};
use crate::cgroup::Group;
use crate::command;
use crate::events::{Events, timestamp};
use crate::journal::warn;
use crate::process::{Process, Status};
use crate::reaper::{Exit, Reaper};
use containerd_api::events::{TaskExit, TaskOom};
use containerd_api::runc::v1::Options;
use errdefs::{Error, Result};
use oci_runtime::Runtime;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long an exit waits for the process's last output to be taken.
const DRAIN: Duration = Duration::from_secs(5);
/// How long init's exit waits for those of its execs.
const EXECS: Duration = Duration::from_secs(10);

/// One container of this shim.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) bundle: Bundle,
    pub(crate) runtime: Runtime,
    pub(crate) options: Options,
    pub(crate) init: Arc<Process>,
    /// The image directory of a checkpoint that init is restored from at its start.
    pub(crate) checkpoint: Option<String>,
    /// All processes end with init by themselves.
    pub(crate) own_pids: bool,
    /// Its root is no concern of the runtime any more once init is gone: no hook comes after.
    pub(crate) leaves_root: bool,
    execs: Mutex<HashMap<String, Arc<Process>>>,
    /// How many execs are being started or run.
    running_execs: watch::Sender<usize>,
    group: OnceLock<Group>,
    /// Pause, resume, update and checkpoint come one after the other.
    pub(crate) change: tokio::sync::Mutex<()>,
}

/// What every container shares.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) namespace: String,
    pub(crate) reaper: Reaper,
    pub(crate) events: Events,
}

impl Container {
    pub(crate) fn new(
        id: &str,
        bundle: Bundle,
        runtime: Runtime,
        options: Options,
        init: Process,
        checkpoint: Option<String>,
        config: &Config,
    ) -> Container {
        Container {
            id: id.to_owned(),
            bundle,
            runtime,
            options,
            init: Arc::new(init),
            checkpoint,
            own_pids: config.has_own_pids(),
            leaves_root: !config.has_last_hooks(),
            execs: Mutex::default(),
            running_execs: watch::Sender::new(0),
            group: OnceLock::new(),
            change: tokio::sync::Mutex::new(()),
        }
    }

    /// Init for the empty id, else the exec.
    pub(crate) fn process(&self, exec_id: &str) -> Result<Arc<Process>> {
        if exec_id.is_empty() {
            return Ok(self.init.clone());
        }
        let found = self.execs().get(exec_id).cloned();
        found.ok_or_else(|| Error::not_found(format!("process does not exist {exec_id}")))
    }

    /// Adds an exec that was asked for.
    pub(crate) fn add_exec(&self, process: Process) -> Result<()> {
        let mut execs = self.execs();
        if execs.contains_key(&process.id) {
            return Err(Error::already_exists(format!("id {}", process.id)));
        }
        execs.insert(process.id.clone(), Arc::new(process));
        Ok(())
    }

    /// Forgets an exec.
    pub(crate) fn remove_exec(&self, exec_id: &str) {
        self.execs().remove(exec_id);
    }

    /// The processes that run: init and execs.
    pub(crate) fn running(&self) -> Vec<Arc<Process>> {
        let execs = self.execs();
        let all = std::iter::once(&self.init).chain(execs.values());
        all.filter(|process| process.live_pid().is_some()).cloned().collect()
    }

    /// A line for each of its processes: status, pid, how it ended.
    pub(crate) fn describe(&self) -> Vec<String> {
        let execs: Vec<_> = self.execs().values().cloned().collect();
        let line = |process: &Arc<Process>| {
            let ended = process.exit().map_or(String::new(), |exit| format!(", exit status {}", exit.status));
            let busy = if process.busy.try_lock().is_err() { ", busy" } else { "" };
            let (name, pid) = (if process.is_init() { "init" } else { &process.id }, process.pid());
            format!(
                "{} {name}: {:?}, pid {}{ended}{busy}",
                self.id,
                process.status(),
                pid.unwrap_or_default()
            )
        };
        std::iter::once(&self.init).chain(&execs).map(line).collect()
    }

    fn execs(&self) -> MutexGuard<'_, HashMap<String, Arc<Process>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the owner of pipes is taken from: the options' user and group, if not root.
    pub(crate) fn pipe_owner(&self) -> Option<(u32, u32)> {
        let owner = (self.options.io_uid, self.options.io_gid);
        (owner != (0, 0)).then_some(owner)
    }

    /// The container's cgroup.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.get()
    }

    /// Init is there: takes note of its cgroup, and of its exit when it comes.
    pub(crate) fn watch_init(
        self: &Arc<Self>,
        pid: i32,
        exit: oneshot::Receiver<Exit>,
        surroundings: &Surroundings,
    ) {
        match Group::of(pid) {
            Ok(group) => drop(self.group.set(group)),
            Err(error) => warn(&format!("cannot find the cgroup of {}: {error}", self.id)),
        }
        tokio::spawn(self.clone().keep_init(exit, surroundings.clone()));
    }

    /// An exec's place among those that init's exit waits for.
    pub(crate) fn begin_exec(self: &Arc<Self>) -> Result<RunningExec> {
        if self.init.exit().is_some() || self.init.status() == Status::Stopped {
            let text = format!("container {} init process is not running", self.id);
            return Err(Error::failed_precondition(text));
        }
        self.running_execs.send_modify(|count| *count += 1);
        Ok(RunningExec(self.clone()))
    }

    /// Takes note of an exec's exit when it comes.
    pub(crate) fn watch_exec(
        self: &Arc<Self>,
        process: Arc<Process>,
        exit: oneshot::Receiver<Exit>,
        running: RunningExec,
        surroundings: &Surroundings,
    ) {
        tokio::spawn(self.clone().keep_exec(process, exit, running, surroundings.events.clone()));
    }

    async fn keep_exec(
        self: Arc<Self>,
        process: Arc<Process>,
        exit: oneshot::Receiver<Exit>,
        running: RunningExec,
        events: Events,
    ) {
        let exit = exit.await.unwrap_or_else(|_| Exit::killed());
        // Want of memory is told before the end that it brings.
        if exit.status == Exit::KILLED && self.group().is_some_and(Group::was_killed) {
            self.tell_oom(&events);
        }
        self.tell(&process, exit, &events).await;
        drop(running);
    }

    async fn keep_init(self: Arc<Self>, mut exit: oneshot::Receiver<Exit>, surroundings: Surroundings) {
        let exit = self.until_exit(&mut exit, &surroundings.events).await;
        if !self.own_pids {
            let kill = self.runtime.kill(&self.id, 9, true);
            // With nobody left there is nobody to kill, which is an error for some runtimes.
            let _ = command::run(&surroundings.reaper, &self.runtime, "kill", kill, None).await;
        }
        let mut execs = self.running_execs.subscribe();
        let all_gone = async { execs.wait_for(|count| *count == 0).await.is_ok() };
        if tokio::time::timeout(EXECS, all_gone).await.is_err() {
            warn(&format!("execs of {} outlive its init", self.id));
        }
        if self.group().is_some_and(Group::last_oom) {
            self.tell_oom(&surroundings.events);
        }
        self.tell(&self.init, exit, &surroundings.events).await;
    }

    /// Waits for init's exit; meanwhile tells of memory shortage.
    async fn until_exit(&self, exit: &mut oneshot::Receiver<Exit>, events: &Events) -> Exit {
        loop {
            tokio::select! {
                biased;
                exit = &mut *exit => return exit.unwrap_or_else(|_| Exit::killed()),
                killed = async {
                    match self.group() {
                        Some(group) => group.oom().await,
                        None => std::future::pending().await,
                    }
                } => if killed { self.tell_oom(events) },
            }
        }
    }

    fn tell_oom(&self, events: &Events) {
        events.publish("/tasks/oom", &TaskOom { container_id: self.id.clone() });
    }

    /// Makes an exit known: after the process's start was told and its output was taken.
    async fn tell(&self, process: &Process, exit: Exit, events: &Events) {
        let busy = process.busy.lock().await;
        let io = process.take_io();
        if let Some(io) = &io {
            io.drain(DRAIN).await;
        }
        process.give_io(io);
        process.end(exit);
        let id = if process.is_init() { &self.id } else { &process.id };
        events.publish(
            "/tasks/exit",
            &TaskExit {
                container_id: self.id.clone(),
                id: id.clone(),
                pid: process.pid().unwrap_or_default() as u32,
                exit_status: exit.status,
                exited_at: Some(timestamp(exit.at)),
            },
        );
        drop(busy);
    }
}

/// Counts as a running exec until it is dropped.
pub(crate) struct RunningExec(Arc<Container>);

impl Drop for RunningExec {
    fn drop(&mut self) {
        self.0.running_execs.send_modify(|count| *count -= 1);
    }
}
