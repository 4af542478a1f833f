//! From a request to names of devices.

use engine_api::host_config::DeviceRequest;
use errdefs::{Error, Result};

use super::registry::Registry;

/// Those whose `gpu` class is meant by `--gpus`.
const GPU_VENDORS: [&str; 2] = ["nvidia.com", "amd.com"];
/// What a request for a GPU may say that it can do.
const GPU_CAPABILITIES: [&str; 9] =
    ["gpu", "nvidia", "amd", "compute", "compat32", "graphics", "utility", "video", "display"];

/// Qualified names (`vendor/class=name`) of what is asked for.
///
/// # Errors
/// No driver of ours does this, or the request contradicts itself.
pub fn names(request: &DeviceRequest, registry: &Registry) -> Result<Vec<String>> {
    let ids = request.device_ids.clone().unwrap_or_default();
    if request.driver == "cdi" {
        if request.count != 0 {
            return Err(Error::invalid_argument("unexpected count in CDI device request"));
        }
        if !request.options.is_empty() {
            return Err(Error::invalid_argument("unexpected options in CDI device request"));
        }
        return Ok(ids);
    }
    let vendor = GPU_VENDORS
        .into_iter()
        .filter(|vendor| registry.has_kind(&format!("{vendor}/gpu")))
        .find(|vendor| is_meant(request, vendor));
    let Some(vendor) = vendor else { return Err(no_driver(request)) };
    if request.count != 0 && !ids.is_empty() {
        return Err(Error::invalid_argument("cannot set both Count and DeviceIDs on device request"));
    }
    let name = |id: &str| format!("{vendor}/gpu={id}");
    Ok(match request.count {
        0 => ids.iter().map(|id| name(id)).collect(),
        count if count < 0 => vec![name("all")],
        count => (0..count).map(|at| name(&at.to_string())).collect(),
    })
}

fn is_meant(request: &DeviceRequest, vendor: &str) -> bool {
    let short = vendor.trim_end_matches(".com");
    match request.driver.as_str() {
        "" => {
            request.capabilities.iter().flatten().any(|all| {
                !all.is_empty() && all.iter().all(|word| GPU_CAPABILITIES.contains(&word.as_str()))
            })
        }
        driver => driver == short || driver == format!("{short}.cdi"),
    }
}

fn no_driver(request: &DeviceRequest) -> Error {
    let lists = request.capabilities.clone().unwrap_or_default();
    let shown: Vec<String> = lists.iter().map(|list| format!("[{}]", list.join(" "))).collect();
    Error::invalid_argument(format!(
        "could not select device driver \"{}\" with capabilities: [{}]",
        request.driver,
        shown.join(" ")
    ))
}
