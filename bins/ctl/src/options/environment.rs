//! `-e`, `--env-file`, `--label`, `--label-file`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

/// Environment of the files, then of the flags; a bare name takes our own value or, without
/// one, is dropped.
///
/// # Errors
/// A file cannot be read or a line has no name.
pub fn environment(files: &[String], flags: &[String]) -> Result<Vec<String>, String> {
    let own = |name: &str| std::env::var(name).ok();
    let mut all = Vec::new();
    for path in files {
        let text = fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::IsADirectory => format!("invalid env file ({path}): read {path}: is a directory"),
            _ => format!("open {path}: {}", os_text(&error)),
        })?;
        let text = String::from_utf8(text)
            .map_err(|_| format!("env file {path} contains invalid utf8 bytes at line 1"))?;
        all.extend(parse_file(&text, own).map_err(|reason| format!("invalid env file ({path}): {reason}"))?);
    }
    for flag in flags {
        check(flag)?;
        match flag.contains('=') {
            true => all.push(flag.clone()),
            // A name without a value here is removed from what the image sets.
            false => all.push(own(flag).map_or_else(|| flag.clone(), |value| format!("{flag}={value}"))),
        }
    }
    Ok(all)
}

/// Refuses a variable without a name.
///
/// # Errors
/// Docker's text.
pub fn check(variable: &str) -> Result<(), String> {
    if variable.is_empty() || variable.starts_with('=') {
        return Err(format!("invalid environment variable: {variable}"));
    }
    Ok(())
}

/// Refuses a label without a name.
///
/// # Errors
/// Docker's text.
pub fn check_label(label: &str) -> Result<(), String> {
    if label.is_empty() || label.starts_with('=') {
        return Err(format!("invalid label '{label}': empty name"));
    }
    Ok(())
}

/// Go's text of an operating system error.
pub fn os_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::AlreadyExists => "file exists".to_owned(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or(&text);
            let mut letters = text.chars();
            letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
        }
    }
}

/// Lines of `NAME=VALUE` or `NAME`; `#` comments; values as they stand, quotes included.
fn parse_file(text: &str, own: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some(("", _)) => return Err(format!("no variable name on line '{line}'")),
            Some((name, _)) if name.contains(char::is_whitespace) => {
                return Err(format!("variable '{name}' contains whitespaces"));
            }
            Some(_) => all.push(line.to_owned()),
            None if line.trim().contains(char::is_whitespace) => {
                return Err(format!("variable '{}' contains whitespaces", line.trim_end()));
            }
            None => all.extend(own(line.trim()).map(|value| format!("{}={value}", line.trim()))),
        }
    }
    Ok(all)
}

/// Labels of the files, then of the flags.
///
/// # Errors
/// A file cannot be read or a line has no name.
pub fn labels(files: &[String], flags: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut lines = Vec::new();
    for path in files {
        let text = fs::read_to_string(path).map_err(|error| format!("open {path}: {}", os_text(&error)))?;
        lines.extend(
            parse_file(&text, |_| Some(String::new()))
                .map_err(|reason| format!("invalid label file ({path}): {reason}"))?,
        );
    }
    lines.extend(flags.iter().cloned());
    Ok(pairs(&lines))
}

/// `NAME=VALUE` or `NAME` as a map.
pub fn pairs(lines: &[String]) -> BTreeMap<String, String> {
    let split = |line: &String| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    lines.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_as_docker_reads_them() {
        let text = "\u{feff}# comment\n\nA=1\n  B=\"two\" \nC\nUNSET\nD=\n";
        let own = |name: &str| (name == "C").then(|| "own".to_owned());
        assert_eq!(parse_file(text, own).unwrap(), ["A=1", "B=\"two\" ", "C=own", "D="]);
        assert_eq!(parse_file("=x", own).unwrap_err(), "no variable name on line '=x'");
        assert_eq!(parse_file("a b=x", own).unwrap_err(), "variable 'a b' contains whitespaces");
        assert!(parse_file("a b", own).is_err());
    }

    #[test]
    fn names_of_flags() {
        assert!(environment(&[], &["=x".into()]).is_err());
        assert_eq!(
            environment(&[], &["A=".into(), "NO_SUCH_NAME_HERE".into()]).unwrap(),
            ["A=", "NO_SUCH_NAME_HERE"]
        );
        let error = environment(&["/no/such".into()], &[]).unwrap_err();
        assert_eq!(error, "open /no/such: no such file or directory");
        assert_eq!(pairs(&["a=b=c".into(), "d".into()])["a"], "b=c");
    }
}
