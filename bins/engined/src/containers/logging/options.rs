//! What may be said to each log driver, checked in Docker's words.

use std::collections::BTreeMap;

use engine_api::host_config::LogConfig;
use errdefs::{Error, Result};

use super::{DRIVERS, about, is_sent};

type Options = BTreeMap<String, String>;

/// Of the copy that is kept of a log sent elsewhere.
const CACHE_BYTES: u64 = 20 << 20;
const CACHE_FILES: u64 = 5;

const FILES: [&str; 3] = ["max-size", "max-file", "compress"];
/// What is sent along with each line.
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

fn own(driver: &str) -> &'static [&'static str] {
    match driver {
        "syslog" => &[
            "syslog-address",
            "syslog-facility",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
            "syslog-format",
        ],
        "fluentd" => &[
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-max-retries",
            "fluentd-request-ack",
            "fluentd-retry-wait",
            "fluentd-sub-second-precision",
            "fluentd-write-timeout",
            "fluentd-read-timeout",
        ],
        "gelf" => &[
            "gelf-address",
            "gelf-compression-level",
            "gelf-compression-type",
            "gelf-tcp-max-reconnect",
            "gelf-tcp-reconnect-delay",
        ],
        _ => &[],
    }
}

fn bad(text: impl Into<String>) -> Error {
    Error::invalid_argument(text)
}

/// Checks the log driver and its options.
///
/// # Errors
/// The engine does not have them, or a value makes no sense.
pub fn check(log: &LogConfig) -> Result<()> {
    let kind = log.kind.as_str();
    if !DRIVERS.contains(&kind) {
        return Err(bad(format!("error looking up logging plugin {kind}: plugin \"{kind}\" not found")));
    }
    if kind == "none" {
        return Ok(());
    }
    check_mode(&log.config)?;
    check_cache(&log.config)?;
    for (option, value) in &log.config {
        let option = option.as_str();
        let is_general = matches!(option, "mode" | "max-buffer-size") || option.starts_with("cache-");
        let is_known = if is_sent(kind) {
            ATTRIBUTES.contains(&option) || own(kind).contains(&option)
        } else {
            FILES.contains(&option) || (kind == "json-file" && ATTRIBUTES.contains(&option))
        };
        if !is_general && !is_known {
            let quote = if kind == "gelf" { "\"" } else { "'" };
            return Err(bad(format!("unknown log opt {quote}{option}{quote} for {kind} log driver")));
        }
        check_file(option, value)?;
    }
    match kind {
        "syslog" => check_syslog(&log.config)?,
        "fluentd" => check_fluentd(&log.config)?,
        "gelf" => check_gelf(&log.config)?,
        _ => {}
    }
    about::check(&log.config)
}

fn check_mode(options: &Options) -> Result<()> {
    let mode = options.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(bad(format!("logger: logging mode not supported: {mode}")));
    }
    match options.get("max-buffer-size") {
        Some(_) if mode != "non-blocking" => {
            Err(bad("logger: max-buffer-size option is only supported with 'mode=non-blocking'"))
        }
        Some(text) if size(text).is_none() => {
            Err(bad(format!("error parsing option max-buffer-size: invalid size: '{text}'")))
        }
        _ => Ok(()),
    }
}

fn check_cache(options: &Options) -> Result<()> {
    for (key, value) in options.iter().filter(|(key, _)| key.starts_with("cache-")) {
        let is_right = match key.as_str() {
            "cache-disabled" | "cache-compress" => truth(value).is_some(),
            "cache-max-size" => size(value).is_some(),
            "cache-max-file" => value.parse::<u64>().is_ok_and(|count| count > 0),
            _ => return Err(bad(format!("unknown log opt '{key}'"))),
        };
        if !is_right {
            return Err(bad(format!("error parsing {key}: invalid value {value:?}")));
        }
    }
    if is_true(options, "cache-compress") {
        return Err(Error::unimplemented("log option cache-compress=true is not implemented"));
    }
    Ok(())
}

fn check_file(option: &str, value: &str) -> Result<()> {
    match option {
        "compress" if value != "false" => {
            Err(Error::unimplemented("log option compress=true is not implemented"))
        }
        "max-size" if value != "-1" && size(value).is_none_or(|size| size == 0) => {
            Err(bad(format!("invalid value for max-size: invalid size: '{value}'")))
        }
        "max-file" if value.parse::<u32>().ok().is_none_or(|count| count == 0) => {
            Err(bad("max-file cannot be less than 1"))
        }
        _ => Ok(()),
    }
}

fn check_syslog(options: &Options) -> Result<()> {
    let text = |key: &str| options.get(key).map_or("", String::as_str);
    let (scheme, path) = text("syslog-address").split_once("://").unwrap_or((text("syslog-address"), ""));
    match scheme {
        "" | "udp" | "tcp" | "tcp+tls" => {}
        "unix" | "unixgram" if std::path::Path::new(path).exists() => {}
        "unix" | "unixgram" => return Err(bad(format!("stat {path}: no such file or directory"))),
        other => return Err(bad(format!("unsupported scheme: '{other}'"))),
    }
    const FACILITIES: &str = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp local0 local1 local2 \
                              local3 local4 local5 local6 local7";
    let facility = text("syslog-facility");
    let is_number = facility.parse::<u8>().is_ok_and(|number| number < 24);
    if !facility.is_empty() && !is_number && !FACILITIES.split_whitespace().any(|name| name == facility) {
        return Err(bad("invalid syslog facility"));
    }
    match text("syslog-format") {
        "" | "rfc3164" | "rfc5424" | "rfc5424micro" => Ok(()),
        _ => Err(bad("Invalid syslog format")),
    }
}

fn check_fluentd(options: &Options) -> Result<()> {
    let text = |key: &str| options.get(key).map_or("", String::as_str);
    let address = text("fluentd-address");
    let wrong = |why: &str| Err(bad(format!("invalid fluentd-address ({address}): {why}")));
    match address.split_once("://").unwrap_or(("tcp", address)) {
        ("unix", path) if path.trim_matches('/').is_empty() => return wrong("path is empty"),
        ("unix", _) => {}
        ("tcp" | "tls", host) if host.contains('/') => return wrong("should not contain a path element"),
        ("tcp" | "tls", host) => {
            let port = host.rsplit_once(':').map_or("1", |(_, port)| port);
            if port.parse::<u16>().is_err() {
                return wrong("invalid port");
            }
        }
        (scheme, _) => return wrong(&format!("unsupported scheme: '{scheme}'")),
    }
    for (key, value) in options {
        let is_right = match key.as_str() {
            "fluentd-async" | "fluentd-request-ack" | "fluentd-sub-second-precision" => {
                truth(value).is_some()
            }
            "fluentd-buffer-limit" => size(value).is_some(),
            "fluentd-max-retries" => value.parse::<u32>().is_ok(),
            "fluentd-retry-wait" | "fluentd-write-timeout" | "fluentd-read-timeout" => {
                millis(value).is_some()
            }
            "fluentd-async-reconnect-interval" => {
                millis(value).is_some_and(|millis| millis == 0.0 || (100.0..=10_000.0).contains(&millis))
            }
            _ => true,
        };
        if !is_right {
            return Err(bad(format!("invalid value for {key}: {value:?}")));
        }
    }
    Ok(())
}

fn check_gelf(options: &Options) -> Result<()> {
    let address = options.get("gelf-address").map_or("", String::as_str);
    if address.is_empty() {
        return Err(bad("gelf-address is a required parameter"));
    }
    let (scheme, host) = address.split_once("://").unwrap_or(("", address));
    if !matches!(scheme, "udp" | "tcp") {
        return Err(bad("gelf: endpoint needs to be TCP or UDP"));
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        return Err(bad("gelf: please provide gelf-address as proto://host:port"));
    }
    for (key, value) in options {
        let unknown = || Err(bad(format!("unknown value {value:?} for log opt {key:?} for gelf log driver")));
        match key.as_str() {
            "gelf-compression-level" | "gelf-compression-type" if scheme != "udp" => {
                return Err(bad("compression is only supported on UDP"));
            }
            "gelf-compression-level"
                if !value.parse::<i32>().is_ok_and(|level| (-1..=9).contains(&level)) =>
            {
                return unknown();
            }
            "gelf-compression-type" if !matches!(value.as_str(), "gzip" | "zlib" | "none") => {
                return unknown();
            }
            "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay" if scheme != "tcp" => {
                return Err(bad(format!("{key:?} is only valid for TCP")));
            }
            "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay" if value.parse::<u32>().is_err() => {
                return Err(bad(format!("{key:?} must be a positive integer")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// How much is kept here of a log that is sent elsewhere. What waits for the other side is there, too, so it is
/// never less than the buffer that was asked for.
pub fn cache(options: &Options) -> Vec<(String, String)> {
    let bytes = options.get("cache-max-size").and_then(|text| size(text)).unwrap_or(CACHE_BYTES).max(1);
    let files = options.get("cache-max-file").and_then(|text| text.parse().ok()).unwrap_or(CACHE_FILES);
    let buffer = options.get("max-buffer-size").and_then(|text| size(text)).unwrap_or(0);
    let files = files.max(buffer.div_ceil(bytes) + 1);
    vec![("max-size".to_owned(), bytes.to_string()), ("max-file".to_owned(), files.to_string())]
}

/// Go's words for a truth.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

pub fn is_true(options: &Options, key: &str) -> bool {
    options.get(key).and_then(|text| truth(text)) == Some(true)
}

/// Bytes, with a unit of 1024 (`10m`).
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Milliseconds of a length of time in Go's words (`1.5s`, `100ms`, `1m30s`).
fn millis(text: &str) -> Option<f64> {
    let mut all = 0.0;
    let mut rest = text;
    if rest == "0" {
        return Some(0.0);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        all += number
            * match &rest[..unit] {
                "ns" => 1e-6,
                "us" | "µs" => 1e-3,
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 6e4,
                "h" => 3.6e6,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(kind: &str, options: &[(&str, &str)]) -> String {
        let config = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        match check(&LogConfig { kind: kind.into(), config }) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_makes_sense_is_taken() {
        for (kind, options) in [
            ("json-file", &[("max-size", "10m"), ("max-file", "3"), ("tag", "x"), ("labels", "a")][..]),
            ("local", &[("mode", "non-blocking"), ("max-buffer-size", "4m")]),
            ("none", &[("anything", "goes")]),
            (
                "syslog",
                &[
                    ("syslog-address", "udp://h:1"),
                    ("syslog-facility", "local3"),
                    ("tag", "{{.Name}}/{{.ID}}"),
                ],
            ),
            ("syslog", &[("syslog-format", "rfc5424micro"), ("labels", "a,b"), ("env-regex", "^A_")]),
            ("journald", &[("cache-disabled", "true")]),
            ("fluentd", &[("fluentd-address", "h:24224"), ("fluentd-retry-wait", "1m1.5s")]),
            ("gelf", &[("gelf-address", "udp://h:1"), ("gelf-compression-level", "-1")]),
        ] {
            assert_eq!(said(kind, options), "fine", "{kind} {options:?}");
        }
    }

    #[test]
    fn what_makes_none_is_refused_in_dockers_words() {
        for (kind, options, text) in [
            ("cloud", &[][..], "error looking up logging plugin cloud: plugin \"cloud\" not found"),
            ("json-file", &[("foo", "1")], "unknown log opt 'foo' for json-file log driver"),
            ("local", &[("tag", "x")], "unknown log opt 'tag' for local log driver"),
            ("json-file", &[("max-file", "0")], "max-file cannot be less than 1"),
            ("json-file", &[("mode", "x")], "logger: logging mode not supported: x"),
            (
                "local",
                &[("max-buffer-size", "1m")],
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            ("syslog", &[("syslog-address", "http://x")], "unsupported scheme: 'http'"),
            ("syslog", &[("syslog-facility", "x")], "invalid syslog facility"),
            ("syslog", &[("syslog-format", "x")], "Invalid syslog format"),
            ("journald", &[("foo", "1")], "unknown log opt 'foo' for journald log driver"),
            (
                "fluentd",
                &[("fluentd-address", "ftp://x")],
                "invalid fluentd-address (ftp://x): unsupported scheme: 'ftp'",
            ),
            (
                "fluentd",
                &[("fluentd-async-reconnect-interval", "11s")],
                "invalid value for fluentd-async-reconnect-interval",
            ),
            ("gelf", &[], "gelf-address is a required parameter"),
            ("gelf", &[("gelf-address", "http://x:1")], "gelf: endpoint needs to be TCP or UDP"),
            (
                "gelf",
                &[("gelf-address", "udp://x")],
                "gelf: please provide gelf-address as proto://host:port",
            ),
            (
                "gelf",
                &[("gelf-address", "tcp://x:1"), ("gelf-compression-type", "gzip")],
                "compression is only supported on UDP",
            ),
            (
                "gelf",
                &[("gelf-address", "udp://x:1"), ("foo", "1")],
                "unknown log opt \"foo\" for gelf log driver",
            ),
        ] {
            let said = said(kind, options);
            assert!(said.contains(text), "{kind} {options:?}: {said}");
        }
    }

    #[test]
    fn the_copy_holds_what_waits() {
        let options: Options = [("max-buffer-size".to_owned(), "1g".to_owned())].into();
        let files: u64 = cache(&options)[1].1.parse().unwrap();
        assert!(files * CACHE_BYTES >= 1 << 30);
    }

    proptest! {
        #[test]
        fn any_value_is_survived(text in "\\PC{0,20}") {
            let _ = (size(&text), millis(&text));
            let _ = said("gelf", &[("gelf-address", &text)]);
            let _ = said("fluentd", &[("fluentd-address", &text)]);
        }
    }
}
