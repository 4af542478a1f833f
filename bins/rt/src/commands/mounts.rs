//! `mounts`: adds mounts to a container that runs, and takes them away.

use std::os::fd::AsFd;
use std::path::Path;

use namespaces::Kind;
use rootfs::{Mounter, Prepared, Root};
use runtime_spec::{Mount, Status};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{DumpableBehavior, PidfdFlags, pidfd_open, set_dumpable_behavior};

use super::{Command, Context};
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "mounts",
        arguments: "add|remove <container-id> <file>",
        about: "change the mounts of a running container by a JSON list of mounts, - for stdin",
        least: 3,
        most: 3,
        options: &[],
        ends_at_argument: false,
    },
    runs_foreign_code: true,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let [verb, id, file] = &words.arguments[..] else { return Err(Failure::new("three arguments expected")) };
    let container = context.store().load(id)?;
    let _lock = container.lock()?;
    if !matches!(container.status()?, Status::Running | Status::Created) {
        return Err(Failure::new("container not running"));
    }
    let mounts: Vec<Mount> = serde_json::from_slice(&super::update::read_input(file)?)
        .map_err(|error| Failure::new(format!("cannot read mounts: {error}")))?;
    match verb.as_str() {
        "add" => add(&container, &mounts)?,
        "remove" => remove(&container, &mounts)?,
        other => return Err(Failure::new(format!("mounts has no command {other:?}: use add or remove"))),
    }
    Ok(0)
}

/// Makes what the host has to give, then goes into the container and puts it there.
fn add(container: &Container, mounts: &[Mount]) -> Result<(), Failure> {
    let mut prepared = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let mut one = Prepared::read(mount, &container.record.bundle, &container.record.rootfs)?;
        if !one.options.bind && one.kind == "cgroup" {
            return Err(Failure::new("cannot add a mount of type cgroup to a running container"));
        }
        if one.options.bind {
            one.open(None)?;
        }
        prepared.push(one);
    }
    let root = enter(container)?;
    let mounter = Mounter { root: &root, label: "", label_option: "", hierarchies: &[], mapper: None };
    for mount in &prepared {
        mounter.mount(mount)?;
        mounter.finish(mount)?;
    }
    Ok(())
}

/// Goes in reverse order, so that what was added by the same list comes away.
fn remove(container: &Container, mounts: &[Mount]) -> Result<(), Failure> {
    let root = enter(container)?;
    for mount in mounts.iter().rev() {
        let path = Path::new(&mount.destination);
        let failed = || format!("cannot unmount {path:?}");
        let target = root.find_nofollow(path).tried(failed())?;
        // The root goes by many names.
        if root.path_of(&target).tried(failed())? == Path::new("/") {
            return Err(Failure::new(format!("{}: it is the container's root", failed())));
        }
        unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).tried(failed())?;
    }
    Ok(())
}

/// Moves this process into the container's mount namespace, whose root becomes its own.
fn enter(container: &Container) -> Result<Root, Failure> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).tried("cannot become undumpable")?;
    let gone = || Failure::new("container not running");
    let init = container.init().ok_or_else(gone)?;
    let pidfd = pidfd_open(init, PidfdFlags::empty()).map_err(|_| gone())?;
    // The number may have been given to another process before the descriptor was opened.
    if !container.is_alive() {
        return Err(gone());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let procfs = rustix::fs::open("/proc", flags, Mode::empty()).tried("cannot open /proc")?;
    syscalls::clone::setns(pidfd.as_fd(), Kind::Mount.flag()).tried("cannot join mount namespace")?;
    Ok(Root::open(Path::new("/")).tried("cannot open the root")?.with_procfs(procfs))
}
