//! The options that `checkpoint` and `restore` share, and their form in criu's request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::wire::Writer;
use crate::failure::Failure;
use crate::words::{Opt, Words, switch, value};

pub const OPTIONS: &[Opt] = &[
    value("image-path", None, "DIR", "where the images are (default: checkpoint)"),
    value("work-path", None, "DIR", "where criu's log goes (default: the images)"),
    value("manage-cgroups-mode", None, "soft|full|strict|ignore", "what criu does about cgroups"),
    switch("tcp-established", None, "allow open TCP connections"),
    switch("ext-unix-sk", None, "allow external unix sockets"),
    switch("shell-job", None, "allow jobs of a shell"),
    switch("file-locks", None, "keep file locks"),
    switch("auto-dedup", None, "drop memory of parent images that is here, too"),
    switch("lazy-pages", None, "leave memory for later, by userfaultfd"),
    switch("tcp-close", None, "restore TCP connections closed"),
    value("network-lock", None, "iptables|nftables|skip", "how criu holds back packets meanwhile"),
    value("empty-ns", None, "network", "make a namespace but do not restore what was in it"),
];

const CLONE_NEWNET: i64 = 0x4000_0000;

/// Where images and log are.
pub struct Places {
    pub images: PathBuf,
    pub work: PathBuf,
}

impl Places {
    pub fn read(words: &Words) -> Places {
        let path = |name: &str| words.value(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let images = path("image-path").unwrap_or_else(|| "checkpoint".into());
        let work = path("work-path").unwrap_or_else(|| images.clone());
        Places { images, work }
    }
}

/// Writes the shared options.
///
/// `annotations` are the container's, for `org.criu.config`.
pub fn write(
    words: &Words,
    annotations: &BTreeMap<String, String>,
    log: &str,
    root: &Path,
    request: &mut Writer,
) -> Result<(), Failure> {
    const SWITCHES: [(u32, &str); 7] = [
        (4, "ext-unix-sk"),
        (5, "tcp-established"),
        (7, "shell-job"),
        (8, "file-locks"),
        (16, "auto-dedup"),
        (48, "lazy-pages"),
        (52, "tcp-close"),
    ];
    for (field, name) in SWITCHES {
        request.switch(field, words.has(name));
    }
    request.number(9, 4);
    request.text(10, log);
    request.switch(12, true);
    request.text(13, &root.to_string_lossy());
    let mode = match words.value("manage-cgroups-mode") {
        None | Some("" | "soft") => 3,
        Some("full") => 4,
        Some("strict") => 5,
        Some("ignore") => 0,
        Some(other) => return Err(Failure::new(format!("invalid manage-cgroups-mode {other:?}"))),
    };
    request.switch(24, mode != 0);
    request.number(34, mode);
    match words.value("empty-ns") {
        None | Some("") => {}
        Some("network") => request.number(38, CLONE_NEWNET),
        Some(other) => {
            return Err(Failure::new(format!("namespace {other:?} is not supported by --empty-ns")));
        }
    }
    request.switch(50, true);
    match words.value("network-lock") {
        None | Some("") => {}
        Some("iptables") => request.number(64, 1),
        Some("nftables") => request.number(64, 2),
        Some("skip") => request.number(64, 3),
        Some(other) => return Err(Failure::new(format!("invalid network-lock {other:?}"))),
    }
    if let Some(path) = config_file(annotations) {
        request.text(51, &path);
    }
    Ok(())
}

/// criu's configuration file: the one that the annotation names, none where it is empty, else the
/// one that runtimes share.
fn config_file(annotations: &BTreeMap<String, String>) -> Option<String> {
    const SHARED: &str = "/etc/criu/runc.conf";
    match annotations.get("org.criu.config") {
        Some(path) => (!path.is_empty()).then(|| path.clone()),
        None => Path::new(SHARED).exists().then(|| SHARED.to_owned()),
    }
}

/// A mount that is not in the images, by its place and what it is known as there.
pub fn external_mount(request: &mut Writer, place: &str, name: &str) {
    request.message(23, |pair| {
        pair.text(1, place);
        pair.text(2, name);
    });
}
