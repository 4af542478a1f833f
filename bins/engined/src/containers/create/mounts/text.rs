//! `-v` and `--volumes-from`: wishes as text.

use errdefs::{Error, Result};

use super::{anonymous, clean};
use crate::containers::{MountRecord, Source};

const PROPAGATIONS: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

/// Whether the word says how mounts travel.
pub fn is_propagation(word: &str) -> bool {
    PROPAGATIONS.contains(&word)
}

/// `SOURCE:DESTINATION[:OPTIONS]` or `DESTINATION`.
///
/// # Errors
/// It is none of them.
pub fn parse_bind(text: &str) -> Result<MountRecord> {
    let bad = |why: &str| {
        let more = if why.is_empty() { String::new() } else { format!(": {why}") };
        Error::invalid_argument(format!("invalid volume specification: '{text}'{more}"))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match parts[..] {
        ["", ..] => return Err(bad("")),
        [destination] => return Ok(anonymous(clean(destination)?)),
        // Options without a source are no mount.
        [_, options] if is_mode(options) => return Err(bad("")),
        [source, destination] => (source, destination, ""),
        [source, destination, options] => (source, destination, options),
        _ => return Err(bad("")),
    };
    if !is_mode(options) {
        return Err(Error::invalid_argument(format!("invalid mode: {options}")));
    }
    let wrong = |why: &str| {
        let kind = if source.starts_with('/') { "bind" } else { "volume" };
        bad(&format!("invalid mount config for type \"{kind}\": {why}"))
    };
    if destination.is_empty() {
        return Err(wrong("field Target must not be empty"));
    }
    let target = clean(destination)
        .map_err(|_| wrong(&format!("invalid mount path: '{destination}' mount path must be absolute")))?;
    if target == "/" {
        return Err(wrong("invalid specification: destination can't be '/'"));
    }
    let mut mount = MountRecord { destination: target, mode: options.to_owned(), ..MountRecord::default() };
    for option in options.split(',') {
        match option {
            "ro" => mount.is_read_only = true,
            "nocopy" => mount.is_bare = true,
            word if is_propagation(word) => mount.propagation = word.to_owned(),
            // "rw" is what stands; labels of a module that this host does not have, and hints for other systems.
            _ => {}
        }
    }
    mount.source = if source.starts_with('/') {
        if mount.propagation.is_empty() {
            mount.propagation = "rprivate".into();
        }
        mount.makes_source = true;
        Source::Bind { path: clean(source)? }
    } else {
        crate::volumes::check_name(source)?;
        if mount.mode.is_empty() {
            mount.mode = "z".into();
        }
        Source::Volume { name: source.to_owned(), is_anonymous: false }
    };
    Ok(mount)
}

/// Options of a kind exclude each other; any other word is none. Nothing at all is fine.
pub fn is_mode(options: &str) -> bool {
    let kind = |word: &str| match word {
        "rw" | "ro" => Some(0),
        "z" | "Z" => Some(1),
        "nocopy" => Some(2),
        "consistent" | "cached" | "delegated" | "default" => Some(3),
        word if is_propagation(word) => Some(4),
        _ => None,
    };
    let mut seen = Vec::new();
    options.is_empty()
        || options.split(',').all(|word| {
            kind(word).is_some_and(|kind| {
                let is_new = !seen.contains(&kind);
                seen.push(kind);
                is_new
            })
        })
}

/// `CONTAINER[:OPTIONS]`: the container, and whether its mounts become read-only.
///
/// # Errors
/// The options are none that mounts can be taken over with.
pub fn parse_volumes_from(text: &str) -> Result<(&str, bool)> {
    if text.is_empty() {
        return Err(Error::invalid_argument("volumes-from specification cannot be an empty string"));
    }
    let (name, options) = text.split_once(':').unwrap_or((text, ""));
    let has = |test: fn(&str) -> bool| !options.is_empty() && options.split(',').any(test);
    if !is_mode(options) || has(is_propagation) || has(|word| word == "nocopy") {
        return Err(Error::invalid_argument(format!("invalid mode: {options}")));
    }
    Ok((name, has(|word| word == "ro")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binds_and_volumes() {
        let mount = parse_bind("/a/../b:/c/:ro,rslave").unwrap();
        assert_eq!(mount.source, Source::Bind { path: "/b".into() });
        assert_eq!(
            (mount.destination.as_str(), mount.is_read_only, mount.propagation.as_str()),
            ("/c", true, "rslave")
        );
        let mount = parse_bind("data:/var").unwrap();
        assert_eq!(mount.source, Source::Volume { name: "data".into(), is_anonymous: false });
        assert_eq!(mount.mode, "z");
        assert!(matches!(parse_bind("/only").unwrap().source, Source::Volume { is_anonymous: true, .. }));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in [
            "",
            ":",
            "a:b:c:d",
            "/a:/",
            "/a:relative",
            "/a:/b:wild",
            "b@d:/c",
            "relative",
            "/a:ro",
            "/a:/b:ro,rw",
            "/a:/b:ro,ro",
        ] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mounts_of_others_are_named() {
        assert_eq!(parse_volumes_from("a:ro").unwrap(), ("a", true));
        assert_eq!(parse_volumes_from("a:z").unwrap(), ("a", false));
        for bad in ["", "a:b:c", "a:rslave", "a:nocopy"] {
            assert!(parse_volumes_from(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            let _ = parse_volumes_from(&text);
            if let Ok(mount) = parse_bind(&text) {
                prop_assert!(mount.destination.starts_with('/') && !mount.destination.contains("/../"));
            }
        }
    }
}
