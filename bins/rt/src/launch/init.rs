//! What init does from its making to its program.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cgroups::{Join, UnifiedBy};
use mount::Tree;
use namespaces::{Kind, Plan};
use rootfs::{Console, Hierarchy, Mapper, Mounter, Prepared, Protector, Root};
use runtime_spec::{Linux, Spec, State, Status};
use rustix::fs::OFlags;
use syscalls::clone;
use syscalls::mount_attr::Change;
use syscalls::signals;

use super::channel::{Channel, Note};
use super::net_devices::Moving;
use super::procfs::Procfs;
use super::program::Program;
use super::{affinity, console, hooks, intermediate, net_devices, settle};
use crate::annotations;
use crate::failure::{Failure, Tried};
use crate::{seal, validate};

/// Everything init needs, made by the runtime before init is: it has no other way to the host.
pub struct Init<'a> {
    pub spec: &'a Spec,
    pub linux: &'a Linux,
    pub rootfs_path: &'a Path,
    pub plan: &'a Plan,
    pub program: Program,
    pub mounts: Vec<Prepared>,
    /// The root's tree, opened beforehand for a user namespace that could not.
    pub tree: Option<Tree>,
    pub hierarchies: Vec<Hierarchy>,
    /// None when another process puts init into its cgroup.
    pub join: Option<Join>,
    /// Whether the runtime moves init to a group below.
    pub delegates: bool,
    pub channel: Channel,
    pub procfs: Procfs,
    /// The fifo that start reads; none when the runtime itself starts the program.
    pub fifo: Option<OwnedFd>,
    pub console_socket: Option<OwnedFd>,
    pub state: State,
    pub net_devices: Vec<Moving>,
    pub no_pivot: bool,
    pub root: Option<Root>,
}

type Step = fn(&mut Init<'_>) -> Result<(), Failure>;

/// The way into the container. Each step stands where it must.
const STEPS: &[Step] = &[
    // First: while the host's ids and cgroup files are within reach, and before anything that
    // should be charged to the container.
    |init| init.enter_cgroup(),
    // The root is found with the host's ids; a mapped user may not be able to.
    |init| init.find_root(),
    |init| init.take_ids(),
    |init| init.new_session(),
    // After the cgroup is joined: it becomes the root of the new cgroup namespace.
    |init| init.cgroup_namespace(),
    |init| init.loopback(),
    |init| init.net_devices(),
    |init| init.enter_root_tree(),
    |init| init.mounts(),
    |init| init.devices(),
    |init| init.console(),
    // With namespaces and mounts in place and the host's tree still in sight.
    |init| init.hooks(),
    |init| init.names(),
    // Before /proc/sys becomes read-only.
    |init| init.sysctl(),
    |init| init.protect(),
    |init| init.change_root(),
    |init| init.policies(),
];

/// The runtime maps ids for an init in a user namespace.
#[derive(Debug)]
struct ByRuntime<'a> {
    channel: &'a Channel,
    /// Of the mount in the list.
    place: usize,
}

impl Mapper for ByRuntime<'_> {
    fn map_ids(&self, tree: BorrowedFd<'_>) -> io::Result<()> {
        let note = Note::WantsMapping(self.place, tree.try_clone_to_owned()?);
        let told = self.channel.send(&note).and_then(|()| self.channel.await_go());
        told.map_err(|failure| io::Error::other(failure.message))
    }
}

/// Paths without those that came before.
fn each_once(paths: &[String]) -> impl Iterator<Item = &Path> {
    let first = |(index, path): &(usize, &String)| !paths[..*index].contains(path);
    paths.iter().enumerate().filter(first).map(|(_, path)| Path::new(path))
}

impl Init<'_> {
    /// Runs in the new process and does not come back.
    pub fn run(mut self) -> ! {
        let Err(failure) = self.run_to_program();
        // Once ready there is nobody at the channel any more: start has read it from the fifo.
        let _ = self.channel.send(&Note::Failed(failure.message));
        clone::exit_now(1)
    }

    fn run_to_program(&mut self) -> Result<Infallible, Failure> {
        let within = |failure: Failure| failure.within("error during container init");
        for step in STEPS {
            step(self).map_err(within)?;
        }
        if let Some(fifo) = &self.fifo {
            // Before the filter, which may know nothing of these.
            let mut used = vec![fifo.as_raw_fd(), self.channel.as_raw_fd(), self.procfs.as_raw_fd()];
            used.extend(seal::descriptor());
            self.program.kept.close_others_but(&mut used).map_err(within)?;
            signals::end_when_asked();
        }
        let path = settle::settle(&mut self.program, &self.procfs, &self.channel).map_err(within)?;
        self.channel.send(&Note::Ready)?;
        seal::let_go();
        let told = self.await_start()?;
        let result = self.last_hooks().and_then(|()| settle::execute(&self.program, &path));
        let Err(failure) = result;
        if let Some(fifo) = told {
            let _ = rustix::io::write(&fifo, failure.message.as_bytes());
        }
        Err(failure)
    }

    fn enter_cgroup(&mut self) -> Result<(), Failure> {
        match self.join.take() {
            Some(join) => {
                join.enter(UnifiedBy::Clone)?;
                // Its descriptors go with all others at once, at the exec or before the wait for it.
                std::mem::forget(join);
            }
            None => self.channel.await_go()?,
        }
        affinity::unbind()?;
        settle::oom_score(&self.program, &self.procfs)?;
        if self.plan.needs_intermediate() {
            let offsets: Vec<_> =
                self.linux.time_offsets.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            return intermediate::become_init(self.plan, &offsets, &self.procfs, &self.channel);
        }
        Ok(self.plan.join()?)
    }

    fn find_root(&mut self) -> Result<(), Failure> {
        let path = self.rootfs_path;
        let found = match Root::open(path) {
            // The runtime has opened the tree; any place will do for it, until it is the root.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.tree.is_some() => {
                Root::open(Path::new("/"))
            }
            other => other,
        };
        self.root = Some(found.tried(format!("cannot open rootfs {path:?}"))?);
        Ok(())
    }

    fn take_ids(&mut self) -> Result<(), Failure> {
        if !self.plan.has(Kind::User) {
            return Ok(());
        }
        if self.plan.is_new(Kind::User) {
            self.channel.send(&Note::WantsIds)?;
            self.channel.await_go()?;
            use rustix::process::{DumpableBehavior, set_dumpable_behavior};
            set_dumpable_behavior(DumpableBehavior::NotDumpable).tried("cannot become undumpable")?;
        }
        process::user::become_user(0, 0, None).tried("cannot become root of the user namespace")
    }

    fn new_session(&mut self) -> Result<(), Failure> {
        rustix::process::setsid().map(drop).tried("cannot start a session")
    }

    fn cgroup_namespace(&mut self) -> Result<(), Failure> {
        if self.plan.is_new(Kind::Cgroup) {
            clone::unshare(Kind::Cgroup.flag()).tried("cannot make a cgroup namespace")?;
        }
        if !self.delegates {
            return Ok(());
        }
        self.channel.send(&Note::WantsDelegation)?;
        self.channel.await_go()
    }

    fn loopback(&mut self) -> Result<(), Failure> {
        if !self.plan.is_new(Kind::Network) {
            return Ok(());
        }
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::DGRAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .tried("cannot make a socket")?;
        use std::os::fd::AsFd;
        syscalls::loopback::set_up(socket.as_fd()).tried("cannot set the loopback device up")
    }

    fn net_devices(&mut self) -> Result<(), Failure> {
        if self.net_devices.is_empty() {
            return Ok(());
        }
        self.channel.send(&Note::WantsDevices)?;
        self.channel.await_go()?;
        net_devices::take(&self.net_devices)
    }

    fn found_root(&self) -> Result<&Root, Failure> {
        self.root.as_ref().ok_or_else(|| Failure::new("the root was not opened"))
    }

    fn enter_root_tree(&mut self) -> Result<(), Failure> {
        if !self.plan.has(Kind::Mount) {
            self.root = Some(rootfs::enter_shared(self.rootfs_path, self.found_root()?)?);
            return Ok(());
        }
        let propagation = rootfs::propagation_of(&self.linux.rootfs_propagation);
        let tree = self.tree.take();
        let root = rootfs::enter_tree(self.rootfs_path, self.found_root()?, tree, propagation)?;
        self.root = Some(root);
        Ok(())
    }

    fn mounter<'a>(&'a self, root: &'a Root, mapper: Option<&'a dyn Mapper>) -> Mounter<'a> {
        let label_option = annotations::mount_context_type(&self.spec.annotations);
        Mounter { root, label: &self.linux.mount_label, label_option, hierarchies: &self.hierarchies, mapper }
    }

    fn mounts(&mut self) -> Result<(), Failure> {
        let root = self.found_root()?;
        for (place, mount) in self.mounts.iter().enumerate() {
            let runtime = ByRuntime { channel: &self.channel, place };
            let mapper: &dyn Mapper = &runtime;
            self.mounter(root, self.plan.has(Kind::User).then_some(mapper)).mount(mount)?;
        }
        Ok(())
    }

    /// A `/dev` bound from somewhere else is whole as it is.
    fn owns_dev(&self) -> bool {
        !self.mounts.iter().any(|mount| mount.options.bind && mount.destination == Path::new("/dev"))
    }

    fn devices(&mut self) -> Result<(), Failure> {
        let root = self.found_root()?;
        if self.owns_dev() {
            rootfs::make_devices(root, &self.linux.devices, self.plan.has(Kind::User))?;
            rootfs::make_links(root)?;
        }
        Ok(())
    }

    fn console(&mut self) -> Result<(), Failure> {
        if self.program.terminal {
            let console = Console::open(self.found_root()?, self.program.console_size.as_ref())?;
            if self.owns_dev() {
                console.mount(self.found_root()?)?;
            }
            if let Some(socket) = self.console_socket.take() {
                console::send_master(socket, &console.master)?;
            }
            settle::take_terminal(&console.slave, &self.program)?;
        }
        let root = self.found_root()?;
        for mount in &self.mounts {
            self.mounter(root, None).finish(mount)?;
        }
        Ok(())
    }

    fn hooks(&mut self) -> Result<(), Failure> {
        let Some(hooks) = &self.spec.hooks else { return Ok(()) };
        if !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty()) {
            self.channel.send(&Note::WantsHooks)?;
            self.channel.await_go()?;
        }
        let state = self.own_state(Status::Creating);
        hooks::run_hooks("createContainer", &hooks.create_container, &state)
    }

    /// The state as init sees itself.
    fn own_state(&self, status: Status) -> State {
        State { status, pid: rustix::process::getpid().as_raw_nonzero().get(), ..self.state.clone() }
    }

    fn names(&mut self) -> Result<(), Failure> {
        if !self.spec.hostname.is_empty() {
            rustix::system::sethostname(self.spec.hostname.as_bytes()).tried("sethostname")?;
        }
        if !self.spec.domainname.is_empty() {
            rustix::system::setdomainname(self.spec.domainname.as_bytes()).tried("setdomainname")?;
        }
        Ok(())
    }

    fn sysctl(&mut self) -> Result<(), Failure> {
        for (key, value) in &self.linux.sysctl {
            let path = format!("sys/{}", validate::sysctl::path(key));
            self.procfs.write_sysctl(&path, value).tried(format!("open sysctl {key}"))?;
        }
        Ok(())
    }

    fn protect(&mut self) -> Result<(), Failure> {
        let root = self.found_root()?;
        let mut protector = Protector::new(root, &self.linux.mount_label);
        for path in each_once(&self.linux.readonly_paths) {
            protector.make_readonly(path)?;
        }
        for path in each_once(&self.linux.masked_paths) {
            protector.mask(path)?;
        }
        settle::make_directory(root, &self.program.cwd);
        if self.spec.root.as_ref().is_some_and(|root| root.readonly) {
            const READONLY: u64 = 1;
            root.alter(Change { set: READONLY, ..Change::default() })?;
        }
        Ok(())
    }

    fn change_root(&mut self) -> Result<(), Failure> {
        let root = self.found_root()?;
        match self.no_pivot {
            _ if !self.plan.has(Kind::Mount) => rootfs::chroot_shared(root)?,
            true => rootfs::chroot_into(root)?,
            false => rootfs::change_root(root, rootfs::propagation_of(&self.linux.rootfs_propagation))?,
        }
        self.root = None;
        Ok(())
    }

    fn policies(&mut self) -> Result<(), Failure> {
        settle::policies(self.linux.personality.as_ref(), self.linux.memory_policy.as_ref())
    }

    /// Waits until `start` opens the fifo, or until the runtime says go.
    ///
    /// The fifo stays open until the exec closes it: its end tells start that the program runs,
    /// and a text in it that it does not.
    fn await_start(&mut self) -> Result<Option<OwnedFd>, Failure> {
        let Some(fifo) = &self.fifo else {
            self.channel.await_go()?;
            return Ok(None);
        };
        // Waits for start.
        let writer = self.procfs.reopen(fifo.as_raw_fd(), OFlags::WRONLY).tried("open exec fifo")?;
        rustix::io::write(&writer, b"0").tried("write exec fifo")?;
        Ok(Some(writer))
    }

    fn last_hooks(&self) -> Result<(), Failure> {
        let Some(hooks) = &self.spec.hooks else { return Ok(()) };
        let state = self.own_state(Status::Created);
        // As runc has it: one without an environment gets the program's.
        let mut hooks = hooks.start_container.clone();
        for hook in hooks.iter_mut().filter(|hook| hook.env.is_empty()) {
            hook.env.clone_from(&self.program.env);
        }
        hooks::run_hooks("startContainer", &hooks, &state)
    }
}
