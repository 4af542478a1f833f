//! Options of one container's place on a network.

use engine_api::network::EndpointSettings;
use errdefs::{Error, Result};

use super::known::Known;
use super::options::INTERFACE_PREFIX;

const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// Checks the options.
///
/// # Errors
/// One of them is not known, or malformed.
pub fn check(wish: &EndpointSettings) -> Result<()> {
    for (key, value) in wish.driver_opts.iter().flatten() {
        match key.as_str() {
            SYSCTLS => {}
            INTERFACE if is_link_name(value) => {}
            INTERFACE => {
                return Err(Error::invalid_argument(format!("invalid name of an interface: {value:?}")));
            }
            // Kept and shown: drivers take those that they know.
            _ => {}
        }
    }
    sysctls(wish).map(drop)
}

/// Kernel settings of the link: `net.ipv4.conf.IFNAME.log_martians=1`, separated by commas.
///
/// # Errors
/// One of them is malformed, or is not about the link.
pub fn sysctls(wish: &EndpointSettings) -> Result<Vec<(String, String)>> {
    let all = wish.driver_opts.iter().flatten().find(|(key, _)| *key == SYSCTLS);
    let settings =
        all.iter().flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|text| !text.is_empty());
    settings.map(sysctl).collect()
}

fn sysctl(text: &str) -> Result<(String, String)> {
    let bad = |why: &str| Error::invalid_argument(format!("invalid endpoint sysctl {text:?}: {why}"));
    let (name, value) = text.split_once('=').ok_or_else(|| bad("expected NAME=VALUE"))?;
    let path = name.strip_prefix("net.").ok_or_else(|| bad("it must begin with net."))?.replace('.', "/");
    let parts: Vec<&str> = path.split('/').collect();
    let is_of_link =
        matches!(parts[..], ["ipv4" | "ipv6" | "mpls", "conf" | "neigh" | "label", "IFNAME", ..])
            && parts.len() == 4;
    let is_plain = parts.iter().all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if !is_of_link || !is_plain {
        return Err(bad("only settings of the interface, net.*.*.IFNAME.*, are allowed"));
    }
    Ok((path, value.to_owned()))
}

/// The name of the link in the container: asked for, or the network's prefix with a number.
///
/// # Errors
/// The name that is asked for is none.
pub fn interface(known: &Known, wish: &EndpointSettings, index: usize) -> Result<String> {
    if let Some(name) = asked(wish) {
        return Ok(name.to_owned());
    }
    Ok(format!("{}{index}", known.option(INTERFACE_PREFIX).unwrap_or("eth")))
}

/// The name of the link that is asked for.
pub fn asked(wish: &EndpointSettings) -> Option<&str> {
    let (_, name) = wish.driver_opts.iter().flatten().find(|(key, _)| *key == INTERFACE)?;
    Some(name).filter(|name| is_link_name(name)).map(String::as_str)
}

fn is_link_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    (1..16).contains(&text.len()) && !matches!(text, "." | ".." | "lo") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_are_of_the_link_alone() {
        assert_eq!(
            sysctl("net.ipv4.conf.IFNAME.log_martians=1").unwrap(),
            ("ipv4/conf/IFNAME/log_martians".to_owned(), "1".to_owned())
        );
        for bad in [
            "kernel.x=1",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.forwarding=1",
            "net.ipv4.conf.IFNAME.../../x=1",
            "net.ipv4.conf.IFNAME.x",
        ] {
            assert!(sysctl(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_setting_leads_elsewhere(text in "(net.)?[a-z0-9./]{0,12}(IFNAME)?[a-z0-9./_]{0,12}=?[a-z0-9]{0,3}") {
            if let Ok((path, _)) = sysctl(&text) {
                prop_assert!(!path.contains("..") && path.contains("/IFNAME/"));
            }
        }
    }
}
