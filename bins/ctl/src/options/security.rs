//! `--cap-add`, `--cap-drop` and `--security-opt`.

use std::collections::BTreeSet;
use std::fs;

use crate::options::environment::os_text;

/// Capabilities by their full names, sorted, each once; what is added is not dropped.
pub fn capabilities(add: &[String], drop: &[String]) -> (Vec<String>, Vec<String>) {
    const ALL: &str = "ALL";
    let full = |name: &String| match name.trim().to_uppercase() {
        name if name == ALL || name.starts_with("CAP_") => name,
        name => format!("CAP_{name}"),
    };
    let set = |names: &[String]| {
        let names: BTreeSet<String> = names.iter().map(full).collect();
        if names.contains(ALL) { BTreeSet::from([ALL.to_owned()]) } else { names }
    };
    let (add, mut drop) = (set(add), set(drop));
    drop.retain(|name| name == ALL || !add.contains(name));
    (add.into_iter().collect(), drop.into_iter().collect())
}

/// Security options with the seccomp profile read in, and whether all paths are unmasked.
///
/// # Errors
/// An option that is none; the profile cannot be read.
pub fn options(flags: &[String]) -> Result<(Vec<String>, bool), String> {
    let mut options = Vec::new();
    let mut unmask = false;
    for flag in flags {
        if flag == "systempaths=unconfined" {
            unmask = true;
            continue;
        }
        let (name, value) = match flag.split_once('=').or_else(|| flag.split_once(':')) {
            Some(pair) => pair,
            None if flag == "no-new-privileges" => (flag.as_str(), ""),
            None => return Err(format!("Invalid --security-opt: {flag:?}")),
        };
        if name == "seccomp" && !matches!(value, "unconfined" | "builtin") {
            let profile = fs::read_to_string(value).map_err(|error| {
                format!("opening seccomp profile ({value}) failed: open {value}: {}", os_text(&error))
            })?;
            let profile: serde_json::Value = serde_json::from_str(&profile)
                .map_err(|error| format!("compacting json for seccomp profile ({value}) failed: {error}"))?;
            options.push(format!("seccomp={profile}"));
        } else {
            options.push(flag.clone());
        }
    }
    Ok((options, unmask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_their_full_names() {
        let words = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let got = capabilities(&words(&["net_admin", "CAP_MKNOD", "NET_ADMIN"]), &words(&["mknod", "chown"]));
        assert_eq!(got, (words(&["CAP_MKNOD", "CAP_NET_ADMIN"]), words(&["CAP_CHOWN"])));
        assert_eq!(
            capabilities(&words(&["all", "chown"]), &words(&["ALL"])),
            (words(&["ALL"]), words(&["ALL"]))
        );
    }
}
