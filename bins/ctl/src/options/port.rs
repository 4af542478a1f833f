//! `-p` and `--expose`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine_api::Empty;
use engine_api::host_config::{PortBinding, PortMap};

/// Ports to publish and to expose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    pub exposed: BTreeMap<String, Empty>,
    pub bindings: PortMap,
}

/// Parses all `-p` and `--expose` flags.
///
/// # Errors
/// go-connections' texts.
pub fn parse(publish: &[String], expose: &[String]) -> Result<Ports, String> {
    let mut ports = Ports::default();
    for spec in publish {
        if spec.contains('=') { publish_long(&mut ports, spec)? } else { publish_short(&mut ports, spec)? }
    }
    for spec in expose {
        if spec.contains(':') {
            return Err(format!("invalid port format for --expose: {spec}"));
        }
        let (range, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
        let invalid = |reason: String| format!("invalid range format for --expose: {spec}, error: {reason}");
        let (start, end) = parse_range(range).map_err(invalid)?;
        for port in start..=end {
            ports.exposed.insert(format!("{port}/{}", checked_protocol(protocol)?), Empty {});
        }
    }
    Ok(ports)
}

/// `[IP:][HOST[-HOST]:]CONTAINER[-CONTAINER][/PROTOCOL]`.
fn publish_short(ports: &mut Ports, spec: &str) -> Result<(), String> {
    let (address, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let (rest, container) = address.rsplit_once(':').unwrap_or(("", address));
    let (ip, host) = rest.rsplit_once(':').map_or(("", rest), |(ip, host)| (ip, host));
    // An address of IPv6 may stand without its brackets: the ports are the last two.
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    if container.is_empty() {
        return Err(format!("no port specified: {spec}<empty>"));
    }
    let (start, end) = parse_range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let hosts = match host {
        "" => None,
        host => Some(parse_range(host).map_err(|_| format!("invalid hostPort: {host}"))?),
    };
    let protocol = checked_protocol(protocol)?;
    bind(ports, ip, hosts, (start, end), &protocol).map_err(|()| {
        format!("invalid ranges specified for container and host Ports: {container} and {host}")
    })
}

/// `target=80,published=8080,protocol=tcp,mode=host`.
fn publish_long(ports: &mut Ports, spec: &str) -> Result<(), String> {
    let (mut target, mut published, mut protocol) = (None, None, "tcp".to_owned());
    for field in spec.split(',') {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("invalid field: {field}"))?;
        match name.to_lowercase().as_str() {
            "target" => {
                target = Some(
                    parse_range(value)
                        .map_err(|_| format!("invalid target port ({value}): value must be an integer"))?,
                )
            }
            "published" => {
                published = Some(
                    parse_range(value)
                        .map_err(|_| format!("invalid published port ({value}): value must be an integer"))?,
                )
            }
            "protocol" => protocol = checked_protocol(value)?,
            "mode" if value == "host" || value == "ingress" => {}
            "mode" => {
                return Err(format!(
                    "invalid publish mode value ({value}): must be either 'ingress' or 'host'"
                ));
            }
            _ => return Err(format!("invalid field key: {name}")),
        }
    }
    let target = target.ok_or("missing mandatory field \"target\"")?;
    bind(ports, "", published, target, &protocol).map_err(|()| format!("invalid ranges specified: {spec}"))
}

/// A range of container ports to one host range as long, to one ephemeral range, or to any.
fn bind(
    ports: &mut Ports,
    ip: &str,
    hosts: Option<(u16, u16)>,
    containers: (u16, u16),
    protocol: &str,
) -> Result<(), ()> {
    let count = containers.1 - containers.0;
    let single_to_range = count == 0;
    if let Some((low, high)) = hosts
        && high - low != count
        && !single_to_range
    {
        return Err(());
    }
    for offset in 0..=count {
        let key = format!("{}/{protocol}", containers.0 + offset);
        let host_port = match hosts {
            None => String::new(),
            Some((low, high)) if single_to_range && low != high => format!("{low}-{high}"),
            Some((low, _)) => (low + offset).to_string(),
        };
        ports.exposed.insert(key.clone(), Empty {});
        let bindings = ports.bindings.entry(key).or_default().get_or_insert_default();
        bindings.push(PortBinding { host_ip: ip.to_owned(), host_port });
    }
    Ok(())
}

fn checked_protocol(protocol: &str) -> Result<String, String> {
    let lower = protocol.to_lowercase();
    if matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        Ok(lower)
    } else {
        Err(format!("invalid proto: {protocol}"))
    }
}

fn parse_range(text: &str) -> Result<(u16, u16), String> {
    if text.is_empty() {
        return Err("empty string specified for ports".to_owned());
    }
    let number = |part: &str| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        let number = part.parse::<u16>().ok().filter(|_| digits);
        number.ok_or_else(|| format!("strconv.ParseUint: parsing {part:?}: invalid syntax"))
    };
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (number(start)?, number(end)?);
    if end < start {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(spec: &str) -> Result<Vec<String>, String> {
        let ports = parse(&[spec.to_owned()], &[])?;
        let mut shown = Vec::new();
        for (port, bindings) in &ports.bindings {
            for binding in bindings.iter().flatten() {
                shown.push(format!("{port}={}:{}", binding.host_ip, binding.host_port));
            }
        }
        Ok(shown)
    }

    #[test]
    fn ports_in_every_form() {
        for (spec, shown) in [
            ("80", vec!["80/tcp=:"]),
            ("8080:80", vec!["80/tcp=:8080"]),
            ("127.0.0.1:8080:80/udp", vec!["80/udp=127.0.0.1:8080"]),
            ("127.0.0.1::80", vec!["80/tcp=127.0.0.1:"]),
            ("[::1]:8080:80", vec!["80/tcp=::1:8080"]),
            ("8000-8001:80-81", vec!["80/tcp=:8000", "81/tcp=:8001"]),
            ("8000-8010:80", vec!["80/tcp=:8000-8010"]),
            ("::1:8080:80", vec!["80/tcp=::1:8080"]),
            ("80-81", vec!["80/tcp=:", "81/tcp=:"]),
            ("target=80,published=8080,protocol=UDP", vec!["80/udp=:8080"]),
        ] {
            assert_eq!(show(spec).unwrap(), shown, "{spec}");
        }
    }

    #[test]
    fn wrong_ports_are_refused() {
        for (spec, error) in [
            ("abc", "invalid containerPort: abc"),
            ("x:80", "invalid hostPort: x"),
            ("80:", "no port specified: 80:<empty>"),
            ("999.1.1.1:1:2", "invalid IP address: 999.1.1.1"),
            ("80/icmp", "invalid proto: icmp"),
            ("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
            ("70000", "invalid containerPort: 70000"),
        ] {
            assert_eq!(show(spec).unwrap_err(), error);
        }
        assert!(parse(&[], &["80:80".into()]).is_err());
        assert_eq!(parse(&[], &["80-82/udp".into()]).unwrap().exposed.len(), 3);
    }

    proptest! {
        #[test]
        fn no_text_panics(spec in "[0-9a-z:./\\[\\]=,-]{0,24}") {
            let _ = parse(std::slice::from_ref(&spec), std::slice::from_ref(&spec));
        }
    }
}
