//! A child that borrows this process's memory until its program runs, as vfork(2) has it: no page
//! is copied, however large this process is.

use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use rustix::process::Pid;

/// Enough for the few calls that a child makes before its program.
const STACK_BYTES: usize = 16 * 1024;

/// Starts a command on these standard streams; it is killed when the thread that starts it ends.
/// Reaping it is the caller's.
///
/// Of the command's settings its program, arguments, directory, and what it adds to the environment
/// or takes from it are heeded. Fails as exec does: with NotFound for a program that is not there.
pub fn start(command: &Command, streams: [BorrowedFd<'_>; 3]) -> io::Result<Pid> {
    let program = text(find(command.get_program())?.into_os_string().into_vec())?;
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let arguments = words.map(|word| text(word.as_bytes().to_vec())).collect::<io::Result<Vec<_>>>()?;
    let environment = environment(command)?;
    let directory = command.get_current_dir().map(|path| text(path.as_os_str().as_bytes().to_vec()));
    let directory = directory.transpose()?;
    let (argv, envp) = (pointers(&arguments), pointers(&environment));
    let mut plan = Plan {
        program: &program,
        argv: &argv,
        envp: &envp,
        directory: directory.as_deref(),
        streams: streams.map(|stream| stream.as_raw_fd()),
        // SAFETY: a signal set is plain integers; sigprocmask fills it before it is read.
        mask: unsafe { std::mem::zeroed() },
        error: 0,
    };
    let pid = plan.run()?;
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: the field is valid; the child, which may have written it, has gone its own way.
    match unsafe { ptr::read_volatile(&raw const plan.error) } {
        0 => Ok(pid),
        error => {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// What the child does; it allocates nothing, and what it points to outlives it.
struct Plan<'a> {
    program: &'a CStr,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    directory: Option<&'a CStr>,
    streams: [RawFd; 3],
    /// The signals that were blocked before.
    mask: libc::sigset_t,
    /// Why there is no program.
    error: c_int,
}

impl Plan<'_> {
    fn run(&mut self) -> io::Result<i32> {
        let mut stack = [const { MaybeUninit::<u8>::uninit() }; STACK_BYTES];
        // SAFETY: the stack grows down from its end, aligned. CLONE_VFORK stops this thread until
        // the child has its program or has ended, so the child alone uses the stack and `self`.
        // With every signal blocked no handler runs in the child, where it would write our memory.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut self.mask);
            let mask = self.mask;
            let top = stack.as_mut_ptr().add(STACK_BYTES);
            let top = top.sub(top as usize % 16).cast::<c_void>();
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let pid = libc::clone(child, top, flags, ptr::from_mut(self).cast());
            let error = io::Error::last_os_error();
            libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
            if pid == -1 { Err(error) } else { Ok(pid) }
        }
    }

    /// # Safety
    /// Only for the child.
    unsafe fn become_program(&self) -> Option<()> {
        let worked = |result: c_int| (result != -1).then_some(());
        // SAFETY: calls that are async-signal-safe, on pointers that the parent keeps valid.
        unsafe {
            worked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            default_signals();
            // First out of the way of each other's numbers.
            let mut copies = [-1; 3];
            for (copy, stream) in copies.iter_mut().zip(self.streams) {
                *copy = libc::fcntl(stream, libc::F_DUPFD_CLOEXEC, 3);
                worked(*copy)?;
            }
            for (copy, number) in copies.into_iter().zip(0..) {
                worked(libc::dup2(copy, number))?;
            }
            if let Some(directory) = self.directory {
                worked(libc::chdir(directory.as_ptr()))?;
            }
            worked(libc::sigprocmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut()))?;
            worked(libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()))
        }
    }
}

extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: the parent passes its plan and waits; errno is the parent's own, as its memory is.
    unsafe {
        let plan = plan.cast::<Plan<'_>>();
        (*plan).become_program();
        ptr::write_volatile(&raw mut (*plan).error, *libc::__errno_location());
        libc::_exit(127)
    }
}

/// Handlers are this program's code: in the child no signal may reach them. What is ignored stays
/// so, but for SIGPIPE, which the standard library ignores for its own sake.
///
/// # Safety
/// Only for the child.
unsafe fn default_signals() {
    // SAFETY: sigaction records are plain integers, for which zero is the default action; the
    // child's table of actions is its own.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        for signal in 1..=libc::SIGRTMAX() {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, ptr::null(), &raw mut action) == 0;
            let is_ours = !matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
            if known && (is_ours || signal == libc::SIGPIPE) {
                libc::sigaction(signal, &raw const default, ptr::null_mut());
            }
        }
    }
}

/// A program by its path, or by its name on PATH.
fn find(program: &OsStr) -> io::Result<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(program));
    candidates.find(|candidate| is_executable(candidate)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn environment(command: &Command) -> io::Result<Vec<CString>> {
    let changed = |name: &OsStr| command.get_envs().any(|(other, _)| other == name);
    let kept = std::env::vars_os().filter(|(name, _)| !changed(name));
    let added = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    kept.chain(added).map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat())).collect()
}

fn text(bytes: Vec<u8>) -> io::Result<CString> {
    CString::new(bytes).map_err(io::Error::from)
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn output(command: &Command) -> (String, i32) {
        let null = std::fs::File::open("/dev/null").unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pid = start(command, [null.as_fd(), writer.as_fd(), null.as_fd()]).unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
        (text, status.unwrap().1.exit_status().unwrap())
    }

    #[test]
    fn a_command_is_started_as_it_says() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $A-$B-$PWD; readlink /proc/self/fd/0; exit 3"]);
        command.env("A", "1").env_remove("B").current_dir("/usr");
        assert_eq!(output(&command), ("1--/usr\n/dev/null\n".to_owned(), 3));
    }

    #[test]
    fn signals_reach_the_program_as_they_reach_any_other() {
        let mut command = Command::new("/bin/cat");
        command.arg("/proc/self/status");
        let (status, code) = output(&command);
        assert_eq!(code, 0);
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        assert_eq!((set("SigBlk:"), set("SigCgt:")), (0, 0));
        assert_eq!(set("SigIgn:") & 1 << (libc::SIGPIPE - 1), 0);
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let null = std::fs::File::open("/dev/null").unwrap();
        for program in ["/nonexistent/program", "no-such-program-on-path"] {
            let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
            let error = start(&Command::new(program), streams).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{program}");
        }
        let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
        let error = start(&Command::new("/etc/passwd"), streams).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
