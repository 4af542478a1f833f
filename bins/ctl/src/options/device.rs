//! `--device`, `--device-read-bps` and its like, `--blkio-weight-device`, `--gpus`.

use engine_api::host_config::{DeviceMapping, DeviceRequest, ThrottleDevice, WeightDevice};

use std::collections::BTreeSet;

use crate::options::mount::csv_fields;
use crate::options::size;

/// `--device`: paths to map, or CDI names to request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Devices {
    pub mappings: Vec<DeviceMapping>,
    pub cdi_names: Vec<String>,
}

/// Parses all `--device` flags.
///
/// # Errors
/// Too many parts or wrong permissions.
pub fn devices(flags: &[String]) -> Result<Devices, String> {
    let mut devices = Devices::default();
    for flag in flags {
        if is_cdi_name(flag) {
            devices.cdi_names.push(flag.clone());
            continue;
        }
        if flag.is_empty() {
            return Err("bad format for path: ".to_owned());
        }
        let parts: Vec<&str> = flag.split(':').collect();
        let is_mode = |text: &str| !text.is_empty() && text.bytes().all(|b| b"rwm".contains(&b));
        let (target, mode) = match parts[..] {
            [source] => (source, "rwm"),
            [source, mode] if is_mode(mode) => (source, mode),
            [_, target] => (target, "rwm"),
            [_, target, mode] if is_mode(mode) => (target, mode),
            [_, _, mode] => return Err(format!("bad mode specified: {mode}")),
            _ => return Err(format!("bad format for path: {flag}")),
        };
        devices.mappings.push(DeviceMapping {
            path_on_host: parts[0].to_owned(),
            path_in_container: target.to_owned(),
            cgroup_permissions: mode.to_owned(),
        });
    }
    Ok(devices)
}

/// `vendor.com/class=name`.
fn is_cdi_name(text: &str) -> bool {
    !text.starts_with('/') && text.split_once('/').is_some_and(|(_, rest)| rest.contains('='))
}

/// `TYPE MAJOR:MINOR ACCESS`, of a rule of the devices' control group.
///
/// # Errors
/// Docker's text.
pub fn check_cgroup_rule(text: &str) -> Result<(), String> {
    let number =
        |part: &str| part == "*" || !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let access =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| b"rwm".contains(&byte));
    let fits = match text.split(' ').collect::<Vec<_>>()[..] {
        ["a" | "b" | "c", device, mode] => {
            device.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && access(mode)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// `PATH:RATE` with a size.
///
/// # Errors
/// No device path or no rate.
pub fn throttle_bytes(flags: &[String]) -> Result<Vec<ThrottleDevice>, String> {
    let shape = "The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb";
    throttle(flags, |text| size::parse_bytes(text).ok().and_then(|rate| u64::try_from(rate).ok()), shape)
}

/// `PATH:RATE` with a count.
///
/// # Errors
/// No device path or no rate.
pub fn throttle_count(flags: &[String]) -> Result<Vec<ThrottleDevice>, String> {
    throttle(
        flags,
        |text| text.parse().ok(),
        "The correct format is <device-path>:<number>. Number must be a positive integer",
    )
}

fn throttle(
    flags: &[String],
    rate: impl Fn(&str) -> Option<u64>,
    shape: &str,
) -> Result<Vec<ThrottleDevice>, String> {
    flags
        .iter()
        .map(|flag| {
            let (path, text) = flag
                .split_once(':')
                .filter(|(path, _)| !path.is_empty())
                .ok_or_else(|| format!("bad format: {flag}"))?;
            if !path.starts_with("/dev/") {
                return Err(format!("bad format for device path: {flag}"));
            }
            let rate = rate(text).ok_or_else(|| format!("invalid rate for device: {flag}. {shape}"))?;
            Ok(ThrottleDevice { path: path.to_owned(), rate })
        })
        .collect()
}

/// `PATH:WEIGHT`, weights 10 to 1000 or 0.
///
/// # Errors
/// No device path or no such weight.
pub fn weights(flags: &[String]) -> Result<Vec<WeightDevice>, String> {
    flags
        .iter()
        .map(|flag| {
            let (path, weight) = flag
                .split_once(':')
                .filter(|(path, _)| !path.is_empty())
                .ok_or_else(|| format!("bad format: {flag}"))?;
            if !path.starts_with("/dev/") {
                return Err(format!("bad format for device path: {flag}"));
            }
            let weight = weight.parse().ok().filter(|weight| *weight == 0 || (10..=1000).contains(weight));
            let weight = weight.ok_or_else(|| format!("invalid weight for device: {flag}"))?;
            Ok(WeightDevice { path: path.to_owned(), weight })
        })
        .collect()
}

/// `--gpus all`, `--gpus 2`, `--gpus '"device=0,1"'`, `--gpus driver=x,count=2,"capabilities=a,b"`: fields as in CSV.
///
/// # Errors
/// An unknown or repeated field, or no count.
pub fn gpus(flag: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest::default();
    let mut capabilities = Vec::new();
    let mut given = BTreeSet::new();
    let parse_count = |text: &str| match text {
        "all" => Ok(-1),
        text => text.parse().map_err(|_| {
            format!("invalid count ({text}): value must be either \"all\" or an integer: invalid syntax")
        }),
    };
    for field in csv_fields(flag)? {
        let (name, value) = field.split_once('=').unwrap_or(("count", &field));
        if !given.insert(name.to_owned()) {
            return Err(format!("gpu request key '{name}' can be specified only once"));
        }
        let list = || value.split(',').map(str::to_owned);
        match name {
            "count" => request.count = parse_count(value)?,
            "driver" => request.driver = value.to_owned(),
            "device" => request.device_ids = Some(list().collect()),
            "capabilities" => capabilities.extend(list()),
            "options" => {
                for option in csv_fields(value)? {
                    let (name, value) = option.split_once('=').unwrap_or((&option, ""));
                    request.options.insert(name.to_owned(), value.to_owned());
                }
            }
            _ => return Err(format!("unexpected key '{name}' in '{field}'")),
        }
    }
    if request.count == 0 && request.device_ids.is_none() {
        request.count = 1;
    }
    if !capabilities.iter().any(|name| name == "gpu") {
        capabilities.push("gpu".to_owned());
    }
    request.capabilities = Some(vec![capabilities]);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_in_every_form() {
        let got = devices(&[
            "/dev/a".into(),
            "/dev/a:/dev/b".into(),
            "/dev/a:r".into(),
            "/dev/a:/dev/b:rw".into(),
            "v.com/gpu=0".into(),
        ])
        .unwrap();
        let shown: Vec<String> = got
            .mappings
            .iter()
            .map(|d| format!("{}:{}", d.path_in_container, d.cgroup_permissions))
            .collect();
        assert_eq!(shown, ["/dev/a:rwm", "/dev/b:rwm", "/dev/a:r", "/dev/b:rw"]);
        assert_eq!(got.cdi_names, ["v.com/gpu=0"]);
        assert!(devices(&["/a:/b:x".into()]).is_err());
    }

    #[test]
    fn rates_weights_and_gpus() {
        assert_eq!(throttle_bytes(&["/dev/sda:1mb".into()]).unwrap()[0].rate, 1 << 20);
        assert!(throttle_count(&["/dev/sda:1mb".into()]).is_err());
        assert!(throttle_bytes(&["sda:1".into()]).is_err());
        assert_eq!(weights(&["/dev/sda:500".into()]).unwrap()[0].weight, 500);
        assert!(weights(&["/dev/sda:5".into()]).is_err());
        assert_eq!(gpus("all").unwrap().count, -1);
        assert_eq!(gpus("device=0").unwrap().device_ids.unwrap(), ["0"]);
        let two = gpus("\"device=0,1\",\"capabilities=compute,utility\",driver=nvidia").unwrap();
        assert_eq!((two.device_ids.unwrap(), two.count), (vec!["0".to_owned(), "1".to_owned()], 0));
        assert_eq!(two.capabilities.unwrap(), [["compute", "utility", "gpu"]]);
        assert_eq!(gpus("2,options=a=b").unwrap().options["a"], "b");
        for text in ["x=y", "count=1,count=2", "\"device=0"] {
            assert!(gpus(text).is_err(), "{text}");
        }
    }
}
