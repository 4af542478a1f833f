//! What a container's labels say of its task, and what follows from how the task is.

use errdefs::{Error, Result};
use metadata::Labels;

/// `running` or `stopped`: the container is looked after, and this is wanted.
pub const STATUS: &str = "containerd.io/restart.status";
/// When one that has ended runs again; absent means always.
const POLICY: &str = "containerd.io/restart.policy";
/// How often it was started again.
pub const COUNT: &str = "containerd.io/restart.count";
/// `true` when a person stopped it.
const EXPLICITLY_STOPPED: &str = "containerd.io/restart.explicitly-stopped";
/// Where its output goes: `file://`, `binary://` or the path of a fifo.
const LOG_URI: &str = "containerd.io/restart.loguri";
/// The same in the words of containerd 1.2: the path of a file.
const LOG_PATH: &str = "containerd.io/restart.logpath";

/// The policies, as introspection tells them and clients look for them.
pub const POLICIES: [&str; 4] = ["no", "always", "on-failure", "unless-stopped"];

/// When a task that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    No,
    Always,
    /// With another status than 0, so many times; 0 is without end.
    OnFailure(u32),
    UnlessStopped,
}

/// How the task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// It runs, or is about to, or is paused.
    Alive,
    /// It has ended with this status.
    Ended(u32),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Start it; so often it was started by then.
    Start { count: u32 },
    /// End it.
    Stop,
}

impl Policy {
    fn parse(text: &str) -> Result<Policy> {
        let refused = || Error::invalid_argument(format!("restart policy {text:?} not valid"));
        match text.split_once(':') {
            None => match text {
                "" | "always" => Ok(Policy::Always),
                "no" => Ok(Policy::No),
                "on-failure" => Ok(Policy::OnFailure(0)),
                "unless-stopped" => Ok(Policy::UnlessStopped),
                _ => Err(refused()),
            },
            Some(("on-failure", most)) => most.parse().map(Policy::OnFailure).map_err(|_| refused()),
            Some(_) => Err(refused()),
        }
    }
}

/// What the labels of a container ask for with its task as it is; nothing when all is as it should be.
///
/// # Errors
/// InvalidArgument: a label has a word that is none.
pub fn deed(labels: &Labels, found: Found) -> Result<Option<Deed>> {
    match (labels.get(STATUS).map(String::as_str), found) {
        (None | Some(""), _) => Ok(None),
        (Some("stopped"), Found::Alive) => Ok(Some(Deed::Stop)),
        (Some("stopped"), _) => Ok(None),
        // One that is created or paused is so because somebody wants it so.
        (Some("running"), Found::Alive) => Ok(None),
        (Some("running"), found) => {
            let count = labels.get(COUNT).and_then(|count| count.parse::<u32>().ok()).unwrap_or_default();
            let stopped = labels.get(EXPLICITLY_STOPPED).is_some_and(|value| value == "true" || value == "1");
            let again = match Policy::parse(labels.get(POLICY).map_or("", String::as_str))? {
                Policy::No => false,
                Policy::Always => true,
                Policy::OnFailure(most) => {
                    matches!(found, Found::Ended(status) if status != 0) && (most == 0 || count < most)
                }
                Policy::UnlessStopped => !stopped,
            };
            Ok(again.then_some(Deed::Start { count: count.saturating_add(1) }))
        }
        (Some(other), _) => {
            Err(Error::invalid_argument(format!("label {STATUS} must be running or stopped, not {other:?}")))
        }
    }
}

/// Where the output of a task that is started again goes; empty is nowhere.
pub fn log(labels: &Labels) -> String {
    let path = || labels.get(LOG_PATH).filter(|path| !path.is_empty()).map(|path| format!("file://{path}"));
    labels.get(LOG_URI).filter(|uri| !uri.is_empty()).cloned().or_else(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_policy_with_every_end() {
        let start = |count| Some(Deed::Start { count });
        for (policy, found, expected) in [
            ("", Found::Ended(0), start(1)),
            ("always", Found::Ended(1), start(1)),
            ("always", Found::Nothing, start(1)),
            ("always", Found::Alive, None),
            ("no", Found::Ended(1), None),
            ("on-failure", Found::Ended(1), start(1)),
            ("on-failure", Found::Ended(0), None),
            ("on-failure:3", Found::Ended(137), start(1)),
            ("on-failure", Found::Nothing, None),
            ("unless-stopped", Found::Ended(0), start(1)),
        ] {
            let labels = labels(&[(STATUS, "running"), (POLICY, policy)]);
            assert_eq!(deed(&labels, found).unwrap(), expected, "{policy} {found:?}");
        }
    }

    #[test]
    fn counts_and_persons_end_it() {
        let running = |more: &[(&str, &str)]| {
            let mut all = labels(&[(STATUS, "running")]);
            all.extend(labels(more));
            deed(&all, Found::Ended(1))
        };
        let count = |count| running(&[(POLICY, "on-failure:2"), (COUNT, count)]).unwrap();
        assert_eq!(count("1"), Some(Deed::Start { count: 2 }));
        assert_eq!(count("2"), None);
        assert_eq!(running(&[(POLICY, "unless-stopped"), (EXPLICITLY_STOPPED, "true")]).unwrap(), None);
        for bad in [(POLICY, "sometimes"), (POLICY, "always:1"), (POLICY, "on-failure:x"), (STATUS, "paused")]
        {
            assert!(running(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_to_be_stopped_is() {
        let stopped = labels(&[(STATUS, "stopped")]);
        assert_eq!(deed(&stopped, Found::Alive).unwrap(), Some(Deed::Stop));
        assert_eq!(deed(&stopped, Found::Ended(0)).unwrap(), None);
        assert_eq!(deed(&labels(&[]), Found::Ended(1)).unwrap(), None);
        assert_eq!(log(&labels(&[(LOG_PATH, "/x")])), "file:///x");
        assert_eq!(log(&labels(&[(LOG_PATH, "/x"), (LOG_URI, "binary:///y")])), "binary:///y");
    }

    proptest! {
        #[test]
        fn any_policy_is_read_or_refused(text in "[a-z:0-9-]{0,20}") {
            let _ = Policy::parse(&text);
        }
    }
}
