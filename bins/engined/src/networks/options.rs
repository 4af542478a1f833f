//! Options of the bridge driver, and what the engine's flags say about every bridge.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use errdefs::{Error, Result};
use network::{BridgeConfig, Direct, GatewayMode};

use crate::config::Config;

const NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const MTU: &str = "com.docker.network.driver.mtu";
const GATEWAY_MODES: [&str; 2] =
    ["com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6"];
const INHIBIT_V4: &str = "com.docker.network.bridge.inhibit_ipv4";
/// Whether there is IPv4, and IPv6, where a network does not say.
pub const ENABLE_V4: &str = "com.docker.network.enable_ipv4";
pub const ENABLE_V6: &str = "com.docker.network.enable_ipv6";
/// Host address of ports published by containers on the network.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// Source address of what the containers send elsewhere.
const HOST_V4: &str = "com.docker.network.host_ipv4";
/// Beginning of the names that links of the network have in containers.
pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";

/// What the engine's flags say about every bridge.
pub fn of_engine(config: &Config, bridge: &mut BridgeConfig) {
    let flags = &config.flags;
    bridge.forward = flags.ip_forward != Some(false);
    bridge.accept_mark = flags.net.accept_mark();
    if flags.net.allow_direct_routing == Some(true) {
        bridge.direct = Direct::Published;
    }
}

/// What a network's own options say about its bridge.
///
/// # Errors
/// An option is not known, or its value is none of its.
pub fn of_network(options: &BTreeMap<String, String>, bridge: &mut BridgeConfig) -> Result<()> {
    for (key, value) in options {
        let bad = || Error::invalid_argument(format!("invalid value of {key}: {value:?}"));
        let truth = || truth(key, value);
        match key.as_str() {
            NAME => bridge.name.clone_from(value),
            ICC => bridge.icc = truth()?,
            MASQUERADE => bridge.masquerade = truth()?,
            MTU => {
                bridge.mtu = value.parse().ok().filter(|mtu| (68..=65535).contains(mtu)).ok_or_else(bad)?
            }
            HOST_BINDING => drop(value.parse::<Ipv4Addr>().map_err(|_| bad())?),
            HOST_V4 if value.is_empty() => {}
            HOST_V4 => bridge.source_v4 = Some(value.parse().map_err(|_| bad())?),
            INTERFACE_PREFIX if is_prefix(value) => {}
            INHIBIT_V4 => bridge.inhibit_v4 = truth()?,
            // What they say was heard before.
            ENABLE_V4 | ENABLE_V6 => drop(truth()?),
            key if key == GATEWAY_MODES[0] => bridge.gateway_v4 = gateway_mode(value).ok_or_else(bad)?,
            key if key == GATEWAY_MODES[1] => bridge.gateway_v6 = gateway_mode(value).ok_or_else(bad)?,
            INTERFACE_PREFIX => return Err(bad()),
            _ => return Err(Error::unimplemented(format!("network option {key} is not implemented"))),
        }
    }
    Ok(())
}

/// A value that is true or false, in Go's words.
///
/// # Errors
/// It is neither.
pub fn truth(key: &str, value: &str) -> Result<bool> {
    match value {
        "true" | "1" | "True" | "TRUE" | "t" | "T" => Ok(true),
        "false" | "0" | "False" | "FALSE" | "f" | "F" => Ok(false),
        _ => Err(Error::invalid_argument(format!("invalid value of {key}: {value:?}"))),
    }
}

fn gateway_mode(text: &str) -> Option<GatewayMode> {
    Some(match text {
        "nat" | "" => GatewayMode::Nat,
        "nat-unprotected" => GatewayMode::NatUnprotected,
        "routed" => GatewayMode::Routed,
        "isolated" => GatewayMode::Isolated,
        _ => return None,
    })
}

fn is_prefix(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text != "lo" && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_refused() {
        let read = |key: &str, value: &str| {
            let mut bridge = BridgeConfig::new("b");
            of_network(&BTreeMap::from([(key.to_owned(), value.to_owned())]), &mut bridge).map(|()| bridge)
        };
        assert!(!read(ICC, "false").unwrap().icc);
        assert_eq!(read(MTU, "1400").unwrap().mtu, 1400);
        assert_eq!(read(HOST_V4, "10.0.0.7").unwrap().source_v4, Some([10, 0, 0, 7].into()));
        assert_eq!(
            read(GATEWAY_MODES[0], "nat-unprotected").unwrap().gateway_v4,
            GatewayMode::NatUnprotected
        );
        assert_eq!(read(GATEWAY_MODES[1], "routed").unwrap().gateway_v6, GatewayMode::Routed);
        for (key, value) in [
            (ICC, "x"),
            (MTU, "1"),
            (HOST_V4, "::1"),
            (HOST_BINDING, "::1"),
            (GATEWAY_MODES[0], "direct"),
            ("x", "y"),
        ] {
            assert!(read(key, value).is_err(), "{key}={value}");
        }
    }
}
