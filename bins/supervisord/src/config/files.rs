//! Reading the file and what it imports, and putting one over the other as containerd does.

use super::migrate::migrate;
use errdefs::{Error, Kind, Result};
use std::collections::{HashSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use toml::{Table, Value};

/// Reads a file in the newest layout.
pub fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        let kind = if cause.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Unknown };
        Error::new(kind, format!("cannot read configuration {}", path.display())).with_source(cause)
    })?;
    parse(&text).map_err(|cause| {
        let text = format!("cannot use configuration {}", path.display());
        Error::new(cause.kind(), text).with_source(cause)
    })
}

/// A file's text in the newest layout.
pub fn parse(text: &str) -> Result<Table> {
    let mut file: Table = toml::from_str(text)
        .map_err(|cause| Error::invalid_argument("failed to unmarshal TOML").with_source(cause))?;
    migrate(&mut file)?;
    Ok(file)
}

/// Reads a file and those that it imports, each over those before.
pub fn read_all(path: &Path) -> Result<Table> {
    let mut merged = Table::new();
    let (mut pending, mut loaded) = (VecDeque::from([clean(path)]), HashSet::new());
    while let Some(path) = pending.pop_front() {
        if !loaded.insert(path.clone()) {
            continue;
        }
        let file = read(&path)?;
        let imports = imports(&path, &file)?;
        merge(&mut merged, file);
        pending.extend(imports);
    }
    Ok(merged)
}

fn imports(parent: &Path, file: &Table) -> Result<Vec<PathBuf>> {
    let listed = match file.get("imports") {
        None => return Ok(Vec::new()),
        Some(Value::Array(listed)) => listed,
        Some(_) => return Err(Error::invalid_argument("imports must be a list of paths")),
    };
    let mut found = Vec::new();
    for pattern in listed {
        let pattern =
            pattern.as_str().ok_or_else(|| Error::invalid_argument("imports must be a list of paths"))?;
        let whole = clean(&parent.parent().unwrap_or(Path::new("")).join(pattern));
        match pattern.contains('*') {
            true => found.extend(matching(&whole)?),
            false => found.push(whole),
        }
    }
    Ok(found)
}

/// A path without `.` and `..`, by its words alone, so that a file has one name.
fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            other => clean.push(other),
        }
        clean
    })
}

/// The files that match a pattern with stars in any of its components, in the order of names.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        let mut next = Vec::new();
        for dir in found {
            if !name.contains('*') {
                next.push(dir.join(component));
                continue;
            }
            let within = if dir.as_os_str().is_empty() { Path::new(".") } else { &dir };
            let entries = std::fs::read_dir(within).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            let mut names: Vec<_> = names.filter(|found| fits(&name, &found.to_string_lossy())).collect();
            names.sort();
            next.extend(names.into_iter().map(|name| dir.join(name)));
        }
        found = next;
    }
    found.retain(|path| path.exists());
    Ok(found)
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| fits(rest, &tail[at..]))
        }),
    }
}

/// Tables whose entries count as a whole.
const WHOLE: [&str; 2] = ["proxy_plugins", "stream_processors"];

/// Puts `source` over `target`: lists join, tables merge, of the rest what is not empty counts.
pub fn merge(target: &mut Table, source: Table) {
    for (key, value) in source {
        match (target.get_mut(&key), value) {
            (Some(Value::Table(target)), Value::Table(source)) if WHOLE.contains(&key.as_str()) => {
                target.extend(source);
            }
            (Some(Value::Table(target)), Value::Table(source)) => merge(target, source),
            (Some(Value::Array(target)), Value::Array(source)) => {
                let new: Vec<Value> = source.into_iter().filter(|item| !target.contains(item)).collect();
                target.extend(new);
            }
            (Some(_), value) if is_empty(&value) => {}
            (_, value) => drop(target.insert(key, value)),
        }
    }
}

/// Whether a value says nothing: an empty text, zero, false.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Integer(number) => *number == 0,
        Value::Boolean(on) => !on,
        Value::Float(number) => *number == 0.0,
        Value::Array(items) => items.is_empty(),
        Value::Table(entries) => entries.is_empty(),
        Value::Datetime(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name) in [("*.toml", "a.toml"), ("*", ""), ("a*b*c", "a1b2c"), ("a*", "a"), ("**", "x")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.toml", "a.tom"), ("a*b", "ac"), ("", "x")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn imports_are_put_over_the_file() {
        let top = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = top.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let main = write(
            "main.toml",
            "version = 2\nroot = '/r'\nimports = ['conf.d/*.toml', 'more.toml']\ndisabled_plugins = ['a.b']\n\
             [timeouts]\n't' = '1s'\n[plugins.'p.q']\nx = 1\ny = 2",
        );
        write(
            "conf.d/1.toml",
            "version = 2\nstate = '/s'\ndisabled_plugins = ['a.b', 'c.d']\n[plugins.'p.q']\nx = 5",
        );
        write("conf.d/2.toml", "version = 4\nroot = ''\nimports = ['../main.toml']\n[timeouts]\n't' = '2s'");
        write("conf.d/3.txt", "not TOML");
        write("more.toml", "[plugins.overlayfs]\nroot_path = '/o'");
        let merged = read_all(&main).unwrap();
        assert_eq!(merged["root"].as_str(), Some("/r"));
        assert_eq!(merged["state"].as_str(), Some("/s"));
        assert_eq!(merged["disabled_plugins"].as_array().unwrap().len(), 2);
        assert_eq!(merged["timeouts"]["t"].as_str(), Some("2s"));
        assert_eq!(merged["plugins"]["p.q"].to_string(), "{ x = 5, y = 2 }");
        assert_eq!(
            merged["plugins"]["io.containerd.snapshotter.v1.overlayfs"]["root_path"].as_str(),
            Some("/o")
        );

        let absent = write("absent.toml", "imports = ['no.toml']");
        assert_eq!(read_all(&absent).unwrap_err().kind(), Kind::NotFound);
        let none = write("none.toml", "imports = ['no/*.toml']");
        read_all(&none).unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-z\\[\\]='\"{}, 0-9.\\n]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_pattern_fits_what_it_was_made_from(a in "[a-c]{0,4}", b in "[a-c]{0,4}", c in "[a-c]{0,4}") {
            let (pattern, name) = (format!("{a}*{c}"), format!("{a}{b}{c}"));
            prop_assert!(fits(&pattern, &name));
        }
    }
}
