//! Waiting for a log to grow or to be rotated, inotify(7).

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// A watch on the directory of a log: writes, rotations and new files in it.
pub(crate) struct Watch {
    queue: AsyncFd<OwnedFd>,
}

impl Watch {
    pub(crate) fn new(log: &Path) -> io::Result<Watch> {
        let directory = log.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes =
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
        inotify::add_watch(&queue, directory, changes | WatchFlags::ONLYDIR)?;
        // Deprecated for types that do not own their descriptor; this one does.
        #[allow(deprecated)]
        let queue = AsyncFd::new(queue)?;
        Ok(Watch { queue })
    }

    /// Resolves when something changed since the last call returned.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        let mut ready = self.queue.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(self.queue.get_ref(), &mut buffer);
        loop {
            match events.next() {
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}
