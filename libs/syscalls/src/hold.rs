//! A process that does nothing: it keeps namespaces for others to enter, until it is killed.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use crate::clone::{self, Request, Side};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

/// What it keeps.
#[derive(Default)]
pub struct Hold<'a> {
    /// `CLONE_NEW*`: the namespaces that are made for it.
    pub flags: u64,
    /// A network namespace that it enters.
    pub network: Option<BorrowedFd<'a>>,
    /// The name of its host; wants a UTS namespace of its own.
    pub hostname: Option<&'a [u8]>,
    /// Files below `/proc/sys` and what is written to them, from inside the namespaces.
    pub settings: &'a [(CString, Vec<u8>)],
}

/// Why there is no such process.
#[derive(Debug)]
pub struct Failure {
    /// What was done.
    pub step: Step,
    /// The system's answer.
    pub cause: io::Error,
}

/// What is done to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The process itself, in new namespaces.
    Start,
    /// Entering the network namespace.
    Network,
    /// Naming the host.
    Hostname,
    /// The setting of this place in the list.
    Setting(usize),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Start => write!(f, "cannot start a process for namespaces"),
            Step::Network => write!(f, "cannot enter the network namespace"),
            Step::Hostname => write!(f, "cannot set the hostname"),
            Step::Setting(place) => write!(f, "cannot write kernel setting {place}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Starts it; it is there in its namespaces when this returns. It dies with the thread that starts it, and of
/// SIGKILL; as the first process of a pid namespace it reaps what it is left there.
pub fn start(hold: &Hold<'_>) -> Result<Pid, Failure> {
    let failed = |cause: io::Error| Failure { step: Step::Start, cause };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(|cause| failed(cause.into()))?;
    // SAFETY: signal sets are plain integers; the old one is filled before it is given back.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above. No handler of this process may run in the child, where it would write into pipes of ours.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    let side = clone::clone3(&Request { flags: hold.flags, ..Request::default() });
    if let Ok(Side::Child) = side {
        keep(hold, writer.as_raw_fd());
    }
    // SAFETY: the set was filled above.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    let Side::Parent { pid, .. } = side.map_err(failed)? else { unreachable!("the child does not return") };
    drop(writer);
    let mut words = [0; WORDS];
    match rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut words)) {
        // Its end of the pipe is closed when all is done.
        Ok(0) => Ok(pid),
        Ok(WORDS) => Err(failure(words)),
        Ok(_) => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        Err(cause) => Err(failed(cause.into())),
    }
}

/// A step, its place in a list, and an error number.
const WORDS: usize = 9;

fn failure(words: [u8; WORDS]) -> Failure {
    let number = |at: usize| i32::from_ne_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
    let step = match words[0] {
        1 => Step::Network,
        2 => Step::Hostname,
        3 => Step::Setting(usize::try_from(number(1)).unwrap_or_default()),
        _ => Step::Start,
    };
    Failure { step, cause: io::Error::from_raw_os_error(number(5)) }
}

/// The child: it takes no memory, since another thread may have held the allocator's lock when it was made.
fn keep(hold: &Hold<'_>, report: RawFd) -> ! {
    let step = |number: u8, place: i32, done: bool| {
        if done {
            return;
        }
        // SAFETY: the pointer is valid for the length; errno is this thread's.
        unsafe {
            let error = *libc::__errno_location();
            let mut words = [number, 0, 0, 0, 0, 0, 0, 0, 0];
            words[1..5].copy_from_slice(&place.to_ne_bytes());
            words[5..].copy_from_slice(&error.to_ne_bytes());
            libc::write(report, words.as_ptr().cast(), WORDS);
            libc::_exit(1)
        }
    };
    // SAFETY: system calls on integers and on memory that the parent prepared; the handler is the system's own.
    unsafe {
        step(0, 0, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0);
        libc::prctl(libc::PR_SET_NAME, c"pause".as_ptr());
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        if let Some(network) = hold.network {
            step(1, 0, libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) == 0);
        }
        if let Some(name) = hold.hostname {
            step(2, 0, libc::sethostname(name.as_ptr().cast(), name.len()) == 0);
        }
        for (place, (path, value)) in hold.settings.iter().enumerate() {
            let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let written = file >= 0 && libc::write(file, value.as_ptr().cast(), value.len()) >= 0;
            step(3, place as i32, written);
            libc::close(file);
        }
        // Descriptors of the parent's would be held for good; the report's end tells that all is done.
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        // An older kernel does not know the call.
        libc::close(report);
        loop {
            libc::pause();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(pid: Pid) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap();
    }

    fn namespace(pid: i32, kind: &str) -> std::path::PathBuf {
        std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
    }

    #[test]
    fn it_keeps_what_was_made_for_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let flags = (libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID) as u64;
        let settings = [(c"/proc/sys/kernel/msgmax".to_owned(), b"12345".to_vec())];
        let hold = Hold { flags, hostname: Some(b"kept"), settings: &settings, ..Hold::default() };
        let pid = start(&hold).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        for (kind, differs) in [("uts", true), ("ipc", true), ("pid", true), ("net", false), ("mnt", false)] {
            assert_eq!(
                namespace(pid.as_raw_nonzero().get(), kind) != namespace(own, kind),
                differs,
                "{kind}"
            );
        }
        let open = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap().count();
        assert_eq!(open, 0);
        assert_ne!(std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap().trim(), "12345");
        end(pid);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let settings = [(c"/proc/sys/kernel/no-such-setting".to_owned(), Vec::new())];
        let failed = start(&Hold { settings: &settings, ..Hold::default() }).unwrap_err();
        assert_eq!((failed.step, failed.cause.kind()), (Step::Setting(0), io::ErrorKind::NotFound));
        let null = std::fs::File::open("/dev/null").unwrap();
        let network = Some(std::os::fd::AsFd::as_fd(&null));
        let failed = start(&Hold { network, ..Hold::default() }).unwrap_err();
        assert_eq!(failed.step, Step::Network);
    }
}
