//! The last steps of a container process, the same for init and for exec.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use process::capabilities::Sets;
use process::{limits, program, scheduling, user};
use runtime_spec as spec;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, OutputModes, tcgetattr, tcsetattr};
use syscalls::{descriptors, keyring, sched, signals};

use super::channel::{Channel, Note};
use super::procfs::Procfs;
use super::program::Program;
use crate::failure::{Failure, Tried, reason};

/// Settles this process in its final place and returns the program to execute. After this only
/// start's leave and the exec itself are missing.
///
/// Each step's place matters: what needs privilege comes before the change of user, what the
/// user must be able to do itself comes after.
pub fn settle(program: &mut Program, procfs: &Procfs, channel: &Channel) -> Result<PathBuf, Failure> {
    priorities(program)?;
    // Before the keyring and labels are changed nothing of the container runs in this process.
    join_keyring(program)?;
    labels(program, procfs)?;
    for limit in &program.rlimits {
        limits::set(limit).tried(format!("cannot set /process/rlimits: {}", limit.kind))?;
    }
    let mask = program.user.umask.unwrap_or(0o022);
    rustix::process::umask(Mode::from_raw_mode(mask));
    if program.no_new_privileges {
        rustix::thread::set_no_new_privs(true).tried("cannot set no_new_privs")?;
    }
    give_streams(program);
    // Some directories only root can enter, others (on network filesystems) only the user.
    let entered = rustix::process::chdir(&program.cwd);
    become_user(program)?;
    if entered.is_err() {
        rustix::process::chdir(&program.cwd)
            .tried(format!("chdir to cwd ({:?}) set in config.json failed", program.cwd))?;
    }
    check_directory(&program.cwd)?;
    set_home(program);
    let path = find(program)?;
    program.kept.close_others_on_exec()?;
    // Last, so that a profile need not allow what happens before: calls that it has never heard of.
    load_filter(program, channel)?;
    if loads_with_privilege(program)
        && let Some(sets) = last_sets(program)
    {
        sets.apply().tried("cannot set capabilities")?;
    }
    Ok(path)
}

/// What every process of a container has, an exec'd one too.
pub fn policies(
    personality: Option<&spec::Personality>,
    memory: Option<&spec::MemoryPolicy>,
) -> Result<(), Failure> {
    if let Some(personality) = personality {
        let persona = scheduling::personality(personality)?;
        sched::set_personality(persona).tried("cannot set /linux/personality")?;
    }
    if let Some(policy) = memory {
        let (mode, nodes) = scheduling::memory_policy(policy)?;
        sched::set_memory_policy(mode, &nodes).tried("cannot set /linux/memoryPolicy")?;
    }
    Ok(())
}

/// To be called before a user namespace is entered: whoever has other ids than the host's may no more, for its
/// files in /proc are the host root's then.
pub fn oom_score(program: &Program, procfs: &Procfs) -> Result<(), Failure> {
    let Some(score) = program.oom_score_adj else { return Ok(()) };
    procfs
        .write("self/oom_score_adj", &score.to_string())
        .tried(format!("cannot set /process/oomScoreAdj to {score}"))
}

fn priorities(program: &Program) -> Result<(), Failure> {
    if let Some(policy) = &program.scheduler {
        sched::set_policy(policy).map_err(|error| {
            let hint = match error.raw_os_error() {
                // sched_setattr(2) has no other reasons.
                Some(libc::EPERM) => {
                    ": process scheduler can't be used together with AllowedCPUs, nor without CAP_SYS_NICE"
                }
                _ => "",
            };
            Failure::new(format!("cannot set /process/scheduler: {}{hint}", reason(&error)))
        })?;
    }
    if let Some((class, level)) = program.io_priority {
        sched::set_io_priority(class, level).tried("cannot set /process/ioPriority")?;
    }
    Ok(())
}

fn join_keyring(program: &Program) -> Result<(), Failure> {
    let Some(name) = &program.keyring else { return Ok(()) };
    match keyring::join_session(name) {
        // A kernel without keyrings has none to protect.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        other => other.tried("unable to join session keyring"),
    }
}

/// Labels take effect with the exec.
fn labels(program: &Program, procfs: &Procfs) -> Result<(), Failure> {
    let write = |file: &str, text: &str, what: &str| {
        procfs.write(file, text).tried(format!("cannot apply {what} {text:?}"))
    };
    let label = &program.selinux_label;
    if !label.is_empty() {
        write("thread-self/attr/exec", label, "/process/selinuxLabel")?;
    }
    let profile = &program.apparmor_profile;
    if !profile.is_empty() && profile != "unconfined" {
        let text = format!("exec {profile}");
        write("thread-self/attr/apparmor/exec", &text, "/process/apparmorProfile")
            .or_else(|_| write("thread-self/attr/exec", &text, "/process/apparmorProfile"))?;
    }
    Ok(())
}

fn load_filter(program: &Program, channel: &Channel) -> Result<(), Failure> {
    let Some(filter) = &program.seccomp else { return Ok(()) };
    let listener =
        filter.load().map_err(|error| Failure::new(format!("cannot load the seccomp filter: {error}")))?;
    if let Some(listener) = listener {
        channel.send(&Note::Listener(listener))?;
        channel.await_go()?;
    }
    Ok(())
}

/// The user must be able to open its own streams through /dev/stdin and its kin. The host's null
/// device becomes the container's: criu finds no other again.
fn give_streams(program: &Program) {
    let user = fs::Uid::from_raw(program.user.uid);
    let mut null = None;
    for stream in 0..=2 {
        let fd = descriptors::standard(stream);
        match fs::fstat(fd) {
            Ok(stat) if is_null(&stat) => {
                let null = null.get_or_insert_with(open_null);
                if let Some(null) = null {
                    // The host's is as good for everybody else.
                    let _ = match stream {
                        0 => rustix::stdio::dup2_stdin(null),
                        1 => rustix::stdio::dup2_stdout(null),
                        _ => rustix::stdio::dup2_stderr(null),
                    };
                }
            }
            Ok(stat) if stat.st_uid != program.user.uid => {
                // Not everything has an owner that can change: sockets of others, read-only trees.
                let _ = fs::fchown(fd, Some(user), None);
            }
            _ => {}
        }
    }
}

fn is_null(stat: &fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == fs::makedev(1, 3)
}

/// The container's null device, if it is one.
fn open_null() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let null = fs::open("/dev/null", flags, Mode::empty()).ok()?;
    fs::fstat(&null).ok().filter(is_null).map(|_| null)
}

fn become_user(program: &Program) -> Result<(), Failure> {
    if let Some(sets) = &program.capabilities {
        sets.apply_bounding().tried("cannot set the bounding capabilities")?;
    }
    let wanted = &program.user;
    if wanted.uid != 0 {
        // Until the exec, which ends it.
        rustix::thread::set_keep_capabilities(true).tried("cannot keep capabilities")?;
    }
    let sets_groups = program.may_set_groups && !program.keeps_groups;
    let groups = sets_groups.then_some(wanted.additional_gids.as_slice());
    if !program.may_set_groups && !wanted.additional_gids.is_empty() {
        return Err(Failure::new("cannot set any additional groups in a rootless container"));
    }
    user::become_user(wanted.uid, wanted.gid, groups)
        .tried(format!("cannot become user {}:{}", wanted.uid, wanted.gid))?;
    let Some(mut sets) = last_sets(program) else { return Ok(()) };
    if loads_with_privilege(program) {
        sets.keep_sys_admin();
    }
    sets.apply().tried("cannot set capabilities")
}

/// Whether the filter needs CAP_SYS_ADMIN to be loaded, which goes right after.
fn loads_with_privilege(program: &Program) -> bool {
    program.seccomp.is_some() && !program.no_new_privileges
}

/// No list at all means none for an ordinary user and all for root, as after setuid(2).
fn last_sets(program: &Program) -> Option<Sets> {
    match program.capabilities {
        None if program.user.uid != 0 => Some(Sets::default()),
        sets => sets,
    }
}

/// A working directory reached through a leaked descriptor is outside of the root: the kernel
/// then gives no path (CVE-2024-21626).
fn check_directory(wanted: &Path) -> Result<(), Failure> {
    let outside = || {
        Failure::new(
            "current working directory is outside of container mount namespace root -- possible container breakout detected",
        )
    };
    match std::env::current_dir() {
        Ok(path) if path.as_os_str().as_bytes().starts_with(b"/") => Ok(()),
        Ok(_) => Err(outside()),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(outside()),
        Err(error) => {
            Err(Failure::new(format!("cannot verify the directory {wanted:?}: {}", reason(&error))))
        }
    }
}

fn set_home(program: &mut Program) {
    if program::variable(&program.env, "HOME").is_none_or(str::is_empty) {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let home = user::home(&passwd, program.user.uid);
        program.env.retain(|entry| !entry.starts_with("HOME="));
        program.env.push(format!("HOME={home}"));
    }
    if program.kept.listen > 0 {
        program.env.push(format!("LISTEN_FDS={}", program.kept.listen));
        program.env.push("LISTEN_PID=1".to_owned());
    }
}

fn find(program: &Program) -> Result<PathBuf, Failure> {
    let name = program.args.first().map_or("", String::as_str);
    Ok(program::find(name, &program.env)?)
}

/// Becomes the program.
pub fn execute(program: &Program, path: &Path) -> Result<Infallible, Failure> {
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| Failure::new("nul byte in the arguments or environment"))
    };
    let args = program.args.iter().map(|arg| text(arg.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let env = program.env.iter().map(|entry| text(entry.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    signals::reset();
    let name = &program.args[0];
    syscalls::exec::execve(&text(path.as_os_str().as_bytes())?, &args, &env).tried(format!("exec {name}"))
}

/// Makes `terminal` the controlling terminal and the three streams of this session's leader.
///
/// One that the runtime copies from leaves line ends alone: what goes into a file or a pipe has
/// the lines as the program wrote them.
pub fn take_terminal(terminal: impl AsFd, program: &Program) -> Result<(), Failure> {
    if program.in_foreground
        && let Ok(mut modes) = tcgetattr(&terminal)
    {
        modes.output_modes -= OutputModes::ONLCR;
        tcsetattr(&terminal, OptionalActions::Now, &modes).tried("cannot set the terminal's modes")?;
    }
    let take = || -> Result<(), Errno> {
        rustix::process::ioctl_tiocsctty(&terminal)?;
        rustix::stdio::dup2_stdin(&terminal)?;
        rustix::stdio::dup2_stdout(&terminal)?;
        rustix::stdio::dup2_stderr(&terminal)
    };
    take().tried("cannot take the terminal")
}

/// Makes the directory that the program starts in, when nobody has.
pub fn make_directory(root: &rootfs::Root, path: &Path) {
    if path == Path::new("/") {
        return;
    }
    // A directory that cannot be made fails where it is entered, with a better text.
    if let Ok(handle) = root.make_directory(path) {
        let _ = fs::statat(handle, c"", AtFlags::EMPTY_PATH);
    }
}
