//! Published ports: from Docker's maps to requests, and back to what people see.

use std::net::IpAddr;

use engine_api::container::{Config, Port};
use engine_api::host_config::{HostConfig, PortBinding, PortMap};
use errdefs::{Error, Result};
use network::{HostPorts, PortRequest, Protocol};

use crate::containers::Record;

/// What to publish.
///
/// # Errors
/// A port, range or address is malformed.
pub fn requests(
    config: &Config,
    host: &HostConfig,
    default_address: Option<IpAddr>,
) -> Result<Vec<PortRequest>> {
    let mut all = Vec::new();
    for (port, bindings) in &host.port_bindings {
        let (container_port, protocol) = parse(port)?;
        let any = [PortBinding::default()];
        let bindings = bindings.as_deref().filter(|list| !list.is_empty()).unwrap_or(&any);
        for binding in bindings {
            all.push(PortRequest {
                protocol,
                container_port,
                host_address: address(&binding.host_ip, default_address)?,
                host_ports: host_ports(&binding.host_port)?,
            });
        }
    }
    if host.publish_all_ports {
        for port in config.exposed_ports.keys().filter(|port| !host.port_bindings.contains_key(*port)) {
            let (container_port, protocol) = parse(port)?;
            let host_address = address("", default_address)?;
            all.push(PortRequest {
                protocol,
                container_port,
                host_address,
                host_ports: HostPorts::Ephemeral,
            });
        }
    }
    Ok(all)
}

/// `80/tcp` or `80`.
fn parse(text: &str) -> Result<(u16, Protocol)> {
    let bad = || Error::invalid_argument(format!("invalid port specification: \"{text}\""));
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = port.parse::<u16>().map_err(|_| bad())?;
    if port == 0 {
        return Err(bad());
    }
    Ok((port, protocol.to_lowercase().parse().map_err(|_| bad())?))
}

fn address(text: &str, default: Option<IpAddr>) -> Result<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(default.filter(|address| !address.is_unspecified()));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr =
        bare.parse().map_err(|_| Error::invalid_argument(format!("invalid host IP address: {text}")))?;
    Ok(Some(address))
}

/// Empty, `8080`, or `8000-8010`.
fn host_ports(text: &str) -> Result<HostPorts> {
    let bad = || Error::invalid_argument(format!("invalid port range: \"{text}\""));
    let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
    match text.split_once('-') {
        None if text.is_empty() || text == "0" => Ok(HostPorts::Ephemeral),
        None => number(text).map(|port| HostPorts::Range(port, port)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            if first == 0 || first > last { Err(bad()) } else { Ok(HostPorts::Range(first, last)) }
        }
    }
}

/// `NetworkSettings.Ports`: exposed ports, with their bindings where published.
pub fn shown(record: &Record) -> PortMap {
    let mut map = PortMap::new();
    if !record.state.phase.is_live() {
        return map;
    }
    for port in record.config.exposed_ports.keys() {
        map.insert(port.clone(), None);
    }
    for port in record.endpoints.values().flat_map(|endpoint| &endpoint.ports) {
        let key = format!("{}/{}", port.container_port, port.protocol);
        // Open at the container's own address: no port of the host leads to it.
        let host_port = if port.is_routed() { String::new() } else { port.host_port.to_string() };
        let binding = PortBinding { host_ip: port.host_address.to_string(), host_port };
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// Rows of a list.
pub fn rows(record: &Record) -> Vec<Port> {
    let mut rows = Vec::new();
    for (key, bindings) in shown(record) {
        let Ok((private_port, protocol)) = parse(&key) else { continue };
        let row = Port { private_port, kind: protocol.to_string(), ..Port::default() };
        match bindings {
            None => rows.push(row),
            Some(bindings) => rows.extend(bindings.into_iter().map(|binding| Port {
                ip: binding.host_ip,
                public_port: binding.host_port.parse().unwrap_or(0),
                ..row.clone()
            })),
        }
    }
    rows
}

/// Whether a filter's `80`, `80/tcp` or `80-90/tcp` covers a container's port.
pub fn covers(filter: &str, own: &str) -> bool {
    let Ok((port, protocol)) = parse(own) else { return false };
    let (range, wanted) = filter.split_once('/').unwrap_or((filter, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { return false };
    wanted == protocol.to_string() && (first..=last).contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(port: &str, ip: &str, host_port: &str) -> HostConfig {
        let binding = PortBinding { host_ip: ip.into(), host_port: host_port.into() };
        HostConfig {
            port_bindings: PortMap::from([(port.to_owned(), Some(vec![binding]))]),
            ..HostConfig::default()
        }
    }

    #[test]
    fn bindings_become_requests() {
        let all = requests(&Config::default(), &host("80/tcp", "127.0.0.1", "8080"), None).unwrap();
        assert_eq!((all[0].container_port, all[0].protocol), (80, Protocol::Tcp));
        assert_eq!(all[0].host_address, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(all[0].host_ports, HostPorts::Range(8080, 8080));
        let all = requests(&Config::default(), &host("53/udp", "", ""), None).unwrap();
        assert_eq!((all[0].host_address, &all[0].host_ports), (None, &HostPorts::Ephemeral));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for (port, ip, host_port) in [
            ("0/tcp", "", ""),
            ("x", "", ""),
            ("80/ftp", "", ""),
            ("80", "1.2.3", ""),
            ("80", "", "9-1"),
            ("80", "", "70000"),
        ] {
            assert!(
                requests(&Config::default(), &host(port, ip, host_port), None).is_err(),
                "{port} {ip} {host_port}"
            );
        }
    }

    #[test]
    fn filters_cover_ranges() {
        assert!(covers("80", "80/tcp"));
        assert!(covers("70-90/udp", "80/udp"));
        assert!(!covers("80", "80/udp"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(a in "\\PC{0,12}", b in "\\PC{0,12}", c in "\\PC{0,12}") {
            let _ = requests(&Config::default(), &host(&a, &b, &c), None);
            let _ = covers(&a, &b);
        }
    }
}
