//! What a process can be asked for in which status, in the words that clients know.

use containerd_api::v1::types::Status as WireStatus;
use errdefs::{Error, Kind, Result};

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Made (init) or asked for (exec), not started.
    Created,
    /// To be restored from a checkpoint at its start.
    Restorable,
    Running,
    Paused,
    Stopped,
    Deleted,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Delete,
    Pause,
    Resume,
    Checkpoint,
    Exec,
    Update,
    Resize,
}

impl Status {
    /// Refuses what this status does not allow.
    pub(crate) fn allow(self, verb: Verb, is_init: bool) -> Result<()> {
        match refusal(self, verb, is_init) {
            None => Ok(()),
            Some((kind, text)) => Err(Error::new(kind, text)),
        }
    }

    /// The number in answers.
    pub(crate) fn wire(self) -> i32 {
        (match self {
            Status::Created | Status::Restorable => WireStatus::Created,
            Status::Running => WireStatus::Running,
            Status::Paused => WireStatus::Paused,
            Status::Stopped => WireStatus::Stopped,
            Status::Deleted => WireStatus::Unknown,
        }) as i32
    }
}

fn refusal(status: Status, verb: Verb, is_init: bool) -> Option<(Kind, &'static str)> {
    let text = match (status, verb) {
        (Status::Created | Status::Restorable, Verb::Pause) => "cannot pause task in created state",
        (Status::Created | Status::Restorable, Verb::Resume) => "cannot resume task in created state",
        (Status::Created | Status::Restorable, Verb::Checkpoint) => {
            "cannot checkpoint a task in created state"
        }
        (Status::Restorable, Verb::Exec) => "cannot exec in a created state",
        (Status::Running, Verb::Resume) => "cannot resume a running process",
        (Status::Running, Verb::Start) => "cannot start a running process",
        (Status::Running, Verb::Delete) => "cannot delete a running process",
        (Status::Paused, Verb::Pause) => "cannot pause a paused container",
        (Status::Paused, Verb::Start) => "cannot start a paused process",
        (Status::Paused, Verb::Delete) => "cannot delete a paused process",
        (Status::Paused, Verb::Exec) => "cannot exec in a paused state",
        (Status::Stopped, Verb::Pause) => "cannot pause a stopped container",
        (Status::Stopped, Verb::Resume) => "cannot resume a stopped container",
        (Status::Stopped, Verb::Update) => "cannot update a stopped container",
        (Status::Stopped, Verb::Checkpoint) => "cannot checkpoint a stopped container",
        (Status::Stopped, Verb::Start) => "cannot start a stopped process",
        (Status::Stopped, Verb::Exec) => "cannot exec in a stopped state",
        (Status::Stopped, Verb::Resize) if !is_init => "cannot resize a stopped container",
        (Status::Deleted, Verb::Start) => "cannot start a deleted process",
        (Status::Deleted, Verb::Exec) => "cannot exec in a deleted state",
        (Status::Deleted, Verb::Delete) => return Some((Kind::NotFound, "cannot delete a deleted process")),
        (Status::Deleted, _) => return Some((Kind::NotFound, "process does not exist")),
        _ => return None,
    };
    Some((Kind::Unknown, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_that_clients_know() {
        let text = |status: Status, verb| status.allow(verb, true).unwrap_err().wire_text();
        assert_eq!(text(Status::Running, Verb::Delete), "cannot delete a running process");
        assert_eq!(text(Status::Deleted, Verb::Delete), "cannot delete a deleted process: not found");
        assert_eq!(text(Status::Stopped, Verb::Exec), "cannot exec in a stopped state");
        assert!(Status::Created.allow(Verb::Delete, true).is_ok());
        assert!(Status::Stopped.allow(Verb::Resize, true).is_ok());
        assert!(Status::Stopped.allow(Verb::Resize, false).is_err());
    }
}
