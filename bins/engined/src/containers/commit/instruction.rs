//! Instructions of a Dockerfile that change a configuration: `--change` of commit and import.

use engine_api::container::{Config, HealthConfig};
use engine_api::{Empty, Words};
use errdefs::{Error, Result};

/// What nobody may leave to a later build.
const NO_TRIGGERS: [&str; 3] = ["ONBUILD", "FROM", "MAINTAINER"];

/// Applies instructions in order.
///
/// # Errors
/// One is malformed, or none that changes a configuration.
pub fn apply(config: &mut Config, changes: &[String]) -> Result<()> {
    let mut has_command = false;
    for line in changes.iter().flat_map(|text| text.lines()).map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let name = name.to_ascii_uppercase();
        one(config, &name, rest.trim())?;
        // An entry point of one's own is not given a command that was for another one.
        if name == "ENTRYPOINT" && !has_command {
            config.cmd = None;
        }
        has_command |= name == "CMD";
    }
    Ok(())
}

fn one(config: &mut Config, name: &str, rest: &str) -> Result<()> {
    if rest.is_empty() {
        return Err(Error::invalid_argument(format!("{name} requires at least one argument")));
    }
    let text = |config: &Config| expand(rest, config);
    match name {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)),
        "ENV" => {
            for (key, value) in pairs(name, rest, config)? {
                put_variable(config, &key, &value);
            }
        }
        "LABEL" => {
            let labels = pairs(name, rest, config)?;
            config.labels.get_or_insert_default().extend(labels);
        }
        "USER" => config.user = text(config)?,
        "STOPSIGNAL" => {
            let signal = text(config)?;
            crate::containers::kill::parse(&signal)?;
            config.stop_signal = signal;
        }
        "WORKDIR" => {
            let path = text(config)?;
            let whole = if path.starts_with('/') { path } else { format!("/{}/{path}", config.working_dir) };
            config.working_dir = crate::containers::create::clean(&whole)?;
        }
        "EXPOSE" => {
            for word in words(rest) {
                for port in ports(&expand(&word, config)?)? {
                    config.exposed_ports.insert(port, Empty {});
                }
            }
        }
        "VOLUME" => {
            let all = match list(rest) {
                Some(list) => list,
                None => words(rest).iter().map(|word| expand(word, config)).collect::<Result<_>>()?,
            };
            let volumes = config.volumes.get_or_insert_default();
            volumes.extend(all.into_iter().map(|path| (path, Empty {})));
        }
        "HEALTHCHECK" => config.healthcheck = Some(health(config, rest)?),
        "ONBUILD" => {
            let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if NO_TRIGGERS.contains(&trigger.as_str()) {
                return Err(Error::invalid_argument(format!(
                    "{trigger} isn't allowed as an ONBUILD trigger"
                )));
            }
            config.on_build.get_or_insert_default().push(rest.to_owned());
        }
        other => return Err(Error::invalid_argument(format!("{other} is not a valid change command"))),
    }
    Ok(())
}

fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

/// A list as it is; anything else is for the shell.
fn command(config: &Config, text: &str) -> Words {
    Words(list(text).unwrap_or_else(|| {
        let shell = config.shell.as_ref().filter(|shell| !shell.is_empty());
        let mut all =
            shell.map_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()], |shell| shell.0.clone());
        all.push(text.to_owned());
        all
    }))
}

fn put_variable(config: &mut Config, key: &str, value: &str) {
    let env = config.env.get_or_insert_default();
    env.retain(|other| other.split('=').next() != Some(key));
    env.push(format!("{key}={value}"));
}

/// `KEY=VALUE ..`, or `KEY` and the rest of the line.
fn pairs(name: &str, text: &str, config: &Config) -> Result<Vec<(String, String)>> {
    let all = words(text);
    if all.first().is_some_and(|word| !word.contains('=')) {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::invalid_argument(format!("{name} must have two arguments")))?;
        return Ok(vec![(expand(key, config)?, expand(value.trim(), config)?)]);
    }
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').ok_or_else(|| {
            Error::invalid_argument(format!(
                "Syntax error - can't find = in \"{word}\". Must be of the form: name=value"
            ))
        })?;
        let key = expand(key, config)?;
        if key.is_empty() {
            return Err(Error::invalid_argument(format!("{name} names can not be blank")));
        }
        Ok((key, expand(value, config)?))
    };
    all.iter().map(pair).collect()
}

/// Words as they are written: spaces inside quotes or after a backslash part none.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut is_escaped) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        if c.is_whitespace() && quote.is_none() && !is_escaped {
            if !word.is_empty() {
                all.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(c);
        quote = match (quote, c) {
            _ if is_escaped => quote,
            (None, '"' | '\'') => Some(c),
            (Some(open), _) if open == c => None,
            _ => quote,
        };
        is_escaped = c == '\\' && !is_escaped && quote != Some('\'');
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// Takes quotes away and puts variables in, as a shell would.
fn expand(text: &str, config: &Config) -> Result<String> {
    let mut expanded = String::new();
    let mut rest = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (Some('\''), _) => expanded.push(c),
            (_, '\\') => match rest.next() {
                Some(next) if quote.is_none() || matches!(next, '"' | '$' | '\\') => expanded.push(next),
                Some(next) => expanded.extend(['\\', next]),
                None => expanded.push('\\'),
            },
            (_, '$') => expanded.push_str(&variable(&mut rest, config)?),
            _ => expanded.push(c),
        }
    }
    Ok(expanded)
}

/// What stands after a `$`: `NAME`, `{NAME}`, `{NAME:-default}` or `{NAME:+other}`.
fn variable(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, config: &Config) -> Result<String> {
    let value = |name: &str| {
        let all = config.env.iter().flatten();
        all.filter_map(|variable| variable.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    if rest.peek() != Some(&'{') {
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        return Ok(if name.is_empty() {
            "$".to_owned()
        } else {
            value(&name).unwrap_or_default().to_owned()
        });
    }
    rest.next();
    let inner: String = rest.by_ref().take_while(|c| *c != '}').collect();
    let found = |name: &str| value(name).filter(|value| !value.is_empty());
    if let Some((name, default)) = inner.split_once(":-") {
        return Ok(found(name).unwrap_or(default).to_owned());
    }
    if let Some((name, other)) = inner.split_once(":+") {
        return Ok(found(name).map(|_| other).unwrap_or_default().to_owned());
    }
    if !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(value(&inner).unwrap_or_default().to_owned());
    }
    Err(Error::invalid_argument(format!("unsupported modifier in substitution ${{{inner}}}")))
}

/// `80`, `53/udp` or `8000-8010/tcp`, one by one.
fn ports(text: &str) -> Result<Vec<String>> {
    let bad = || Error::invalid_argument(format!("invalid containerPort: {text}"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
    let (first, last) = (number(first)?, number(last)?);
    let protocol = protocol.to_ascii_lowercase();
    if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `NONE`, or `[--FLAG=VALUE ..] CMD ..`.
fn health(config: &Config, text: &str) -> Result<HealthConfig> {
    let mut check = HealthConfig::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let bad = || Error::invalid_argument(format!("invalid value of --{name}: {value:?}"));
        match name {
            "retries" => check.retries = value.parse().map_err(|_| bad())?,
            "interval" => check.interval = nanoseconds(value).ok_or_else(bad)?,
            "timeout" => check.timeout = nanoseconds(value).ok_or_else(bad)?,
            "start-period" => check.start_period = nanoseconds(value).ok_or_else(bad)?,
            "start-interval" => check.start_interval = nanoseconds(value).ok_or_else(bad)?,
            _ => return Err(Error::invalid_argument(format!("unknown flag: --{name}"))),
        }
        rest = after.trim_start();
    }
    let (kind, words) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match (kind.to_ascii_uppercase().as_str(), words.trim()) {
        ("NONE", "") => vec!["NONE".into()],
        ("NONE", _) => return Err(Error::invalid_argument("HEALTHCHECK NONE takes no arguments")),
        ("CMD", "") => return Err(Error::invalid_argument("Missing command after HEALTHCHECK CMD")),
        ("CMD", words) => match list(words) {
            Some(list) => std::iter::once("CMD".to_owned()).chain(list).collect(),
            None => vec!["CMD-SHELL".into(), words.to_owned()],
        },
        (other, _) => {
            return Err(Error::invalid_argument(format!(
                "Unknown type \"{other}\" in HEALTHCHECK (try CMD)"
            )));
        }
    };
    let mut whole =
        Config { healthcheck: Some(check.clone()), shell: config.shell.clone(), ..Config::default() };
    crate::containers::health::complete(&mut whole, &Config::default())?;
    Ok(check)
}

/// A length of time as Go writes it: `1m30s`, `1.5s`, `100ms`.
fn nanoseconds(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
    let mut rest = text;
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        nanos += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty() && nanos < i64::MAX as f64).then_some(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changed(lines: &[&str]) -> Result<Config> {
        let mut config = Config {
            env: Some(vec!["PATH=/bin".into()]),
            cmd: Some(Words(vec!["old".into()])),
            working_dir: "/srv".into(),
            ..Config::default()
        };
        apply(&mut config, &lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).map(|()| config)
    }

    #[test]
    fn instructions_change_the_configuration() {
        let config = changed(&[
            "CMD [\"a\",\"b\"]",
            "ENTRYPOINT run it",
            "ENV A=1 B=2",
            "ENV C three four",
            "EXPOSE 80 53/udp 90-91",
            "LABEL x=y",
            "VOLUME /v",
            "WORKDIR w",
            "ONBUILD RUN true",
            "STOPSIGNAL SIGUSR1",
        ])
        .unwrap();
        assert_eq!(config.cmd.unwrap().0, ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap().0, ["/bin/sh", "-c", "run it"]);
        assert_eq!(config.env.unwrap(), ["PATH=/bin", "A=1", "B=2", "C=three four"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp", "90/tcp", "91/tcp"]);
        assert_eq!((config.working_dir.as_str(), config.stop_signal.as_str()), ("/srv/w", "SIGUSR1"));
        assert_eq!(config.on_build.unwrap(), ["RUN true"]);
    }

    #[test]
    fn quotes_and_variables_are_a_shells() {
        let config = changed(&[
            r#"ENV PATH=/x:$PATH GREETING="hello  you" ONE='$PATH' TWO=a\ b THREE=${NONE:-c}d"#,
            r#"LABEL a="b c" d=e"#,
        ])
        .unwrap();
        assert_eq!(
            config.env.unwrap(),
            ["PATH=/x:/bin", "GREETING=hello  you", "ONE=$PATH", "TWO=a b", "THREE=cd"]
        );
        let labels = config.labels.unwrap();
        assert_eq!((labels["a"].as_str(), labels["d"].as_str()), ("b c", "e"));
    }

    #[test]
    fn an_entry_point_drops_the_command_of_another() {
        assert_eq!(changed(&["ENTRYPOINT [\"x\"]"]).unwrap().cmd, None);
        assert!(changed(&["CMD y", "ENTRYPOINT [\"x\"]"]).unwrap().cmd.is_some());
    }

    #[test]
    fn checks_are_read() {
        let check = |text| changed(&[text]).unwrap().healthcheck.unwrap();
        let read = check("HEALTHCHECK --interval=1m30s --retries=2 CMD [\"probe\", \"x\"]");
        assert_eq!(
            (read.interval, read.retries, read.test),
            (90_000_000_000, 2, vec!["CMD".into(), "probe".into(), "x".into()])
        );
        assert_eq!(check("HEALTHCHECK CMD exit 1").test, ["CMD-SHELL", "exit 1"]);
        assert_eq!(check("HEALTHCHECK NONE").test, ["NONE"]);
    }

    #[test]
    fn what_changes_nothing_is_refused() {
        for bad in [
            "CMD",
            "FROM x",
            "ENV A",
            "ENV A=1 B",
            "EXPOSE x",
            "EXPOSE 9-8",
            "ONBUILD ONBUILD RUN x",
            "HEALTHCHECK RUN x",
            "HEALTHCHECK --interval=1 CMD x",
            "STOPSIGNAL SIGNONE",
            "LABEL a=${b:?}",
        ] {
            assert!(changed(&[bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(text in "(ENV|LABEL|EXPOSE|HEALTHCHECK|VOLUME|CMD) \\PC{0,40}") {
            let _ = changed(&[&text]);
        }
    }
}
