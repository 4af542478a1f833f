//! Attaching device programs to a v2 group.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use runtime_spec::DeviceRule;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use syscalls::bpf;

use super::policy::Policy;
use super::program::assemble;
use crate::error::{Error, Result};

/// Makes the group's policy that of `rules`.
///
/// The new program takes the old one's place in one step where the kernel can (5.6), else it is
/// attached before the old ones go: at no moment is the container without a filter.
pub(crate) fn apply(dir: &Path, rules: &[DeviceRule]) -> Result<()> {
    let policy = Policy::from_rules(rules)?;
    let failed = |verb| move |source| Error::Bpf { verb, path: dir.to_owned(), source };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| Error::path("open", dir, e))?;
    let old: Vec<OwnedFd> = bpf::device_programs(group.as_fd())
        .map_err(failed("query"))?
        .into_iter()
        .filter_map(|id| bpf::program_by_id(id).ok())
        .collect();
    let program = bpf::load_device_program(&assemble(&policy), c"Apache").map_err(failed("load"))?;
    if let [only] = old.as_slice() {
        let flags = bpf::ALLOW_MULTI | bpf::REPLACE;
        match bpf::attach_device_program(group.as_fd(), program.as_fd(), flags, Some(only.as_fd())) {
            Ok(()) => return Ok(()),
            Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Err(e) => return Err(failed("replace")(e)),
        }
    }
    bpf::attach_device_program(group.as_fd(), program.as_fd(), bpf::ALLOW_MULTI, None)
        .map_err(failed("attach"))?;
    old.iter()
        .try_for_each(|old| bpf::detach_device_program(group.as_fd(), old.as_fd()))
        .map_err(failed("detach"))
}
