//! Which system call filter a container runs under.

use errdefs::{Error, Result};
use runtime_spec::Seccomp;
use seccomp::Arch;
use seccomp::profile::{Profile, Target, docker_default, kernel_version};

use super::Record;
use super::spec::{SecurityOptions, capabilities};
use crate::engine::Engine;

/// The filter, or none for `unconfined` and privileged containers.
///
/// # Errors
/// The profile cannot be read.
pub fn filter(engine: &Engine, record: &Record, security: &SecurityOptions) -> Result<Option<Seccomp>> {
    let host = &record.host_config;
    if host.privileged && security.seccomp.is_none() {
        return Ok(None);
    }
    let asked = security.seccomp.as_deref().filter(|text| !text.is_empty());
    let profile = match asked.or(engine.config.flags.seccomp_profile.as_deref()) {
        Some("unconfined") => return Ok(None),
        None | Some("builtin") => docker_default(),
        // The client sends a profile's text, the daemon's flag names a file.
        Some(json) if json.trim_start().starts_with('{') => parse(json)?,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                Error::invalid_argument(format!("opening seccomp profile ({path}) failed")).with_source(cause)
            })?;
            parse(&text)?
        }
    };
    let all = super::plan::all_capabilities();
    let held = if host.privileged {
        all
    } else {
        let words =
            |list: &Option<engine_api::Words>| list.as_ref().map(|words| words.0.clone()).unwrap_or_default();
        capabilities::of(&words(&host.cap_add), &words(&host.cap_drop), &all)?
    };
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let arch = Arch::native()
        .ok_or_else(|| Error::failed_precondition("seccomp is not supported on this architecture"))?;
    let target = Target { capabilities: &held, arch, kernel: kernel_version(&release).unwrap_or((0, 0)) };
    profile
        .try_resolve(&target)
        .map_err(|cause| Error::invalid_argument(format!("invalid seccomp profile: {cause}")))
}

fn parse(json: &str) -> Result<Profile> {
    serde_json::from_str(json)
        .map_err(|cause| Error::invalid_argument("decoding seccomp profile failed").with_source(cause))
}
