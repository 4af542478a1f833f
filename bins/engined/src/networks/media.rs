//! macvlan and ipvlan networks: options of their drivers.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use network::{IpvlanFlag, IpvlanMode, MacvlanMode, Medium};

const MTU: &str = "com.docker.network.driver.mtu";

/// What containers of such a network are plugged into, and the largest packet if it was named;
/// `None` for other drivers.
///
/// # Errors
/// An option or its value is none of the driver's.
pub fn medium(driver: &str, options: &BTreeMap<String, String>) -> Result<Option<(Medium, Option<u32>)>> {
    if !matches!(driver, "macvlan" | "ipvlan") {
        return Ok(None);
    }
    let (mut parent, mut macvlan, mut ipvlan) =
        (String::new(), MacvlanMode::default(), IpvlanMode::default());
    let (mut flag, mut mtu) = (IpvlanFlag::default(), None);
    for (key, value) in options {
        let bad = || Error::invalid_argument(format!("unknown {driver} option {key}={value}"));
        let no_mode = |usual: &str| {
            Error::invalid_argument(format!(
                "requested {driver} mode '{value}' is not valid, '{usual}' mode is the {driver} driver default"
            ))
        };
        match (driver, key.as_str()) {
            (_, "parent") => parent = name(value)?,
            // What they say was heard before.
            (_, super::options::ENABLE_V4 | super::options::ENABLE_V6) => {}
            (_, MTU) => mtu = Some(value.parse().map_err(|_| bad())?),
            ("macvlan", "macvlan_mode") => macvlan = macvlan_mode(value).ok_or_else(|| no_mode("bridge"))?,
            ("ipvlan", "ipvlan_mode") => ipvlan = ipvlan_mode(value).ok_or_else(|| no_mode("l2"))?,
            ("ipvlan", "ipvlan_flag") => flag = ipvlan_flag(value).ok_or_else(bad)?,
            _ => return Err(bad()),
        }
    }
    let medium = match driver {
        "macvlan" => Medium::Macvlan { parent, mode: macvlan },
        _ => Medium::Ipvlan { parent, mode: ipvlan, flag },
    };
    Ok(Some((medium, mtu)))
}

fn name(text: &str) -> Result<String> {
    let is_name =
        text.len() < 16 && text != "lo" && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    match is_name {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid_argument(format!("invalid parent interface {text:?}"))),
    }
}

fn macvlan_mode(text: &str) -> Option<MacvlanMode> {
    Some(match text {
        "" | "bridge" => MacvlanMode::Bridge,
        "private" => MacvlanMode::Private,
        "vepa" => MacvlanMode::Vepa,
        "passthru" => MacvlanMode::Passthru,
        _ => return None,
    })
}

fn ipvlan_mode(text: &str) -> Option<IpvlanMode> {
    Some(match text {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3s,
        _ => return None,
    })
}

fn ipvlan_flag(text: &str) -> Option<IpvlanFlag> {
    Some(match text {
        "" | "bridge" => IpvlanFlag::Bridge,
        "private" => IpvlanFlag::Private,
        "vepa" => IpvlanFlag::Vepa,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_driver() {
        let options = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let made =
            medium("macvlan", &options(&[("parent", "eth0.10"), ("macvlan_mode", "vepa")])).unwrap().unwrap();
        assert_eq!(made.0, Medium::Macvlan { parent: "eth0.10".into(), mode: MacvlanMode::Vepa });
        let made = medium("ipvlan", &options(&[("ipvlan_mode", "l3"), (MTU, "1400")])).unwrap().unwrap();
        assert_eq!(made.1, Some(1400));
        assert!(medium("bridge", &options(&[("parent", "eth0")])).unwrap().is_none());
        for bad in [("parent", "lo"), ("parent", "a/b"), ("ipvlan_mode", "l2"), ("macvlan_mode", "x")] {
            assert!(medium("macvlan", &options(&[bad])).is_err(), "{bad:?}");
        }
    }
}
