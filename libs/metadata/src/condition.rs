//! References that hold only while a snapshot is what they say: containerd's labels `gc.cond.*` (core/metadata/gc.go).
//!
//! An image or a blob labelled `containerd.io/gc.cond.snapshot.SNAPSHOTTER = usedat<336h|KEY` keeps the snapshot KEY
//! while the moment in its label `containerd.io/gc.cond.value-usedat` is less than that long ago.

use snapshots::Labels;
use std::time::{Duration, SystemTime};

const CONDITION: &str = "containerd.io/gc.cond.snapshot";
const USED_AT: &str = "containerd.io/gc.cond.value-usedat";

/// A snapshot, and what must be true of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Condition<'a> {
    pub(crate) snapshotter: &'a str,
    pub(crate) key: &'a str,
    /// One of them is enough. What cannot be read is never true.
    ages: Vec<Age>,
}

/// How long ago the snapshot was used.
#[derive(Debug, PartialEq)]
enum Age {
    Below(Duration),
    Above(Duration),
}

/// The conditions among an object's labels.
pub(crate) fn conditions(labels: &Labels) -> impl Iterator<Item = Condition<'_>> {
    labels.iter().filter_map(|(key, value)| Condition::parse(key, value))
}

impl<'a> Condition<'a> {
    fn parse(label: &'a str, value: &'a str) -> Option<Condition<'a>> {
        let rest = label.strip_prefix(CONDITION)?;
        let rest = rest.strip_prefix(['.', '/'])?.trim_start_matches(['.', '/']);
        let snapshotter = rest.split('/').next().filter(|name| !name.is_empty())?;
        let (words, key) = value.split_once('|')?;
        Some(Condition { snapshotter, key, ages: words.split(',').filter_map(age).collect() })
    }

    /// Whether it holds of a snapshot with these labels.
    pub(crate) fn holds(&self, of: &Labels, now: SystemTime) -> bool {
        let used =
            of.get(USED_AT).and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(SystemTime::from);
        let Some(used) = used else { return false };
        // A moment to come is not long ago.
        let ago = now.duration_since(used).unwrap_or_default();
        self.ages.iter().any(|age| match age {
            Age::Below(limit) => ago < *limit,
            Age::Above(limit) => ago > *limit,
        })
    }
}

fn age(word: &str) -> Option<Age> {
    let word = word.strip_prefix("usedat")?;
    let duration = containerd_api::parse_duration;
    match (word.strip_prefix('<'), word.strip_prefix('>')) {
        (Some(limit), _) => Some(Age::Below(duration(limit)?)),
        (_, Some(limit)) => Some(Age::Above(duration(limit)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3600;

    fn holds(value: &str, hours_ago: u64) -> bool {
        let now = SystemTime::now();
        let used = jiff::Timestamp::try_from(now - Duration::from_secs(hours_ago * HOUR)).unwrap();
        let of = Labels::from([(USED_AT.to_owned(), used.to_string())]);
        Condition::parse("containerd.io/gc.cond.snapshot.overlayfs", value).is_some_and(|c| c.holds(&of, now))
    }

    #[test]
    fn ages_are_compared() {
        assert!(holds("usedat<2h|k", 1) && !holds("usedat<2h|k", 3));
        assert!(!holds("usedat>2h|k", 1) && holds("usedat>2h|k", 3));
        assert!(holds("usedat<1h,usedat>2h|k", 3), "one is enough");
        for never in
            ["usedat=1h|k", "usedat<=2h|k", "usedat<|k", "usedat|k", "other<2h|k", "usedat<2h", "|k", ""]
        {
            assert!(!holds(never, 1), "{never}");
        }
        let condition = Condition::parse("containerd.io/gc.cond.snapshot.overlayfs", "usedat<2h|k").unwrap();
        assert!(!condition.holds(&Labels::new(), SystemTime::now()), "without a moment");
    }

    #[test]
    fn the_snapshot_is_named_by_both() {
        let named = |label: &'static str, value: &'static str| {
            Condition::parse(label, value).map(|condition| (condition.snapshotter, condition.key))
        };
        let prefix = "containerd.io/gc.cond.snapshot.overlayfs";
        assert_eq!(named(prefix, "usedat<2h|sha256:a|b"), Some(("overlayfs", "sha256:a|b")));
        assert_eq!(named("containerd.io/gc.cond.snapshot.native/x", "usedat<2h|k"), Some(("native", "k")));
        for none in
            ["containerd.io/gc.cond.snapshot", "containerd.io/gc.cond.snapshotx", "containerd.io/gc.cond"]
        {
            assert_eq!(named(none, "usedat<2h|k"), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_label_panics(key in "containerd.io/gc.cond.snapshot[./a-z]{0,8}", value in "[usedat<>=!,|0-9hms.]{0,24}") {
            if let Some(condition) = Condition::parse(&key, &value) {
                condition.holds(&Labels::new(), SystemTime::now());
            }
        }
    }
}
