//! Kernel settings of links, under `/proc/sys/net` of the calling thread's namespace.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use crate::{Error, Result};

/// Sets a value unless it is set already, so that a read-only `/proc/sys` which is right as it
/// stands does no harm. `name` is a path below `/proc/sys/net`.
pub(crate) fn set(name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{name}");
    if fs::read_to_string(&path).is_ok_and(|current| current.trim_end() == value) {
        return Ok(());
    }
    write(path, value)
}

fn write(path: String, value: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).open(&path);
    file.and_then(|mut file| file.write_all(value.as_bytes())).map_err(Error::io("set", path))
}

/// Sets a value in a namespace that is new, so that there is nothing to compare with.
pub(crate) fn set_new(name: &str, value: &str) -> Result<()> {
    absent_is_fine(write(format!("/proc/sys/net/{name}"), value))
}

/// The same as [`set`] for a setting that is absent when its protocol is: nothing to set then.
pub(crate) fn set_if_present(name: &str, value: &str) -> Result<()> {
    absent_is_fine(set(name, value))
}

fn absent_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a setting says 1.
pub(crate) fn is_on(name: &str) -> bool {
    fs::read_to_string(format!("/proc/sys/net/{name}")).is_ok_and(|value| value.trim_end() == "1")
}

/// First and last port that the kernel hands out by itself (ip(7), `ip_local_port_range`).
pub(crate) fn local_port_range() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if first <= last && first > 0 => (first, last),
        _ => (32768, 60999),
    }
}
