//! Who uses the mount behind a volume: the first has it mounted, the last unmounted, and nobody's in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use errdefs::Result;

/// Containers by the volumes whose mounts they use, of this life of the engine.
#[derive(Default)]
pub struct Users(Mutex<BTreeMap<String, Arc<Mutex<BTreeSet<String>>>>>);

impl Users {
    /// One more uses a volume; `mount` is called while nobody else comes or goes.
    ///
    /// # Errors
    /// Those of `mount`: then it uses nothing.
    pub fn enter(&self, volume: &str, container: &str, mount: impl FnOnce() -> Result<()>) -> Result<()> {
        let users = self.of(volume);
        let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
        mount()?;
        users.insert(container.to_owned());
        Ok(())
    }

    /// One uses it no more; `unmount` is called if it was the last.
    ///
    /// # Errors
    /// Those of `unmount`.
    pub fn leave(&self, volume: &str, container: &str, unmount: impl FnOnce() -> Result<()>) -> Result<()> {
        let users = self.of(volume);
        let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
        users.remove(container);
        if users.is_empty() { unmount() } else { Ok(()) }
    }

    /// Forgets a volume that is gone.
    pub fn forget(&self, volume: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(volume);
    }

    fn of(&self, volume: &str) -> Arc<Mutex<BTreeSet<String>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(volume.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn who_is_about_to_start_keeps_the_mount_of_who_has_just_ended() {
        let (users, mounts) = (Users::default(), Cell::new(0));
        let mount = || {
            mounts.set(mounts.get().max(1));
            Ok(())
        };
        let unmount = || {
            mounts.set(0);
            Ok(())
        };
        users.enter("v", "ends", mount).unwrap();
        users.enter("v", "starts", mount).unwrap();
        users.leave("v", "ends", unmount).unwrap();
        assert_eq!(mounts.get(), 1);
        users.leave("other", "starts", || Ok(())).unwrap();
        users.leave("v", "starts", unmount).unwrap();
        assert_eq!(mounts.get(), 0);
    }

    #[test]
    fn who_could_not_mount_uses_nothing() {
        let users = Users::default();
        let refused = || Err(errdefs::Error::internal("no"));
        assert!(users.enter("v", "a", refused).is_err());
        assert!(users.leave("v", "b", refused).is_err());
    }
}
