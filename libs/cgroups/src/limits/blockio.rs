//! Block device weights and throttles, on v1 (blkio) and v2 (io).

use std::path::Path;

use runtime_spec::{BlockIo, ThrottleDevice};

use super::convert::io_weight;
use crate::error::{Error, Result};
use crate::file::{read_optional, write};

pub(super) fn apply_v1(dir: &Path, io: &BlockIo) -> Result<()> {
    // The file has the scheduler's name since CFQ went.
    let (weight, per_device) = if dir.join("blkio.weight").exists() {
        ("blkio.weight", "blkio.weight_device")
    } else {
        ("blkio.bfq.weight", "blkio.bfq.weight_device")
    };
    if let Some(value) = io.weight.filter(|w| *w != 0) {
        write("blkio", dir, weight, &value.to_string())?;
    }
    if let Some(value) = io.leaf_weight.filter(|w| *w != 0) {
        write("blkio", dir, "blkio.leaf_weight", &value.to_string())?;
    }
    for device in &io.weight_device {
        let line = |value: u16| format!("{}:{} {value}", device.major, device.minor);
        if let Some(value) = device.weight.filter(|w| *w != 0) {
            write("blkio", dir, per_device, &line(value))?;
        }
        if let Some(value) = device.leaf_weight.filter(|w| *w != 0) {
            write("blkio", dir, "blkio.leaf_weight_device", &line(value))?;
        }
    }
    for (file, _, devices) in throttles(io) {
        for device in devices {
            write("blkio", dir, file, &format!("{}:{} {}", device.major, device.minor, device.rate))?;
        }
    }
    Ok(())
}

pub(super) fn apply_v2(dir: &Path, io: &BlockIo) -> Result<()> {
    if io.leaf_weight.unwrap_or(0) != 0 || io.weight_device.iter().any(|d| d.leaf_weight.unwrap_or(0) != 0) {
        return Err(Error::Unsupported("blockIO leaf weight: cgroup v2 has no such control"));
    }
    let weights = io.weight_device.iter().any(|d| d.weight.unwrap_or(0) != 0);
    let bfq = if weights || io.weight.is_some() { read_optional(dir, "io.bfq.weight")? } else { None };
    if let Some(value) = io.weight.filter(|w| *w != 0) {
        match bfq {
            Some(_) => write("io", dir, "io.bfq.weight", &value.to_string())?,
            None => write("io", dir, "io.weight", &io_weight(value).to_string())?,
        }
    }
    for device in &io.weight_device {
        let Some(value) = device.weight.filter(|w| *w != 0) else { continue };
        let at = format!("{}:{}", device.major, device.minor);
        match bfq {
            Some(_) => write("io", dir, "io.bfq.weight", &format!("{at} {value}"))?,
            None => write("io", dir, "io.weight", &format!("{at} {}", io_weight(value)))?,
        }
    }
    for (_, key, devices) in throttles(io) {
        for device in devices {
            let rate = if device.rate == 0 { "max".to_owned() } else { device.rate.to_string() };
            write("io", dir, "io.max", &format!("{}:{} {key}={rate}", device.major, device.minor))?;
        }
    }
    Ok(())
}

/// The four throttles: v1 file, v2 key, devices.
fn throttles(io: &BlockIo) -> [(&'static str, &'static str, &[ThrottleDevice]); 4] {
    [
        ("blkio.throttle.read_bps_device", "rbps", &io.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", "wbps", &io.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", "riops", &io.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", "wiops", &io.throttle_write_iops_device),
    ]
}
