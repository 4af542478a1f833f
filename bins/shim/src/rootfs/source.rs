//! What a mount is made from: a path, or with `loop` a file behind a device.

use containerd_api::types::Mount;
use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use syscalls::loop_device::LoopDevice;

/// The source, and the options that are left for the kernel.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) words: Vec<String>,
    /// Frees itself with the last mount of it; until there is one it is held here.
    _device: Option<LoopDevice>,
}

impl Source {
    pub(super) fn open(mount: &Mount, mut words: Vec<String>) -> io::Result<Source> {
        let before = words.len();
        words.retain(|word| word != "loop");
        if words.len() == before {
            return Ok(Source { path: mount.source.clone().into(), words, _device: None });
        }
        let read_only = words.iter().any(|word| word == "ro");
        let file = OpenOptions::new().read(true).write(!read_only).open(&mount.source)?;
        let device = LoopDevice::new(file.as_fd(), read_only)?;
        Ok(Source { path: device.path().to_owned(), words, _device: Some(device) })
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        self.path.to_string_lossy()
    }
}
