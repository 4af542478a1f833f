//! Which limits the kernel of this host has.

use std::path::Path;
use std::sync::OnceLock;

/// What the running kernel can limit; looked up once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// The unified hierarchy is all there is.
    pub is_unified: bool,
    pub has_swap_limit: bool,
    pub has_blkio_weight: bool,
    pub has_blkio_weight_device: bool,
    /// Lists as in `0-3,7`; empty where there is no such controller.
    pub cpus: String,
    pub mems: String,
}

const ROOT: &str = "/sys/fs/cgroup";

impl Kernel {
    /// The host's.
    pub fn of_host() -> &'static Kernel {
        static FOUND: OnceLock<Kernel> = OnceLock::new();
        FOUND.get_or_init(|| Kernel::look(Path::new(ROOT)))
    }

    fn look(root: &Path) -> Kernel {
        let has = |path: &str| root.join(path).exists();
        let text =
            |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default().trim().to_owned();
        if has("cgroup.controllers") {
            // The root has no limits of its own: those below it show what there is.
            let below = |file: &str| {
                std::fs::read_dir(root)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .any(|entry| entry.path().join(file).exists())
            };
            return Kernel {
                is_unified: true,
                has_swap_limit: below("memory.swap.max"),
                has_blkio_weight: below("io.weight") || below("io.bfq.weight"),
                has_blkio_weight_device: below("io.weight") || below("io.bfq.weight"),
                cpus: text("cpuset.cpus.effective"),
                mems: text("cpuset.mems.effective"),
            };
        }
        let blkio =
            |name: &str| has(&format!("blkio/blkio.{name}")) || has(&format!("blkio/blkio.bfq.{name}"));
        Kernel {
            is_unified: false,
            has_swap_limit: has("memory/memory.memsw.limit_in_bytes"),
            has_blkio_weight: blkio("weight"),
            has_blkio_weight_device: blkio("weight_device"),
            cpus: text("cpuset/cpuset.cpus"),
            mems: text("cpuset/cpuset.mems"),
        }
    }
}

/// Numbers of a list such as `0-2,5`; `None` when it is none.
pub fn numbers(list: &str) -> Option<Vec<u32>> {
    /// No machine has more.
    const LAST: u32 = 8192;
    let mut all = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > LAST {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// Whether all numbers of a list are among those of another.
pub fn is_within(asked: &[u32], there: &str) -> bool {
    let there = numbers(there).unwrap_or_default();
    asked.iter().all(|number| there.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(numbers("0-2,5").unwrap(), [0, 1, 2, 5]);
        for bad in ["", "a", "3-1", "1-", "0-99999999"] {
            assert!(numbers(bad).is_none(), "{bad}");
        }
        assert!(is_within(&[1, 2], "0-3") && !is_within(&[4], "0-3"));
    }

    #[test]
    fn both_kinds_of_hierarchy_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("cpuset/cpuset.cpus", "0-1\n");
        put("memory/memory.memsw.limit_in_bytes", "1");
        let found = Kernel::look(root.path());
        assert!(!found.is_unified && found.has_swap_limit && !found.has_blkio_weight);
        assert_eq!(found.cpus, "0-1");
        put("cgroup.controllers", "cpu io");
        put("system.slice/io.weight", "default 100");
        let found = Kernel::look(root.path());
        assert!(found.is_unified && found.has_blkio_weight && !found.has_swap_limit);
    }

    proptest! {
        #[test]
        fn any_list_is_survived(text in "[0-9,\\-a ]{0,20}") {
            let _ = numbers(&text);
        }
    }
}
