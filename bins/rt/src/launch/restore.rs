//! Bringing back a container that was checkpointed.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use runtime_spec::{Linux, Status};
use rustix::mount::{UnmountFlags, mount_bind_recursive, unmount};
use rustix::process::Pid;

use super::announce::announce;
use super::create::{plan, reserve, shares};
use super::group::Group;
use super::undo::Undo;
use super::{Request, console, run_hooks};
use crate::annotations;
use crate::container::{Container, Record, Store, start_time};
use crate::criu::options::{self, Places};
use crate::criu::{self, Kind, Moment, Session, Writer};
use crate::failure::{Failure, Tried};
use crate::words::Words;

/// What is to be restored, and how.
pub struct Restore<'a> {
    pub request: &'a Request<'a>,
    pub places: &'a Places,
    pub words: &'a Words,
    /// The criu program.
    pub criu: &'a str,
}

/// A container that runs again.
pub struct Restored {
    pub container: Container,
    pub pid: Pid,
    /// Where the terminal's master arrives when the runtime stays.
    pub console: Option<OwnedFd>,
}

/// Restores a container; returns when its processes run.
pub fn restore(store: &Store, restore: &Restore<'_>) -> Result<Restored, Failure> {
    let request = restore.request;
    let spec = &request.bundle.spec;
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let places = restore.places;
    let images = criu::open_directory(&places.images)?;
    fs::create_dir_all(&places.work).tried(format!("cannot make {}", places.work.display()))?;
    let directories = [images, criu::open_directory(&places.work)?];
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let (console, mut console_socket) = console::sockets(request.streams, terminal)?;
    let id = request.id.as_str();
    let group = Group::resolve(request.manager, request.rootless, linux, id, &spec.annotations)?;
    if group.delegates() {
        // criu brings processes back where the checkpoint has them, and nobody else.
        let what = annotations::DELEGATED;
        return Err(Failure::new(format!("/annotations/{what}: is not supported by restore")));
    }
    let container = reserve(store, request, &plan(linux)?, &group)?;
    let mut undo = Undo {
        container: &container,
        group: &group,
        child: None,
        shares: None,
        shared_root: None,
        armed: true,
    };
    container.save_as(&container.record)?;
    group.make()?;
    let root = Mounted::root(&container, request)?;

    let (options, passed) = options(restore, linux, &root, &directories)?;
    let session = Session::start(restore.criu, passed)?;
    let criu = session.pid().ok_or_else(|| Failure::new("criu ended at once"))?;
    // What criu restores starts where criu is.
    match group.scope {
        Some(_) => group.adopt(criu)?,
        None => group.cgroup.add_process(criu.as_raw_nonzero().get())?,
    }
    let mut record = container.record.clone();
    undo.shares = shares(linux, id)?;
    record.shares.clone_from(&undo.shares);
    let mut known = None;
    let asked = session.ask(Kind::Restore, &options, |moment| {
        notice(moment, request, &mut record, &mut known, &mut console_socket)
    });
    let log = restore.places.work.join("restore.log");
    let told = asked.map_err(|failure| Failure::new(format!("{failure} (log file: {})", log.display())))?;
    let pid = told.or(known).ok_or_else(|| Failure::new("criu told of no process"))?;
    undo.child = Some(pid);
    fill(&mut record, pid);
    record.creating = false;
    container.save_as(&record)?;
    announce(request.streams, pid)?;
    undo.armed = false;
    drop(undo);
    drop(root);
    Ok(Restored { container: container.with(record), pid, console })
}

fn fill(record: &mut Record, pid: Pid) {
    record.init_process_pid = pid.as_raw_nonzero().get();
    record.init_process_start = start_time(record.init_process_pid).unwrap_or_default();
}

/// What there is to do at the moments that criu tells of.
fn notice(
    moment: Moment<'_>,
    request: &Request<'_>,
    record: &mut Record,
    known: &mut Option<Pid>,
    console_socket: &mut Option<OwnedFd>,
) -> Result<(), Failure> {
    match moment.name {
        "setup-namespaces" => {
            if let Some(pid) = moment.pid {
                fill(record, pid);
                record.shares.iter().try_for_each(|shares| shares.add_process(record.init_process_pid))?;
            }
            let Some(hooks) = &request.bundle.spec.hooks else { return Ok(()) };
            let state = record.state(Status::Creating);
            run_hooks("prestart", &hooks.prestart, &state)?;
            run_hooks("createRuntime", &hooks.create_runtime, &state)
        }
        "post-restore" => {
            *known = moment.pid;
            Ok(())
        }
        "orphan-pts-master" => match (console_socket.take(), moment.descriptor) {
            (Some(socket), Some(master)) => console::send_master(socket, master),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// criu's request and the descriptors that go with it.
fn options(
    restore: &Restore<'_>,
    linux: &Linux,
    root: &Mounted,
    directories: &[OwnedFd; 2],
) -> Result<(Writer, Vec<OwnedFd>), Failure> {
    let (places, bundle) = (restore.places, restore.request.bundle);
    let mut passed = Vec::new();
    let mut request = Writer::default();
    // criu finds directories by their numbers here.
    request.number(1, directories[0].as_raw_fd().into());
    request.number(17, directories[1].as_raw_fd().into());
    options::write(restore.words, &bundle.spec.annotations, "restore.log", &root.path, &mut request)?;
    request.switch(26, true);
    for (field, name) in [(53, "lsm-profile"), (63, "lsm-mount-context")] {
        if let Some(text) = restore.words.value(name).filter(|text| !text.is_empty()) {
            request.text(field, text);
        }
    }
    for (place, source) in criu::outer_mounts(&bundle.spec, &bundle.rootfs, &bundle.directory) {
        options::external_mount(&mut request, &place, &source);
    }
    let mut inherit = |name: &str, fd: OwnedFd| {
        let number = Session::number(passed.len());
        passed.push(fd);
        request.message(27, |pair| {
            pair.text(1, name);
            pair.number(2, number);
        });
    };
    for namespace in linux.namespaces.iter().filter(|one| one.kind == "network" && !one.path.is_empty()) {
        let file = File::open(&namespace.path).tried(format!("cannot open {}", namespace.path))?;
        inherit(criu::NETWORK, file.into());
    }
    let path = places.images.join(criu::DESCRIPTORS);
    let text = fs::read(&path).tried(format!("cannot read {}", path.display()))?;
    let names: Vec<String> = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    for (number, name) in names.iter().enumerate().take(3) {
        // Pipes of the old caller become the streams of the new one.
        if name.contains("pipe:") {
            inherit(name, criu::duplicate(syscalls::descriptors::standard(number as i32).as_fd())?);
        }
    }
    Ok((request, passed))
}

/// The root as a mount, which criu needs; unmounted when dropped. It propagates as its origin does,
/// of which the container's root was a slave.
struct Mounted {
    path: PathBuf,
}

impl Mounted {
    fn root(container: &Container, request: &Request<'_>) -> Result<Mounted, Failure> {
        let path = container.directory().join("criu-root");
        let failed = || format!("cannot mount the root at {}", path.display());
        fs::create_dir(&path).tried(failed())?;
        mount_bind_recursive(&request.bundle.rootfs, &path).tried(failed())?;
        let mounted = Mounted { path };
        let root = rootfs::Root::open(&mounted.path).tried("cannot open the root")?;
        for mount in &request.bundle.spec.mounts {
            // Those inside of other mounts come with these.
            let path = std::path::Path::new(&mount.destination);
            if path.parent().is_none_or(|parent| parent == std::path::Path::new("/")) {
                let _ = root.make_directory(path);
            }
        }
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.path, UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.path);
    }
}
