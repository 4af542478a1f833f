//! The work that no runtime can do without, done by one process for its child.

use std::ffi::CString;
use std::path::Path;

use cgroups::{Cgroup, Host, UnifiedBy};
use mount::{Options, Tree};
use namespaces::Kind;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{WaitOptions, chdir, fchdir, waitpid};
use serde_json::{Value, json};
use syscalls::clone::{Request, Side, clone3, exit_now, unshare};

const KINDS: [Kind; 5] = [Kind::Pid, Kind::Network, Kind::Ipc, Kind::Uts, Kind::Mount];

/// The mounts of the bundle: those of a plain container.
pub fn mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]}
    ])
}

/// Runs `/bin/true` of `rootfs`; whether that went well.
pub fn run(rootfs: &Path) -> bool {
    made(rootfs).unwrap_or(false)
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn made(rootfs: &Path) -> Outcome<bool> {
    let group = Cgroup::resolve(&Host::detect()?, "", "bench-floor")?;
    group.create()?;
    let join = group.join()?;
    let flags = KINDS.iter().fold(0, |flags, kind| flags | kind.flag());
    let code = match clone3(&Request { flags, cgroup: join.clone_into(), pidfd: false })? {
        Side::Child => {
            let _ = join.enter(UnifiedBy::Clone).map_err(Into::into).and_then(|()| enter(rootfs));
            exit_now(1)
        }
        Side::Parent { pid, .. } => waitpid(Some(pid), WaitOptions::empty())?,
    };
    group.remove()?;
    Ok(code.is_some_and(|(_, status)| status.exit_status() == Some(0)))
}

fn enter(rootfs: &Path) -> Outcome<()> {
    unshare(Kind::Cgroup.flag())?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    let root = Tree::copy(rootfs, true, true)?;
    let at = |path: &str| {
        rustix::fs::openat(&root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    root.attach(rustix::fs::openat(CWD, rootfs, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)?;
    for mount in mounts().as_array().into_iter().flatten() {
        let text = |key: &str| mount[key].as_str().unwrap_or_default();
        let words: Vec<&str> =
            mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut options = Options::parse(&words)?;
        options.data.retain(|(key, _)| key != "ro");
        let path = text("destination").trim_start_matches('/');
        if path.starts_with("dev/") {
            rustix::fs::mkdirat(&root, path, Mode::from_raw_mode(0o755))?;
        }
        Tree::filesystem(text("type"), text("source"), &options)?.attach(at(path)?)?;
    }
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        let kind = rustix::fs::FileType::CharacterDevice;
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(&root, format!("dev/{name}"), kind, mode, rustix::fs::makedev(1, minor))?;
    }
    fchdir(&root)?;
    syscalls::mount_attr::pivot_to_current_directory()?;
    mount_change(".", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    let words = [CString::new("true")?];
    match syscalls::exec::execve(c"/bin/true", &words, &[])? {}
}
