//! The runtime's side of making a container.

use std::os::fd::OwnedFd;

use std::path::Path;

use mount::Tree;
use namespaces::{Kind, Plan};
use runtime_spec::{Linux, Process, Status};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{DumpableBehavior, Pid, geteuid, set_dumpable_behavior};
use syscalls::clone::{self, Side, clone3};

use super::announce::{announce, send_pidfd};
use super::channel::Channel;
use super::conversation::Conversation;
use super::group::{Group, Manager, ignored_limits};
use super::init::Init;
use super::notify::Notify;
use super::procfs::Procfs;
use super::program::{Program, Setting};
use super::undo::Undo;
use super::{Bundle, Streams, console, mounts, net_devices};
use crate::annotations;
use crate::clock;
use crate::container::{Container, Id, Record, Store};
use crate::failure::{Failure, Tried};
use crate::global::Rootless;
use crate::log::Log;
use crate::seal;

/// How a container is to be made.
#[derive(Debug)]
pub struct Request<'a> {
    pub id: &'a Id,
    pub bundle: &'a Bundle,
    pub streams: &'a Streams,
    pub manager: Manager,
    pub rootless: Rootless,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// Whether another invocation will start the program.
    pub starts_later: bool,
    /// The socket that the container tells of its readiness.
    pub notify: Option<&'a Notify>,
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
    let (bundle, streams) = (request.bundle, request.streams);
    let none = Linux::default();
    let linux = bundle.spec.linux.as_ref().unwrap_or(&none);
    if let Some(text) = linux.resources.as_ref().and_then(ignored_limits) {
        log.warn(text);
    }
    let plan = plan(linux)?;
    let program = program(request, linux, plan.has(Kind::User), log)?;
    let (console, console_socket) = console::sockets(streams, program.terminal)?;
    let procfs = Procfs::open()?;
    let annotated = &bundle.spec.annotations;
    let group = Group::resolve(request.manager, request.rootless, linux, request.id.as_str(), annotated)?;

    let container = reserve(store, request, &plan, &group)?;
    let shared_root = if plan.has(Kind::Mount) { None } else { rootfs::mount_id(&bundle.rootfs) };
    let mut undo =
        Undo { container: &container, group: &group, child: None, shares: None, shared_root, armed: true };
    // First of all: whatever happens from here on, `delete --force` finds the cgroup and with it
    // every process.
    container.save_as(&container.record)?;
    let way = group.make().map_err(|failure| failure.within(STEP))?;
    let mut record = container.record.clone();
    if way.is_without() {
        record.cgroup_paths.clear();
    }
    undo.shares = shares(linux, request.id.as_str())?;
    if undo.shares.is_some() {
        record.shares.clone_from(&undo.shares);
        container.save_as(&record)?;
    }
    if let Some(notify) = request.notify {
        notify.prepare(!request.starts_later)?;
    }
    let fifo = if request.starts_later { Some(fifo(&container)?) } else { None };
    let (ours, theirs) = Channel::pair().tried("cannot make a channel")?;
    let mounts = mounts::prepare(bundle, linux, &plan)?;
    let tree = match plan.has(Kind::User) && geteuid().is_root() {
        true => {
            Some(Tree::copy(&bundle.rootfs, true, true).map_err(|error| Failure::new(error.to_string()))?)
        }
        false => None,
    };
    hide(&plan)?;
    let init = Init {
        spec: &bundle.spec,
        linux,
        rootfs_path: &bundle.rootfs,
        plan: &plan,
        program,
        mounts,
        tree,
        hierarchies: mounts::hierarchies(&group.host, (!way.is_without()).then_some(&group.cgroup)),
        join: way.join,
        delegates: group.delegates(),
        channel: theirs,
        procfs,
        fifo,
        console_socket,
        state: record.state(Status::Creating),
        net_devices: net_devices::find(&linux.net_devices)?,
        no_pivot: request.no_pivot,
        root: None,
    };
    let pid = match clone(&init).map_err(|failure| failure.within(STEP))? {
        Side::Child => {
            std::mem::forget(undo);
            drop(ours);
            init.run()
        }
        Side::Parent { pid, .. } => pid,
    };
    undo.child = Some(pid);
    seal::let_go();
    // The child's end of the channel, whose closing has to be the child's death. The rest of the
    // child's side costs nothing until this process ends.
    let Init { channel, net_devices, mounts, join, procfs, .. } = init;
    drop(channel);
    // A dozen descriptors, which the end closes at once.
    std::mem::forget((join, procfs));
    let has_intermediate = plan.needs_intermediate();
    let conversation = Conversation {
        request,
        linux,
        channel: &ours,
        net_devices: &net_devices,
        mounts: &mounts,
        has_intermediate,
    };
    let (pid, record) = conversation.hold(pid, &mut undo, record).map_err(|f| f.within(STEP))?;
    if let Some(path) = annotations::pidfd_receiver(annotated) {
        send_pidfd(Path::new(path), pid).map_err(|failure| failure.within(STEP))?;
    }
    announce(streams, pid).map_err(|failure| failure.within(STEP))?;
    undo.armed = false;
    drop(undo);
    Ok(Created { container: container.with(record), pid, channel: ours, console })
}

fn program(
    request: &Request<'_>,
    linux: &Linux,
    in_user_namespace: bool,
    log: &Log,
) -> Result<Program, Failure> {
    let none = Process::default();
    let setting = Setting {
        id: request.id.as_str(),
        filter: request.bundle.filter.clone(),
        no_new_keyring: request.no_new_keyring,
        preserve_fds: request.streams.preserve_fds,
        in_foreground: !request.streams.detach,
        may_set_groups: !namespaces::maps_itself(&linux.gid_mappings) || geteuid().is_root(),
        keeps_groups: annotations::keeps_groups(&request.bundle.spec.annotations),
        in_user_namespace,
    };
    let process = request.bundle.spec.process.as_ref().unwrap_or(&none);
    let program = Program::read(process, &setting, log)?;
    program.kept.close_others_on_exec()?;
    Ok(program)
}

/// Finds or makes the class of service that the configuration asks for.
pub fn shares(linux: &Linux, id: &str) -> Result<Option<resctrl::Group>, Failure> {
    let Some(wanted) = &linux.intel_rdt else { return Ok(None) };
    let made = match resctrl::Resctrl::find() {
        Some(resctrl) => resctrl::Group::make(&resctrl, wanted, id),
        None => Err(resctrl::Error::NotMounted),
    };
    made.map(Some).map_err(|error| Failure::from(error).within("/linux/intelRdt"))
}

/// Sorts the namespaces into new ones and joined ones.
pub fn plan(linux: &Linux) -> Result<Plan, Failure> {
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

/// Takes the name, and makes sure that nobody is in the cgroup: two containers in one would
/// freeze, limit and kill each other.
pub fn reserve(
    store: &Store,
    request: &Request<'_>,
    plan: &Plan,
    group: &Group,
) -> Result<Container, Failure> {
    let directory = store.reserve(request.id)?;
    let container = Container::new(directory, record(request, plan, group));
    // Before any undoing, which kills what is in the cgroup: here that is another's.
    let refused = match group.cgroup.is_used() {
        Ok(true) => Failure::new("container's cgroup is not empty").within(STEP),
        // What goes into a frozen one stays there without a word.
        Ok(false) if container.is_frozen()? => {
            Failure::new("container's cgroup unexpectedly frozen").within(STEP)
        }
        Ok(false) => return Ok(container),
        Err(error) => error.into(),
    };
    let _ = container.remove_directory();
    Err(refused)
}

fn record(request: &Request<'_>, plan: &Plan, group: &Group) -> Record {
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
        cgroup_paths: group.cgroup.paths(),
        scope: group.scope_name(),
        namespaces: kinds.map(|kind| kind.word().to_owned()).collect(),
        poststart: hooks.poststart,
        poststop: hooks.poststop,
        seccomp: spec.linux.as_ref().and_then(|linux| linux.seccomp.clone()),
        personality: spec.linux.as_ref().and_then(|linux| linux.personality.clone()),
        memory_policy: spec.linux.as_ref().and_then(|linux| linux.memory_policy.clone()),
        shares: None,
        shared_mount: None,
        no_new_keyring: request.no_new_keyring,
        creating: true,
        owner: rustix::process::getuid().as_raw(),
    }
}

fn fifo(container: &Container) -> Result<OwnedFd, Failure> {
    container.make_fifo()?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, container.fifo(), flags, Mode::empty()).tried("open exec fifo")
}

/// A process of the container must not see into this one or its copy (CVE-2016-9962).
///
/// An unprivileged runtime has to write the mappings of its child first, which the kernel allows
/// for a dumpable one only: there init hides itself, once it has its ids.
fn hide(plan: &Plan) -> Result<(), Failure> {
    if plan.is_new(Kind::User) && !geteuid().is_root() {
        return Ok(());
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried("cannot become undumpable")
}

fn clone(init: &Init<'_>) -> Result<Side, Failure> {
    let flags = match init.plan.needs_intermediate() {
        true => 0,
        // The cgroup namespace is made later, from within the cgroup.
        false => init.plan.new_flags(|kind| kind != Kind::Cgroup),
    };
    let cgroup = init.join.as_ref().and_then(|join| join.clone_into());
    clone3(&clone::Request { flags, cgroup, pidfd: false }).tried("cannot make the container's process")
}
