//! Another process in a container that runs.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cgroups::{Cgroup, Join, UnifiedBy};
use namespaces::Kind;
use rootfs::{Console, Root};
use runtime_spec::{Process, Status};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, WaitOptions, pidfd_open, set_dumpable_behavior, waitpid,
};
use seccomp::Filter;
use syscalls::clone::{self, Side, clone3};

use super::affinity::Affinity;
use super::announce::announce;
use super::channel::{Channel, Note};
use super::procfs::Procfs;
use super::program::{Program, Setting};
use super::{Streams, console, seccomp_agent, settle};
use crate::annotations;
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::log::Log;
use crate::seal;

/// What runs where.
pub struct Entry<'a> {
    pub container: &'a Container,
    pub process: &'a Process,
    pub streams: &'a Streams,
    /// Groups below the container's own, `exec --cgroup`.
    pub subgroups: &'a [String],
}

/// A process that runs in the container.
pub struct Entered {
    pub pid: Pid,
    /// Where the terminal's master arrives when the runtime stays.
    pub console: Option<OwnedFd>,
}

const STEP: &str = "unable to start container process";

/// Starts a process in a container; returns once its program runs.
pub fn enter(entry: &Entry<'_>, log: &Log) -> Result<Entered, Failure> {
    let record = &entry.container.record;
    let setting = Setting {
        id: &record.id,
        filter: record.seccomp.as_ref().map(compile).transpose()?,
        no_new_keyring: record.no_new_keyring,
        preserve_fds: entry.streams.preserve_fds,
        in_foreground: !entry.streams.detach,
        may_set_groups: may_set_groups(record.init_process_pid),
        keeps_groups: annotations::keeps_groups(&record.annotations),
        in_user_namespace: record.has_namespace(Kind::User),
    };
    let program = Program::read(entry.process, &setting, log)?;
    program.kept.close_others_on_exec()?;
    let affinity = Affinity::read(entry.process.exec_cpu_affinity.as_ref())?;
    if let Some(mask) = affinity.initial_mask() {
        log.debug(&format!("affinity: {mask:#x}"));
    }
    let (console, console_socket) = console::sockets(entry.streams, program.terminal)?;
    let init = Pid::from_raw(record.init_process_pid)
        .ok_or_else(|| Failure::new("cannot exec in a stopped container"))?;
    let pidfd = pidfd_open(init, PidfdFlags::empty())
        .map_err(|_| Failure::new("cannot exec in a stopped container"))?;
    // The number may have been given to another process before the descriptor was opened.
    if !entry.container.is_alive() {
        return Err(Failure::new("cannot exec in a stopped container"));
    }
    let join = cgroup_of(entry)?;
    let (ours, theirs) = Channel::pair().tried("cannot make a channel")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried("cannot become undumpable")?;
    let mut visitor = Visitor {
        container: entry.container,
        program,
        affinity,
        pidfd,
        join,
        clone_joined: true,
        is_user: false,
        channel: theirs,
        procfs: Procfs::open()?,
        console_socket,
    };
    if record.has_namespace(Kind::Pid) {
        // Reaches children only.
        let join = |flags| clone::setns(visitor.pidfd.as_fd(), flags);
        visitor.is_user = match join(Kind::Pid.flag()) {
            // Without privilege here the right to it comes with the user namespace.
            Err(error) if record.has_namespace(Kind::User) && error.raw_os_error() == Some(libc::EPERM) => {
                join(Kind::User.flag() | Kind::Pid.flag()).tried("cannot join namespaces")?;
                true
            }
            other => other.map(|()| false).tried("cannot join pid namespace")?,
        };
    }
    let side = visitor.clone().tried("cannot make a process").map_err(|f| f.within(STEP))?;
    let pid = match side {
        Side::Child => {
            drop(ours);
            visitor.run()
        }
        Side::Parent { pid, .. } => pid,
    };
    drop(visitor);
    seal::let_go();
    match converse(&ours, entry, pid) {
        Ok(()) => Ok(Entered { pid, console }),
        Err(failure) => {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
            Err(failure.within(STEP))
        }
    }
}

fn compile(profile: &runtime_spec::Seccomp) -> Result<Filter, Failure> {
    Filter::compile(profile)
        .map_err(|error| Failure::new(format!("cannot compile the seccomp profile: {error}")))
}

/// Whether groups may be set where this process is: the kernel's word once a mapping was written
/// without privilege, user_namespaces(7).
fn may_set_groups(pid: i32) -> bool {
    let read = || std::fs::read_to_string(format!("/proc/{pid}/setgroups"));
    rustix::process::geteuid().is_root() || read().is_ok_and(|word| word.trim() == "allow")
}

fn cgroup_of(entry: &Entry<'_>) -> Result<Join, Failure> {
    let cgroup = Cgroup::from_paths(&entry.container.record.cgroup_paths);
    if entry.container.record.cgroup_paths.is_empty() {
        // A rootless container without any.
        return Ok(cgroup.join()?);
    }
    if !entry.subgroups.is_empty() {
        let below = cgroup.subgroup(entry.subgroups)?.join_either();
        return below.map_err(|error| Failure::from(error).within("error adding pid to the sub cgroup"));
    }
    Ok(cgroup.join_beside(entry.container.record.init_process_pid)?)
}

/// Answers the process until its program runs, which closes the channel.
fn converse(channel: &Channel, entry: &Entry<'_>, pid: Pid) -> Result<(), Failure> {
    let record = &entry.container.record;
    let number = pid.as_raw_nonzero().get();
    loop {
        match channel.receive()? {
            Some(Note::Listener(listener)) => {
                if let Some(profile) = &record.seccomp {
                    let status = Status::Running;
                    seccomp_agent::hand_over(profile, &listener, number, record, status)?;
                }
                channel.send(&Note::Go)?;
            }
            Some(Note::Ready) => {
                record.shares.iter().try_for_each(|shares| shares.add_process(number))?;
                announce(entry.streams, pid)?;
                channel.send(&Note::Go)?;
            }
            Some(Note::Failed(text)) => return Err(Failure::new(text)),
            Some(_) => return Err(Failure::new("the process spoke out of turn")),
            None => return Ok(()),
        }
    }
}

/// The process on its way in.
struct Visitor<'a> {
    container: &'a Container,
    program: Program,
    affinity: Affinity,
    pidfd: OwnedFd,
    join: Join,
    clone_joined: bool,
    /// Whether the user namespace has been entered already.
    is_user: bool,
    channel: Channel,
    procfs: Procfs,
    console_socket: Option<OwnedFd>,
}

impl Visitor<'_> {
    fn clone(&mut self) -> std::io::Result<Side> {
        let cgroup = self.join.clone_into();
        match clone3(&clone::Request { flags: 0, cgroup, pidfd: false }) {
            // The group has controllers enabled below and takes processes no more.
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                self.clone_joined = false;
                clone3(&clone::Request::default())
            }
            other => other,
        }
    }

    fn run(mut self) -> ! {
        let Err(failure) = self.run_to_program();
        let _ = self.channel.send(&Note::Failed(failure.message));
        clone::exit_now(1)
    }

    fn run_to_program(&mut self) -> Result<Infallible, Failure> {
        self.affinity.set_initial()?;
        let by = if self.clone_joined { UnifiedBy::Clone } else { UnifiedBy::Write };
        self.join.enter(by)?;
        self.affinity.set_last()?;
        settle::oom_score(&self.program, &self.procfs)?;
        // Needs the host's procfs, and has to be done by the host's root.
        let root = self.shared_root()?;
        self.enter_namespaces()?;
        if let Some(root) = root {
            rootfs::chroot_shared(&root)?;
        }
        rustix::process::setsid().tried("cannot start a session")?;
        self.take_console()?;
        let record = &self.container.record;
        settle::policies(record.personality.as_ref(), record.memory_policy.as_ref())?;
        let path = settle::settle(&mut self.program, &self.procfs, &self.channel)?;
        self.channel.send(&Note::Ready)?;
        seal::let_go();
        self.channel.await_go()?;
        settle::execute(&self.program, &path)
    }

    /// All namespaces but the user namespace in one call, that one last: until then the rights of
    /// the host's root reach all others. Who has no such rights gets them by entering it first.
    fn enter_namespaces(&self) -> Result<(), Failure> {
        let record = &self.container.record;
        let flags = Kind::ALL
            .into_iter()
            .filter(|kind| record.has_namespace(*kind) && !matches!(kind, Kind::User | Kind::Pid))
            .fold(0, |flags, kind| flags | kind.flag());
        let pidfd = self.pidfd.as_fd();
        let has_user = record.has_namespace(Kind::User);
        let join = |flags| match flags {
            0 => Ok(()),
            flags => clone::setns(pidfd, flags),
        };
        match join(flags) {
            Err(error) if has_user && error.raw_os_error() == Some(libc::EPERM) => {
                join(flags | Kind::User.flag()).tried("cannot join namespaces")
            }
            Err(error) => Err(error).tried("cannot join namespaces"),
            Ok(()) if self.is_user => {
                process::user::become_user(0, 0, None).tried("cannot become root of the user namespace")
            }
            Ok(()) if has_user => {
                join(Kind::User.flag()).tried("cannot join user namespace")?;
                process::user::become_user(0, 0, None).tried("cannot become root of the user namespace")
            }
            Ok(()) => Ok(()),
        }
    }

    /// The root of a container that shares the mount namespace.
    fn shared_root(&self) -> Result<Option<Root>, Failure> {
        let record = &self.container.record;
        if record.has_namespace(Kind::Mount) {
            return Ok(None);
        }
        let path = format!("/proc/{}/root", record.init_process_pid);
        Root::open(Path::new(&path)).map(Some).tried("cannot open the container's root")
    }

    fn take_console(&mut self) -> Result<(), Failure> {
        if !self.program.terminal {
            return Ok(());
        }
        let root = Root::open(Path::new("/")).tried("cannot open the root")?;
        let console = Console::open(&root, self.program.console_size.as_ref())?;
        if let Some(socket) = self.console_socket.take() {
            console::send_master(socket, &console.master)?;
        }
        settle::take_terminal(&console.slave, &self.program)
    }
}
