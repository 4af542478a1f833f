//! The runtime's part of the talk with init.

use std::os::fd::OwnedFd;
use std::path::Path;

use namespaces::Kind;
use rootfs::Prepared;
use runtime_spec::{Linux, Namespace, Status};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::channel::{Channel, Note};
use super::create::Request;
use super::group::Group;
use super::net_devices::Moving;
use super::undo::Undo;
use super::{net_devices, run_hooks, seccomp_agent};
use crate::container::{Record, start_time};
use crate::failure::Failure;

/// Who talks, and about what.
pub struct Conversation<'a> {
    pub request: &'a Request<'a>,
    pub linux: &'a Linux,
    pub channel: &'a Channel,
    pub net_devices: &'a [Moving],
    pub mounts: &'a [Prepared],
    /// Whether the first child is only a step towards init.
    pub has_intermediate: bool,
}

impl Conversation<'_> {
    /// Answers init until it is ready; returns its process id and the record as saved.
    pub fn hold(
        &self,
        child: Pid,
        undo: &mut Undo<'_>,
        mut record: Record,
    ) -> Result<(Pid, Record), Failure> {
        let mut pid = child;
        let container = undo.container;
        let save = |record: &Record| container.save_as(record);
        if undo.group.scope.is_some() {
            undo.group.adopt(child)?;
            self.channel.send(&Note::Go)?;
        }
        let mut known = !self.has_intermediate;
        if known {
            self.fill(&mut record, pid)?;
        }
        loop {
            match self.channel.receive()? {
                Some(Note::Pid(number)) => {
                    let _ = waitpid(Some(child), WaitOptions::empty());
                    pid = Pid::from_raw(number).ok_or_else(|| Failure::new("no process"))?;
                    undo.child = Some(pid);
                    self.fill(&mut record, pid)?;
                    known = true;
                }
                Some(Note::WantsIds) => {
                    let (uids, gids) = (&self.linux.uid_mappings, &self.linux.gid_mappings);
                    namespaces::write_mappings(pid, uids, gids)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::WantsDelegation) => {
                    undo.group.delegate(pid)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::WantsDevices) => {
                    net_devices::give(self.net_devices, pid)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::WantsMapping(place, tree)) => {
                    let unclear = || Failure::new(format!("init asks for mount {place}, which there is not"));
                    self.mounts.get(place).ok_or_else(unclear)?.map_ids(tree)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::WantsHooks) => {
                    // Hooks ask for the state.
                    save(&record)?;
                    self.runtime_hooks(&record)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::Listener(listener)) => {
                    self.hand_over(&listener, &record)?;
                    self.channel.send(&Note::Go)?;
                }
                Some(Note::Ready) if known => {
                    self.give_cgroup(undo.group, pid)?;
                    record.creating = false;
                    if !record.has_namespace(Kind::Mount) {
                        record.shared_mount = rootfs::mount_id(&record.rootfs);
                    }
                    save(&record)?;
                    return Ok((pid, record));
                }
                Some(Note::Failed(text)) => return Err(Failure::new(text)),
                Some(Note::Ready | Note::Go) => return Err(Failure::new("init spoke out of turn")),
                None => return Err(died(pid, undo)),
            }
        }
    }

    fn fill(&self, record: &mut Record, pid: Pid) -> Result<(), Failure> {
        record.init_process_pid = pid.as_raw_nonzero().get();
        record.init_process_start = start_time(record.init_process_pid).unwrap_or_default();
        Ok(record.shares.iter().try_for_each(|shares| shares.add_process(record.init_process_pid))?)
    }

    /// Gives the program's user the group where the configuration lets it be written: a new cgroup
    /// namespace with a mount of it that is not read-only (config-linux.md#cgroup-ownership).
    fn give_cgroup(&self, group: &Group, pid: Pid) -> Result<(), Failure> {
        let is_new = |one: &Namespace| one.kind == Kind::Cgroup.word() && one.path.is_empty();
        let is_writable = |mount: &Prepared| {
            mount.source == "cgroup"
                && mount.destination == Path::new("/sys/fs/cgroup")
                && !mount.options.is_readonly()
        };
        let process = self.request.bundle.spec.process.as_ref();
        match process
            .filter(|_| self.linux.namespaces.iter().any(is_new) && self.mounts.iter().any(is_writable))
        {
            Some(process) => group.give_to_user(pid, process.user.uid),
            None => Ok(()),
        }
    }

    fn runtime_hooks(&self, record: &Record) -> Result<(), Failure> {
        let Some(hooks) = &self.request.bundle.spec.hooks else { return Ok(()) };
        let state = record.state(Status::Creating);
        run_hooks("prestart", &hooks.prestart, &state)?;
        run_hooks("createRuntime", &hooks.create_runtime, &state)
    }

    /// Gives the seccomp agent its descriptor and the container process state
    /// (config-linux.md#containerprocessstate).
    fn hand_over(&self, listener: &OwnedFd, record: &Record) -> Result<(), Failure> {
        let Some(profile) = &self.linux.seccomp else { return Ok(()) };
        let pid = record.init_process_pid;
        seccomp_agent::hand_over(profile, listener, pid, record, Status::Creating)
    }
}

/// What is said of an init that ended without a word.
fn died(pid: Pid, undo: &mut Undo<'_>) -> Failure {
    let status = waitpid(Some(pid), WaitOptions::empty()).ok().flatten();
    undo.child = None;
    let starved = || {
        let stats = undo.group.cgroup.stats().unwrap_or_default();
        stats.memory.events.get("oom_kill").is_some_and(|kills| *kills > 0)
    };
    match status.and_then(|(_, status)| status.terminating_signal()) {
        Some(libc::SIGKILL) if starved() => {
            Failure::new("container init was OOM-killed (memory limit too low?)")
        }
        Some(signal) => Failure::new(format!("container init was killed by signal {signal}")),
        None => Failure::new("container init ended without a word"),
    }
}
