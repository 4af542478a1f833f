//! The container's terminal.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use mount::Tree;
use runtime_spec::ConsoleSize;
use rustix::fs::{self, Mode, OFlags};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::error::{At, Cause, Error};
use crate::walk::Root;

/// A pseudo terminal of the container's own devpts.
#[derive(Debug)]
pub struct Console {
    /// The runtime's or its caller's end.
    pub master: OwnedFd,
    /// The container's end.
    pub slave: OwnedFd,
}

impl Console {
    /// Opens a pair from the devpts at `/dev/pts` inside `root`.
    pub fn open(root: &Root, size: Option<&ConsoleSize>) -> Result<Console, Error> {
        Console::from_multiplexer(root, size).at(|| "error opening a terminal".to_owned())
    }

    fn from_multiplexer(root: &Root, size: Option<&ConsoleSize>) -> Result<Console, Cause> {
        let directory = root.find(Path::new("/dev/pts"))?;
        if fs::fstatfs(&directory)?.f_type != libc::DEVPTS_SUPER_MAGIC as _ {
            return Err(Cause::Refused("/dev/pts is not a devpts filesystem".to_owned()));
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let master = fs::openat(&directory, "ptmx", flags, Mode::empty())?;
        pty::unlockpt(&master)?;
        // By descriptor, not by name: nobody can swap /dev/pts/N in between (CVE-2025-52565).
        let slave =
            pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        if let Some(size) = size.filter(|size| size.height != 0 || size.width != 0) {
            set_size(&slave, size)?;
        }
        Ok(Console { master, slave })
    }

    /// Binds the container's end on `/dev/console`.
    pub fn mount(&self, root: &Root) -> Result<(), Error> {
        let step = || "error mounting the terminal at \"/dev/console\"".to_owned();
        let (parent, name) = root.parent_of(Path::new("/dev/console")).at(step)?;
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o620)).at(step)?;
        let target =
            fs::openat(&parent, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .at(step)?;
        Tree::copy_of(&self.slave, false).at(step)?.attach(&target).at(step)
    }
}

/// Sets the size in characters.
fn set_size(terminal: impl AsFd, size: &ConsoleSize) -> Result<(), Cause> {
    let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}
