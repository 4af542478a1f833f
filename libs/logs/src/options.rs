//! What a logger is told: driver, file, rotation, attach socket.

use crate::Driver;
use std::path::PathBuf;

/// How one container is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `driver`.
    pub driver: Driver,
    /// `path`: the newest log file; absolute. Needed by drivers that keep a file.
    pub path: Option<PathBuf>,
    /// `attach`: the unix socket for readers; absolute.
    pub attach: Option<PathBuf>,
    /// `max-size` in bytes, or with Docker's suffixes k, m, g: when to rotate.
    pub max_size: Option<u64>,
    /// `max-file`: how many files to keep, the newest included; at least 1.
    pub max_file: u32,
    /// `attrs`: a JSON object that stands in every entry of json-file.
    pub attributes: Option<String>,
    /// `terminal`: `1` when both streams are one terminal.
    pub terminal: bool,
}

/// Why options are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionError {
    /// A key that no driver knows.
    #[error("unknown log opt '{0}'")]
    Unknown(String),
    /// A value that is none of its key's.
    #[error("invalid value '{1}' for log opt '{0}'")]
    Value(String, String),
    /// A key that must be there.
    #[error("log opt '{0}' is required by driver '{1}'")]
    Missing(&'static str, Driver),
}

impl Options {
    /// Reads key and value pairs in any order; unknown keys are refused.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Options, OptionError> {
        let mut options = Options {
            driver: Driver::JsonFile,
            path: None,
            attach: None,
            max_size: None,
            max_file: 1,
            attributes: None,
            terminal: false,
        };
        for (key, value) in pairs {
            options.set(key.as_ref(), value.as_ref())?;
        }
        if options.driver != Driver::None && options.path.is_none() {
            return Err(OptionError::Missing("path", options.driver));
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), OptionError> {
        let wrong = || OptionError::Value(key.to_owned(), value.to_owned());
        match key {
            "driver" => self.driver = value.parse().map_err(|_| wrong())?,
            "path" => self.path = Some(absolute(value).ok_or_else(wrong)?),
            "attach" => self.attach = Some(absolute(value).ok_or_else(wrong)?),
            "max-size" => self.max_size = size(value).ok_or_else(wrong)?,
            "max-file" => self.max_file = value.parse().ok().filter(|n| *n >= 1).ok_or_else(wrong)?,
            "attrs" => self.attributes = Some(object(value).ok_or_else(wrong)?),
            "terminal" => self.terminal = matches!(value, "1" | "true"),
            _ => return Err(OptionError::Unknown(key.to_owned())),
        }
        Ok(())
    }
}

/// A JSON object on one line.
fn object(value: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value).ok()?;
    (!value.contains('\n')).then(|| value.to_owned())
}

fn absolute(value: &str) -> Option<PathBuf> {
    value.starts_with('/').then(|| PathBuf::from(value))
}

/// Bytes; `-1` is no limit (the inner `None`).
fn size(value: &str) -> Option<Option<u64>> {
    if value == "-1" {
        return Some(None);
    }
    let lower = value.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, shift) = match lower.as_bytes().last()? {
        b'k' => (&lower[..lower.len() - 1], 10),
        b'm' => (&lower[..lower.len() - 1], 20),
        b'g' => (&lower[..lower.len() - 1], 30),
        _ => (lower, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|size| *size > 0).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_strangers_refused() {
        let pairs =
            [("max-size", "10m"), ("path", "/l"), ("max-file", "3"), ("terminal", "1"), ("driver", "local")];
        let options = Options::from_pairs(pairs).unwrap();
        assert_eq!((options.driver, options.max_size, options.max_file), (Driver::Local, Some(10 << 20), 3));
        assert!(options.terminal);
        let with_attributes = Options::from_pairs([("attrs", r#"{"a":"b"}"#), ("path", "/l")]).unwrap();
        assert_eq!(with_attributes.attributes.as_deref(), Some(r#"{"a":"b"}"#));
        assert!(matches!(Options::from_pairs([("attrs", "{"), ("path", "/l")]), Err(OptionError::Value(..))));
        assert_eq!(Options::from_pairs([("x", "y")]), Err(OptionError::Unknown("x".into())));
        assert!(matches!(Options::from_pairs([("driver", "syslog")]), Err(OptionError::Value(..))));
        assert!(matches!(Options::from_pairs([("max-size", "0")]), Err(OptionError::Value(..))));
        assert_eq!(
            Options::from_pairs([("driver", "local")]),
            Err(OptionError::Missing("path", Driver::Local))
        );
        assert!(Options::from_pairs([("driver", "none")]).is_ok());
        let unlimited = Options::from_pairs([("max-size", "-1"), ("path", "/l")]).unwrap();
        assert_eq!(unlimited.max_size, None);
    }
}
