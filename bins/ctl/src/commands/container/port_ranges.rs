//! The PORTS column: neighbouring ports as ranges.

use std::collections::BTreeMap;

use engine_api::container::Port;

/// `0.0.0.0:80-81->80-81/tcp, 0.0.0.0:8080->90/tcp`.
pub fn shown(ports: &[Port]) -> String {
    let mut ports: Vec<&Port> = ports.iter().collect();
    ports.sort_by_key(|port| (port.private_port, &port.ip, port.public_port, &port.kind));
    let mut shown = Vec::new();
    let mut moved = Vec::new();
    let mut open: BTreeMap<(&str, &str), (u16, u16)> = BTreeMap::new();
    let mut order = Vec::new();
    for port in ports {
        let number = port.private_port;
        if port.public_port != 0 && port.public_port != number {
            moved.push(format!(
                "{}->{number}/{}",
                address(&port.ip, &port.public_port.to_string()),
                port.kind
            ));
            continue;
        }
        let ip = if port.public_port == 0 { "" } else { port.ip.as_str() };
        let key = (ip, port.kind.as_str());
        match open.get_mut(&key) {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(range) => {
                shown.push(group(key, *range));
                *range = (number, number);
            }
            None => {
                open.insert(key, (number, number));
                order.push(key);
            }
        }
    }
    shown.extend(order.iter().map(|key| group(*key, open[key])));
    shown.extend(moved);
    shown.join(", ")
}

fn group((ip, kind): (&str, &str), (first, last): (u16, u16)) -> String {
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    if ip.is_empty() { format!("{range}/{kind}") } else { format!("{}->{range}/{kind}", address(ip, &range)) }
}

fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_ranges() {
        let port = |ip: &str, private_port, public_port| Port {
            ip: ip.into(),
            private_port,
            public_port,
            kind: "tcp".into(),
        };
        assert_eq!(shown(&[port("", 81, 0), port("", 80, 0), port("", 90, 0)]), "80-81/tcp, 90/tcp");
        assert_eq!(
            shown(&[port("0.0.0.0", 80, 8080), port("::", 80, 8080)]),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
        );
        assert_eq!(shown(&[port("0.0.0.0", 80, 80), port("0.0.0.0", 81, 81)]), "0.0.0.0:80-81->80-81/tcp");
    }
}
