//! Stopping and continuing all processes of a cgroup at once.

use std::path::Path;
use std::time::Duration;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::file;
use crate::wait::{self, Backoff};

/// How long freezing and thawing may take before they fail.
const LIMIT: Duration = Duration::from_secs(10);

/// Whether the processes of a group run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezerState {
    Thawed,
    Frozen,
}

impl Cgroup {
    /// Stops every process of the group and of the groups below; returns when all have stopped.
    ///
    /// Errors: [`Error::Timeout`] (the group is thawed again); [`Error::NoController`] when the
    /// host has no freezer.
    pub fn freeze(&self) -> Result<()> {
        if let Some(dir) = self.v1_path("freezer") {
            return freeze_v1(dir);
        }
        let dir = self.v2_freezer()?;
        file::write("freezer", dir, "cgroup.freeze", "1")?;
        if wait::event(dir, "frozen", 1, LIMIT)? {
            return Ok(());
        }
        file::write("freezer", dir, "cgroup.freeze", "0")?;
        Err(Error::Timeout { verb: "freeze", path: dir.to_owned() })
    }

    /// Lets the processes continue; returns when they do. A thawed group stays thawed.
    pub fn thaw(&self) -> Result<()> {
        if let Some(dir) = self.v1_path("freezer") {
            return thaw_v1(dir);
        }
        let dir = self.v2_freezer()?;
        file::write("freezer", dir, "cgroup.freeze", "0")?;
        if wait::event(dir, "frozen", 0, LIMIT)? {
            return Ok(());
        }
        Err(Error::Timeout { verb: "thaw", path: dir.to_owned() })
    }

    /// Whether this group itself was frozen (a frozen ancestor does not count). A group that is
    /// gone, or a host without freezer, reads as thawed.
    pub fn freezer_state(&self) -> Result<FreezerState> {
        let (dir, file, frozen) = match self.v1_path("freezer") {
            Some(dir) => (dir, "freezer.self_freezing", "1"),
            None => match &self.unified {
                Some(dir) => (dir.as_path(), "cgroup.freeze", "1"),
                None => return Ok(FreezerState::Thawed),
            },
        };
        let text = file::read_optional(dir, file)?;
        Ok(match text.as_deref().map(str::trim) {
            Some(value) if value == frozen => FreezerState::Frozen,
            _ => FreezerState::Thawed,
        })
    }

    fn v2_freezer(&self) -> Result<&Path> {
        // The unified hierarchy's freezer is core, not a controller: it serves hybrid hosts too.
        self.unified.as_deref().ok_or(Error::NoController { controller: "freezer", field: "pause" })
    }
}

/// v1 has no event: the state turns from FREEZING to FROZEN while it is read. A process that is
/// being forked or is in an uninterruptible wait delays it, and writing FROZEN again helps.
fn freeze_v1(dir: &Path) -> Result<()> {
    let mut backoff = Backoff::new(LIMIT);
    loop {
        file::write("freezer", dir, "freezer.state", "FROZEN")?;
        let state = file::read(dir, "freezer.state")?;
        match state.trim() {
            "FROZEN" => return Ok(()),
            "FREEZING" => {}
            _ => return Err(Error::malformed(&dir.join("freezer.state"), &state)),
        }
        if !backoff.pause() {
            file::write("freezer", dir, "freezer.state", "THAWED")?;
            return Err(Error::Timeout { verb: "freeze", path: dir.to_owned() });
        }
    }
}

fn thaw_v1(dir: &Path) -> Result<()> {
    let mut backoff = Backoff::new(LIMIT);
    loop {
        file::write("freezer", dir, "freezer.state", "THAWED")?;
        // An ancestor that is frozen keeps the state: what counts is that this group is not.
        if file::read(dir, "freezer.self_freezing")?.trim() == "0" {
            return Ok(());
        }
        if !backoff.pause() {
            return Err(Error::Timeout { verb: "thaw", path: dir.to_owned() });
        }
    }
}
