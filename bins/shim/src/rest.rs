//! Memory of a shim that has nothing to do: what calls have freed is given back when they have stopped coming.
//!
//! A shim rests for nearly all of its life. Without this it keeps what its busiest moment took.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long without a call is rest; threads that waited for disks have ended by then.
const QUIET: Duration = Duration::from_secs(2);
/// What is freed at the end of the heap and kept while calls come, in bytes.
const KEPT_BYTES: u32 = 64 << 10;

/// Makes the allocator thrifty. Before there are threads.
pub(crate) fn be_thrifty() {
    // Threads are few and short: they need no heap of their own.
    syscalls::heap::tune(1, KEPT_BYTES);
    syscalls::heap::forget_frugal();
}

/// Knows when the shim rests.
#[derive(Clone, Default)]
pub(crate) struct Rest(Arc<Notify>);

impl Rest {
    /// Watches, inside a runtime.
    pub(crate) fn watch() -> Rest {
        let rest = Rest::default();
        tokio::spawn(rest.clone().give_back());
        rest
    }

    /// A call has come.
    pub(crate) fn disturb(&self) {
        self.0.notify_one();
    }

    async fn give_back(self) {
        loop {
            self.0.notified().await;
            while tokio::time::timeout(QUIET, self.0.notified()).await.is_ok() {}
            syscalls::heap::give_back();
        }
    }
}
