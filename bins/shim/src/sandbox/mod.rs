//! The sandbox that this shim is for, if a daemon made it one: a surrounding that containers share.
//!
//! With a spec that names a process the sandbox is a container of its own, which rests while others come and go.
//! Without, it is namespaces, kept by a process of ours ([`namespaces`]): no image is needed for it.

mod config;
mod create;
mod namespaces;
mod service;
mod shutdown;
mod start;
mod status;
mod stop;

pub(crate) use service::{NAME, SandboxService};

use crate::container::Container;
use crate::process::Process;
use errdefs::{Error, Result};
use namespaces::Namespaces;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The sandbox.
pub(crate) struct Sandbox {
    id: String,
    what: What,
    created: SystemTime,
    /// Start comes once, and not beside a stop.
    change: tokio::sync::Mutex<()>,
}

/// What it is made of.
enum What {
    /// A container with an init that does nothing.
    Container(Arc<Container>),
    /// Namespaces, and the process that keeps them.
    Namespaces(Namespaces, Arc<Process>),
}

impl Sandbox {
    /// The process whose life is the sandbox's.
    fn process(&self) -> &Arc<Process> {
        match &self.what {
            What::Container(container) => &container.init,
            What::Namespaces(_, process) => process,
        }
    }

    fn container(&self) -> Option<&Arc<Container>> {
        match &self.what {
            What::Container(container) => Some(container),
            What::Namespaces(..) => None,
        }
    }
}

/// The place for the sandbox: a shim has one at most.
#[derive(Default)]
pub(crate) struct Place(Mutex<Taken>);

#[derive(Default)]
enum Taken {
    #[default]
    Free,
    Making,
    By(Arc<Sandbox>),
}

impl Place {
    /// Whether there is no sandbox, and none in the making.
    pub(crate) fn is_free(&self) -> bool {
        matches!(*self.taken(), Taken::Free)
    }

    /// The sandbox of this id.
    fn get(&self, id: &str) -> Result<Arc<Sandbox>> {
        match &*self.taken() {
            Taken::By(sandbox) if sandbox.id == id => Ok(sandbox.clone()),
            _ => Err(Error::not_found(format!("sandbox {id:?}"))),
        }
    }

    /// Keeps the place for a sandbox in the making.
    fn claim(&self, id: &str) -> Result<Claim<'_>> {
        let mut taken = self.taken();
        match &*taken {
            Taken::Free => *taken = Taken::Making,
            Taken::By(other) if other.id != id => {
                let text = format!("this shim has sandbox {:?} already", other.id);
                return Err(Error::failed_precondition(text));
            }
            _ => return Err(Error::already_exists(format!("sandbox {id:?}"))),
        }
        Ok(Claim { place: self })
    }

    fn clear(&self) {
        *self.taken() = Taken::Free;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Place::claim`]: dropped, the place is free again.
struct Claim<'a> {
    place: &'a Place,
}

impl Claim<'_> {
    fn fill(self, sandbox: Sandbox) {
        *self.place.taken() = Taken::By(Arc::new(sandbox));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut taken = self.place.taken();
        if matches!(*taken, Taken::Making) {
            *taken = Taken::Free;
        }
    }
}
