//! Capabilities: Docker's default set, and what is added to and taken from it.

use errdefs::{Error, Result};
use runtime_spec::CAPABILITIES;

/// What every container has unless told otherwise.
pub const DEFAULT: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// All that the running kernel has (`/proc/sys/kernel/cap_last_cap`).
pub fn of_kernel(last: usize) -> Vec<String> {
    CAPABILITIES.iter().take(last + 1).map(|name| format!("CAP_{name}")).collect()
}

/// The set of a container.
///
/// # Errors
/// A word that is no capability.
pub fn of(add: &[String], drop: &[String], all: &[String]) -> Result<Vec<String>> {
    let (add, drop) = (normalise("CapAdd", add)?, normalise("CapDrop", drop)?);
    let is_all = |list: &[String]| list.iter().any(|name| name == "ALL");
    let base: Vec<String> = match (is_all(&add), is_all(&drop)) {
        (true, _) => all.iter().filter(|name| !drop.contains(name)).cloned().collect(),
        (false, true) => Vec::new(),
        (false, false) => {
            DEFAULT.iter().map(|name| (*name).to_owned()).filter(|name| !drop.contains(name)).collect()
        }
    };
    let mut set = base;
    for name in add.into_iter().filter(|name| name != "ALL") {
        if !set.contains(&name) {
            set.push(name);
        }
    }
    Ok(set)
}

fn normalise(field: &str, names: &[String]) -> Result<Vec<String>> {
    names
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            match bare {
                "ALL" => Ok("ALL".to_owned()),
                known if CAPABILITIES.contains(&known) => Ok(format!("CAP_{known}")),
                _ => Err(Error::invalid_argument(format!(
                    "invalid {field}: unknown capability: \"CAP_{bare}\""
                ))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Vec<String> {
        let owned = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        of(&owned(add), &owned(drop), &of_kernel(40)).unwrap()
    }

    #[test]
    fn the_default_set_with_changes() {
        assert_eq!(set(&[], &[]), DEFAULT);
        assert!(set(&["sys_admin"], &[]).contains(&"CAP_SYS_ADMIN".to_owned()));
        assert!(!set(&[], &["CAP_KILL"]).contains(&"CAP_KILL".to_owned()));
        assert_eq!(set(&["NET_RAW"], &["ALL"]), ["CAP_NET_RAW"]);
        let all_but_one = set(&["ALL"], &["SYS_BOOT"]);
        assert_eq!(all_but_one.len(), 40);
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = of(&["FLY".to_owned()], &[], &[]).unwrap_err();
        assert_eq!(error.to_string(), "invalid CapAdd: unknown capability: \"CAP_FLY\"");
    }
}
