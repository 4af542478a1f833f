//! The runtime's side of making a container.

use std::os::fd::OwnedFd;
use std::path::Path;

use cgroups::{Cgroup, Host};
use mount::Tree;
use namespaces::{Kind, Plan};
use rootfs::{Hierarchy, Prepared};
use runtime_spec::{Linux, Resources, Status};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, WaitOptions, pidfd_open, set_dumpable_behavior, waitpid,
};
use syscalls::clone::{self, Side, clone3};

use super::channel::{Channel, Note};
use super::init::Init;
use super::procfs::Procfs;
use super::program::{Program, Setting};
use super::undo::Undo;
use super::{Bundle, Streams, console, run_hooks, seccomp_agent};
use crate::clock;
use crate::container::{Container, Id, Record, Store, start_time};
use crate::failure::{Failure, Tried};
use crate::log::Log;

/// How a container is to be made.
#[derive(Debug)]
pub struct Request<'a> {
    pub id: &'a Id,
    pub bundle: &'a Bundle,
    pub streams: &'a Streams,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// Whether another invocation will start the program.
    pub starts_later: bool,
}

/// A container whose init waits for leave to run its program.
pub struct Created {
    pub container: Container,
    pub pid: Pid,
    pub channel: Channel,
    /// Where the terminal's master arrives when the runtime stays.
    pub console: Option<OwnedFd>,
}

const STEP: &str = "unable to start container process";

/// Makes a container up to the moment before its program runs.
pub fn create(store: &Store, request: &Request<'_>, log: &Log) -> Result<Created, Failure> {
    let bundle = request.bundle;
    let linux = bundle.spec.linux.clone().unwrap_or_default();
    let plan = plan(&linux)?;
    let process = bundle.spec.process.clone().unwrap_or_default();
    let may_set_groups = rustix::process::geteuid().is_root();
    let setting = Setting {
        id: request.id.as_str(),
        seccomp: linux.seccomp.as_ref(),
        no_new_keyring: request.no_new_keyring,
        preserve_fds: request.streams.preserve_fds,
        may_set_groups,
    };
    let program = Program::read(&process, &setting, |text| log.warn(text))?;
    program.kept.close_others_on_exec()?;
    let console_socket = console::connect(request.streams, process.terminal)?;
    let procfs = Procfs::open()?;
    let host = Host::detect()?;
    let cgroup = Cgroup::resolve(&host, &linux.cgroups_path, request.id.as_str())?;

    let directory = store.reserve(request.id)?;
    let container = Container::new(directory, record(request, &plan, &cgroup));
    // Before the undoing is armed: that kills what is in the cgroup, which here is another's.
    if let Err(failure) = refuse_used_cgroup(&cgroup) {
        let _ = container.remove_directory();
        return Err(failure);
    }
    let mut undo = Undo { container: &container, cgroup: &cgroup, child: None, armed: true };
    // First of all: whatever happens from here on, `delete --force` finds the cgroup and with it
    // every process.
    container.save_as(&container.record)?;
    cgroup.create().map_err(|error| Failure::from(error).within(STEP))?;
    cgroup.apply(&limits(&linux)).map_err(|error| Failure::from(error).within(STEP))?;
    let fifo = match request.starts_later {
        true => {
            container.make_fifo()?;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            Some(rustix::fs::openat(CWD, container.fifo(), flags, Mode::empty()).tried("open exec fifo")?)
        }
        false => None,
    };
    let (ours, theirs) = Channel::pair().tried("cannot make a channel")?;
    let (console, console_socket) = match (process.terminal, console_socket) {
        (true, None) => {
            let (a, b) = std::os::unix::net::UnixStream::pair().tried("cannot make a socket")?;
            (Some(a.into()), Some(b.into()))
        }
        (_, socket) => (None, socket),
    };
    let mounts = prepare_mounts(bundle, &linux, &plan)?;
    let tree = match plan.has(Kind::User) {
        true => {
            Some(Tree::copy(&bundle.rootfs, true, true).map_err(|error| Failure::new(error.to_string()))?)
        }
        false => None,
    };
    // A process of the container must not see into this one or its copy (CVE-2016-9962).
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried("cannot become undumpable")?;
    let init = Init {
        spec: &bundle.spec,
        linux: &linux,
        rootfs_path: &bundle.rootfs,
        plan: &plan,
        program,
        mounts,
        tree,
        hierarchies: hierarchies(&host, &cgroup),
        join: cgroup.join()?,
        channel: theirs,
        procfs,
        fifo,
        console_socket,
        state: container.record.state(Status::Creating),
        no_pivot: request.no_pivot,
        root: None,
    };
    let flags = match plan.needs_intermediate() {
        true => 0,
        // The cgroup namespace is made later, from within the cgroup.
        false => plan.new_flags(|kind| kind != Kind::Cgroup),
    };
    let side = {
        let request = clone::Request { flags, cgroup: init.join.clone_into(), pidfd: false };
        clone3(&request)
    };
    let pid = match side.tried("cannot make the container's process").map_err(|f| f.within(STEP))? {
        Side::Child => {
            std::mem::forget(undo);
            drop(ours);
            init.run()
        }
        Side::Parent { pid, .. } => pid,
    };
    undo.child = Some(pid);
    // Descriptors of the child's side; its copies are its own. What closing unmounts is nothing
    // while the child's copies are open.
    drop(init);
    let conversation = Conversation { request, linux: &linux, channel: &ours };
    let (pid, record) =
        conversation.hold(pid, &mut undo, container.record.clone()).map_err(|f| f.within(STEP))?;
    announce(request.streams, pid).map_err(|f| f.within(STEP))?;
    undo.armed = false;
    drop(undo);
    let container = container.with(record);
    Ok(Created { container, pid, channel: ours, console })
}

/// Sorts the namespaces into new ones and joined ones.
fn plan(linux: &Linux) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    for namespace in &linux.namespaces {
        let kind = Kind::parse(&namespace.kind).map_err(|error| Failure::new(error.to_string()))?;
        match namespace.path.as_str() {
            "" => plan.new.push(kind),
            path => plan.joined.push((kind, path.into())),
        }
    }
    Ok(plan)
}

fn record(request: &Request<'_>, plan: &Plan, cgroup: &Cgroup) -> Record {
    let spec = &request.bundle.spec;
    let hooks = spec.hooks.clone().unwrap_or_default();
    let kinds = Kind::ALL.into_iter().filter(|kind| plan.has(*kind));
    Record {
        id: request.id.as_str().to_owned(),
        oci_version: spec.oci_version.clone(),
        init_process_pid: 0,
        init_process_start: 0,
        created: clock::nanoseconds(),
        bundle: request.bundle.directory.clone(),
        rootfs: request.bundle.rootfs.clone(),
        annotations: spec.annotations.clone(),
        cgroup_paths: cgroup.paths(),
        namespaces: kinds.map(|kind| kind.word().to_owned()).collect(),
        poststart: hooks.poststart,
        poststop: hooks.poststop,
        seccomp: spec.linux.as_ref().and_then(|linux| linux.seccomp.clone()),
        no_new_keyring: request.no_new_keyring,
        creating: true,
        owner: rustix::process::getuid().as_raw(),
    }
}

/// Two containers in one cgroup would freeze, limit and kill each other.
fn refuse_used_cgroup(cgroup: &Cgroup) -> Result<(), Failure> {
    if cgroup.exists() && !cgroup.all_processes()?.is_empty() {
        return Err(Failure::new("container's cgroup is not empty").within(STEP));
    }
    Ok(())
}

/// The configuration's limits, with the device rules that every container needs at the end.
fn limits(linux: &Linux) -> Resources {
    let mut resources = linux.resources.clone().unwrap_or_default();
    resources.devices.extend(cgroups::default_devices());
    resources
}

/// Reads the mounts, and opens what the container itself could not: with a user namespace the
/// sources of binds, and trees whose ids are mapped.
fn prepare_mounts(bundle: &Bundle, linux: &Linux, plan: &Plan) -> Result<Vec<Prepared>, Failure> {
    let mut mounts = Vec::with_capacity(bundle.spec.mounts.len());
    for entry in &bundle.spec.mounts {
        let mut mount = Prepared::read(entry, &bundle.directory)?;
        let mapped = !entry.uid_mappings.is_empty() || mount.options.idmap.is_some();
        if mapped && mount.options.bind {
            let (uids, gids) = match entry.uid_mappings.is_empty() {
                true => (&linux.uid_mappings, &linux.gid_mappings),
                false => (&entry.uid_mappings, &entry.gid_mappings),
            };
            let namespace = namespaces::user_namespace_with(uids, gids)?;
            use std::os::fd::AsFd;
            mount.open(Some(namespace.as_fd()))?;
        } else if plan.has(Kind::User) && mount.options.bind && !mount.options.copy_symlink {
            mount.open(None)?;
        }
        mounts.push(mount);
    }
    Ok(mounts)
}

/// The host's v1 hierarchies as a container with a cgroup mount sees them.
fn hierarchies(host: &Host, cgroup: &Cgroup) -> Vec<Hierarchy> {
    let paths = cgroup.paths();
    host.v1
        .iter()
        .filter_map(|hierarchy| {
            let first = hierarchy.controllers.first()?;
            let name = hierarchy.mount_point.file_name()?.to_string_lossy().into_owned();
            let data = match first.strip_prefix("name=") {
                Some(_) => format!("none,{first}"),
                None => hierarchy.controllers.join(","),
            };
            Some(Hierarchy { name, data, directory: paths.get(first)?.clone() })
        })
        .collect()
}

/// The runtime's part of the talk with init.
struct Conversation<'a> {
    request: &'a Request<'a>,
    linux: &'a Linux,
    channel: &'a Channel,
}

impl Conversation<'_> {
    /// Answers init until it is ready; returns its process id and the record as saved.
    fn hold(&self, child: Pid, undo: &mut Undo<'_>, mut record: Record) -> Result<(Pid, Record), Failure> {
        let mut pid = child;
        let container = undo.container;
        let save = |record: &Record| container.save_as(record);
        let mut known = !self.has_intermediate();
        if known {
            self.fill(&mut record, pid);
        }
        loop {
            match self.channel.receive()? {
                Some(Note::Pid(number)) => {
                    let _ = waitpid(Some(child), WaitOptions::empty());
                    pid = Pid::from_raw(number).ok_or_else(|| Failure::new("no process"))?;
                    undo.child = Some(pid);
                    self.fill(&mut record, pid);
                    known = true;
                }
                Some(Note::WantsIds) => {
                    let (uids, gids) = (&self.linux.uid_mappings, &self.linux.gid_mappings);
                    namespaces::write_mappings(pid, uids, gids)?;
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
                    record.creating = false;
                    save(&record)?;
                    return Ok((pid, record));
                }
                Some(Note::Failed(text)) => return Err(Failure::new(text)),
                Some(Note::Ready | Note::Go) => return Err(Failure::new("init spoke out of turn")),
                None => return Err(died(pid, undo)),
            }
        }
    }

    fn has_intermediate(&self) -> bool {
        plan(self.linux).is_ok_and(|plan| plan.needs_intermediate())
    }

    fn fill(&self, record: &mut Record, pid: Pid) {
        record.init_process_pid = pid.as_raw_nonzero().get();
        record.init_process_start = start_time(record.init_process_pid).unwrap_or_default();
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
        let stats = undo.cgroup.stats().unwrap_or_default();
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

/// Tells the caller of the process, in the ways it asked for.
pub fn announce(streams: &Streams, pid: Pid) -> Result<(), Failure> {
    if let Some(path) = &streams.pid_file {
        write_pid_file(path, pid.as_raw_nonzero().get())?;
    }
    if let Some(path) = &streams.pidfd_socket {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).tried("cannot open pidfd")?;
        console::send_pidfd(path, pidfd)?;
    }
    Ok(())
}

/// Writes a process id where the caller wants it, whole or not at all.
fn write_pid_file(path: &Path, pid: i32) -> Result<(), Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let new = path.with_file_name(format!(".{name}"));
    std::fs::write(&new, pid.to_string())
        .and_then(|()| std::fs::rename(&new, path))
        .tried(format!("cannot write {}", path.display()))
}
