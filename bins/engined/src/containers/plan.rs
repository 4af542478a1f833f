//! Looking up on the host what a container's spec needs, and building it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use errdefs::{Error, Result};
use runtime_spec::Spec;

use super::held::Held;
use super::rootfs::Root;
use super::spec::{HostDevice, Inputs, SecurityOptions};
use super::user::Accounts;
use super::{Container, Record};
use crate::engine::Engine;
use crate::files::failed;
use crate::remap::Remap;

/// The spec that a start runs, and the mounts on the host that must stand until the runtime has made its own.
///
/// # Errors
/// Something that the record names is not there, or is malformed.
pub async fn spec_for(engine: &Engine, container: &Container, record: &Record) -> Result<(Spec, Vec<Held>)> {
    let accounts = accounts(engine, container, record).await?;
    let more = record.host_config.group_add.clone().unwrap_or_default();
    let (user, home) = accounts.resolve(&record.config.user, &more)?;
    let security = security(engine, record)?;
    let all_capabilities = all_capabilities();
    let mut held = Vec::new();
    let mut mounts = Vec::new();
    for (at, mount) in record.mounts.iter().enumerate() {
        let place = engine.config.run("mounts").join(format!("{}-{at}", crate::identity::short(&record.id)));
        mounts.push(super::sources::mounted(engine, record, mount, place, &mut held).await?);
    }
    // Outer directories first, so that no mount hides another.
    mounts.sort_by_key(|mount| mount.destination.matches('/').count());
    let host = &record.host_config;
    let mut spec = super::spec::build(&Inputs {
        record,
        user,
        home,
        mounts,
        files: files(engine, container, record)?,
        network: crate::networks::namespace_of(engine, container)?,
        remap: user_namespace(engine, record)?,
        ipc_pid: joined_pid(engine, &host.ipc_mode)?,
        pid_pid: joined_pid(engine, &host.pid_mode)?,
        shm_path: shm_path(engine, container, record)?,
        init_path: init_path(engine, record)?,
        seccomp: super::seccomp::filter(engine, record, &security)?,
        security,
        devices: devices(record)?,
        cgroup_driver: engine.config.flags.cgroup_driver(),
        cgroup_parent: engine.config.flags.cgroup_parent(),
        default_cgroupns: &engine.config.flags.default_cgroupns_mode,
        default_ulimits: engine.config.default_ulimits.values().cloned().collect(),
        default_shm_bytes: engine.config.flags.default_shm_size.unwrap_or(64 << 20),
        all_capabilities: &all_capabilities,
        links: super::links::environment(engine, record)?,
    })?;
    let requests = host.resources.device_requests.as_deref().unwrap_or_default();
    super::cdi::give(&mut spec, requests, &engine.config.flags.cdi_directories())?;
    Ok((spec, held))
}

/// A container that never ran has its image's account files, which are read once an image.
pub async fn accounts(engine: &Engine, container: &Container, record: &Record) -> Result<Arc<Accounts>> {
    let is_fresh = !record.has_started && container.live().rootfs.is_some();
    if is_fresh && let Some(known) = engine.images.accounts(&record.chain_id) {
        return Ok(known);
    }
    let accounts = Arc::new(Root::seen(engine, container).await?.accounts());
    if is_fresh {
        engine.images.keep_accounts(&record.chain_id, accounts.clone());
    }
    Ok(accounts)
}

/// Everything that the kernel knows.
pub fn all_capabilities() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    super::spec::capabilities::of_kernel(text.trim().parse().unwrap_or(40))
}

fn security(engine: &Engine, record: &Record) -> Result<SecurityOptions> {
    let mut security = SecurityOptions::parse(record)?;
    security.no_new_privileges |= engine.config.flags.no_new_privileges == Some(true);
    Ok(security)
}

/// The engine's files; a container in another's network shares that one's.
fn files(engine: &Engine, container: &Container, record: &Record) -> Result<BTreeMap<&'static str, String>> {
    let owner = match Record::joined(&record.host_config.network_mode) {
        Some(other) => engine.containers.find(other)?.directory().to_owned(),
        None => container.directory().to_owned(),
    };
    Ok([("/etc/hostname", "hostname"), ("/etc/hosts", "hosts"), ("/etc/resolv.conf", "resolv.conf")]
        .map(|(destination, name)| (destination, owner.join(name).to_string_lossy().into_owned()))
        .into())
}

/// The process of the container that a `container:NAME` mode joins.
fn joined_pid(engine: &Engine, mode: &str) -> Result<Option<u32>> {
    let Some(name) = Record::joined(mode) else { return Ok(None) };
    let other = engine.containers.find(name)?;
    let state = &other.record().state;
    if !state.phase.is_live() {
        return Err(Error::failed_precondition(format!(
            "cannot join namespace of a non running container: {}",
            other.id
        )));
    }
    Ok(Some(state.pid))
}

/// The ids of a container and the user namespace that has them: its own, or that of the container whose namespaces
/// it joins, because those belong to it.
fn user_namespace<'a>(engine: &Engine, record: &'a Record) -> Result<Option<(&'a Remap, String)>> {
    let Some(remap) = &record.remap else { return Ok(None) };
    let path = match owner_pid(engine, record)? {
        Some(pid) => format!("/proc/{pid}/ns/user"),
        None => crate::remap::path(engine, &record.id).to_string_lossy().into_owned(),
    };
    Ok(Some((remap, path)))
}

/// The process whose user namespace a container with ids of its own lives in, when it is not its own.
///
/// # Errors
/// The containers that it joins do not run, have other ids, or are several.
pub fn owner_pid(engine: &Engine, record: &Record) -> Result<Option<u32>> {
    let host = &record.host_config;
    let mut owner = None;
    for mode in [&host.network_mode, &host.ipc_mode, &host.pid_mode] {
        let Some(pid) = joined_pid(engine, mode)? else { continue };
        let name = Record::joined(mode).unwrap_or_default();
        if engine.containers.find(name)?.record().remap != record.remap {
            return Err(Error::invalid_argument(format!(
                "cannot join the namespaces of container {name}: its user namespace has other ids"
            ))
            .with_hint("Create both containers with --userns=host, or neither."));
        }
        if owner.is_some_and(|owner| owner != pid) {
            return Err(Error::invalid_argument(
                "cannot join the namespaces of several containers when user namespaces are enabled",
            )
            .with_hint("Join those of one container, or create all of them with --userns=host."));
        }
        owner = Some(pid);
    }
    Ok(owner)
}

/// The directory behind a shared `/dev/shm`: one's own when others may join, or the other's.
fn shm_path(engine: &Engine, container: &Container, record: &Record) -> Result<Option<String>> {
    let mode = match record.host_config.ipc_mode.as_str() {
        "" => engine.config.flags.default_ipc_mode.as_str(),
        mode => mode,
    };
    if let Some(name) = Record::joined(mode) {
        let other = engine.containers.find(name)?;
        let path = engine.config.run("shm").join(&other.id);
        if !path.exists() {
            return Err(Error::failed_precondition(format!(
                "cannot join IPC of a non-shareable container {name} (hint: use IpcMode:shareable for the donor container)"
            )));
        }
        return Ok(Some(path.to_string_lossy().into_owned()));
    }
    if mode != "shareable" {
        return Ok(None);
    }
    let path = engine.config.run("shm").join(&container.id);
    if !path.exists() {
        std::fs::create_dir_all(&path).map_err(failed("make directory", &path))?;
        let bytes = if record.host_config.shm_size > 0 { record.host_config.shm_size } else { 64 << 20 };
        let (uid, gid) = record.remap.as_ref().map_or((0, 0), Remap::root);
        let data = format!("mode=1777,size={bytes},uid={uid},gid={gid}");
        let data = std::ffi::CString::new(data).unwrap_or_default();
        let flags = rustix::mount::MountFlags::NOSUID
            | rustix::mount::MountFlags::NOEXEC
            | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("shm", &path, "tmpfs", flags, Some(data.as_c_str()))
            .map_err(|cause| failed("mount", &path)(cause.into()))?;
    }
    Ok(Some(path.to_string_lossy().into_owned()))
}

/// Takes a container's shared memory away.
pub fn drop_shm(engine: &Engine, id: &str) {
    let path = engine.config.run("shm").join(id);
    if path.exists() {
        let _ = rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&path);
    }
}

fn init_path(engine: &Engine, record: &Record) -> Result<Option<String>> {
    match (record.host_config.init, &engine.programs.init) {
        (Some(true), None) => Err(Error::failed_precondition(
            "cannot give the container an init: neither docker-init nor tini is on PATH",
        )
        .with_hint("Install tini, or name an init program with --init-path.")),
        (_, path) => Ok(path.as_ref().map(|path| path.to_string_lossy().into_owned())),
    }
}

/// Device nodes that were asked for; all of the host's when privileged.
fn devices(record: &Record) -> Result<Vec<HostDevice>> {
    let mut found = Vec::new();
    if record.host_config.privileged {
        walk_devices(Path::new("/dev"), &mut found);
    }
    for wish in record.host_config.resources.devices.iter().flatten() {
        let path =
            if wish.path_in_container.is_empty() { &wish.path_on_host } else { &wish.path_in_container };
        let access = if wish.cgroup_permissions.is_empty() { "rwm" } else { &wish.cgroup_permissions };
        let host = Path::new(&wish.path_on_host);
        if host.is_dir() {
            let mut below = Vec::new();
            walk_devices(host, &mut below);
            for mut device in below {
                device.path = device.path.replacen(&wish.path_on_host, path, 1);
                device.access = access.to_owned();
                found.push(device);
            }
            continue;
        }
        let Some(mut device) = device(host) else {
            return Err(Error::invalid_argument(format!(
                "error gathering device information while adding custom device \"{}\": not a device node",
                wish.path_on_host
            )));
        };
        device.path.clone_from(path);
        device.access = access.to_owned();
        found.retain(|other| other.path != device.path);
        found.push(device);
    }
    Ok(found)
}

/// What a container's own `/dev` provides.
const OWN: [&str; 8] = ["pts", "shm", "fd", "mqueue", ".lxc", "console", "ptmx", ".udev"];

fn walk_devices(directory: &Path, found: &mut Vec<HostDevice>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if OWN.iter().any(|name| entry.file_name() == *name) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk_devices(&path, found);
        } else if let Some(device) = device(&path) {
            found.push(device);
        }
    }
}

fn device(path: &Path) -> Option<HostDevice> {
    use rustix::fs::FileType;
    let stat = rustix::fs::stat(path).ok()?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return None;
    }
    Some(HostDevice {
        path: path.to_string_lossy().into_owned(),
        is_block: kind == FileType::BlockDevice,
        major: i64::from(rustix::fs::major(stat.st_rdev)),
        minor: i64::from(rustix::fs::minor(stat.st_rdev)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        access: "rwm".into(),
    })
}
