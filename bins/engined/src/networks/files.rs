//! `hostname`, `hosts` and `resolv.conf` of a container.

use std::net::{IpAddr, Ipv4Addr};

use engine_api::host_config::HostConfig;
use errdefs::{Error, Result};
use network::{Endpoint, HostEntry, ResolvConf, hostname_file, hosts_file};

use crate::containers::{Container, Record};
use crate::engine::Engine;
use crate::remap::Remap;

/// Makes the three files, so that they can be mounted.
///
/// # Errors
/// One of them cannot be made.
pub fn touch(container: &Container, record: &Record) -> Result<()> {
    for name in ["hostname", "hosts", "resolv.conf"] {
        let path = container.file(name);
        let file = std::fs::File::options().append(true).create(true).open(&path);
        let file = file.map_err(crate::files::failed("make", &path))?;
        // The container's root may write to them.
        if let Some((uid, gid)) = record.remap.as_ref().map(Remap::root) {
            std::os::unix::fs::fchown(file, Some(uid), Some(gid))
                .map_err(crate::files::failed("give away", &path))?;
        }
    }
    Ok(())
}

/// Writes the three files, with the addresses that the container has.
///
/// # Errors
/// One of them cannot be written.
pub fn write(engine: &Engine, container: &Container) -> Result<()> {
    let record = container.record();
    let host = &record.host_config;
    // In place: the container may have them mounted already.
    let put = |name: &str, text: &str| {
        let path = container.file(name);
        std::fs::write(&path, text).map_err(crate::files::failed("write", &path))
    };
    put("hostname", &hostname_file(&record.config.hostname))?;
    let extra = extra_hosts(host, &host_gateways(engine))?;
    if record.is_host_network() {
        let mut text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        for entry in extra {
            text.push_str(&format!("{}\t{}\n", entry.address, entry.names.join(" ")));
        }
        put("hosts", &text)?;
    } else {
        let own: Vec<HostEntry> = record
            .endpoints
            .values()
            .flat_map(addresses)
            .map(|address| HostEntry { address, names: own_names(&record) })
            .collect();
        put("hosts", &hosts_file(&own, &extra))?;
    }
    put("resolv.conf", &resolv_conf(engine, &record)?)
}

/// What `host-gateway` stands for: what the flags say, else the default bridge.
fn host_gateways(engine: &Engine) -> Vec<IpAddr> {
    let flags = &engine.config.flags.net.host_gateway_ip;
    if !flags.is_empty() {
        return flags.clone();
    }
    let bridge = engine.networks.default_bridge();
    let v6 = bridge.as_ref().and_then(|bridge| bridge.v6.as_ref()).map(|v6| IpAddr::from(v6.gateway));
    bridge.iter().filter_map(|bridge| bridge.gateway.map(IpAddr::from)).chain(v6).collect()
}

/// Addresses of an endpoint, of either family.
fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> + use<> {
    let v6 = endpoint.v6.as_ref().map(|v6| IpAddr::from(v6.address));
    endpoint.address.map(IpAddr::from).into_iter().chain(v6)
}

fn own_names(record: &Record) -> Vec<String> {
    let mut names = vec![record.config.hostname.clone()];
    if !record.config.domainname.is_empty() {
        names.insert(0, format!("{}.{}", record.config.hostname, record.config.domainname));
    }
    names
}

/// Tells a running container that it has an address more, or less, and whom to ask for names. The
/// files are changed where they are: the container sees these very ones.
///
/// # Errors
/// One of them cannot be read or written.
pub fn amend(
    engine: &Engine,
    container: &Container,
    more: Option<&Endpoint>,
    less: Option<&Endpoint>,
) -> Result<()> {
    let record = container.record();
    let path = container.file("hosts");
    let mut text = std::fs::read_to_string(&path).map_err(crate::files::failed("read", &path))?;
    let line = |address: IpAddr| format!("{address}\t{}\n", own_names(&record).join(" "));
    for address in less.into_iter().flat_map(addresses) {
        text = text.replacen(&line(address), "", 1);
    }
    for address in more.into_iter().flat_map(addresses) {
        text.push_str(&line(address));
    }
    std::fs::write(&path, text).map_err(crate::files::failed("write", &path))?;
    let path = container.file("resolv.conf");
    std::fs::write(&path, resolv_conf(engine, &record)?).map_err(crate::files::failed("write", &path))
}

/// The container's own wishes go before the engine's, and those before the host's.
fn resolv_conf(engine: &Engine, record: &Record) -> Result<String> {
    let conf = servers(engine, record)?;
    let has_names = record
        .networks
        .keys()
        .any(|name| engine.networks.table.get(name).is_some_and(|known| known.is_custom()));
    if !has_names {
        return Ok(conf.render());
    }
    // The engine answers for the networks' names, and asks those servers for all others.
    let ours = ResolvConf { nameservers: vec![network::RESOLVER.into()], ..conf.clone() };
    let mut options = conf.options.clone();
    if !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    Ok(ours.with_overrides(&[], &[], &options).render())
}

/// The name servers that the engine passes a container's queries on to. They are asked from the
/// host: its loopback resolvers are as good as others, and IPv6 ones too.
///
/// # Errors
/// One that was asked for is no address.
pub fn forwarders(engine: &Engine, record: &Record) -> Result<Vec<IpAddr>> {
    let asked = asked_servers(engine, &record.host_config)?;
    if !asked.is_empty() {
        return Ok(asked);
    }
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let own = ResolvConf::parse(&text).nameservers;
    Ok(if own.is_empty() { ResolvConf::default().for_container().nameservers } else { own })
}

/// Servers that the container, or else the engine, was told to use.
fn asked_servers(engine: &Engine, host: &HostConfig) -> Result<Vec<IpAddr>> {
    let flags = &engine.config.flags;
    let parse = |server: &String| {
        server
            .parse::<IpAddr>()
            .map_err(|_| Error::invalid_argument(format!("{server} is not an ip address")))
    };
    if host.dns.is_empty() { Ok(flags.dns.clone()) } else { host.dns.iter().map(parse).collect() }
}

/// The name servers, search domains and options that a container uses.
fn servers(engine: &Engine, record: &Record) -> Result<ResolvConf> {
    let (host, is_host_network) = (&record.host_config, record.is_host_network());
    let flags = &engine.config.flags;
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = asked_servers(engine, host)?;
    let own =
        |list: &[String], default: &[String]| if list.is_empty() { default.to_vec() } else { list.to_vec() };
    let mut parsed = ResolvConf::parse(&text);
    if !is_host_network && parsed.is_stub() {
        // The stub serves the host alone; these are the servers behind it.
        let behind = std::fs::read_to_string("/run/systemd/resolve/resolv.conf").unwrap_or_default();
        let domains = std::mem::take(&mut parsed.search);
        parsed = ResolvConf::parse(&behind);
        if parsed.search.is_empty() {
            parsed.search = domains;
        }
    }
    let base = if is_host_network { parsed } else { parsed.for_container() };
    Ok(base.with_overrides(
        &servers,
        &own(&host.dns_search, &flags.dns_search),
        &own(&host.dns_options, &flags.dns_opt),
    ))
}

/// `--add-host NAME:ADDRESS`; `host-gateway` is the bridge's own address.
///
/// # Errors
/// A line is malformed.
pub fn extra_hosts(host: &HostConfig, gateways: &[IpAddr]) -> Result<Vec<HostEntry>> {
    let lines: Vec<Vec<HostEntry>> = host
        .extra_hosts
        .iter()
        .flatten()
        .map(|line| {
            let bad = || Error::invalid_argument(format!("bad format for add-host: \"{line}\""));
            let (name, address) = line.split_once([':', '=']).ok_or_else(bad)?;
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(bad());
            }
            let entry = |address: IpAddr| HostEntry { address, names: vec![name.to_owned()] };
            match address {
                "host-gateway" if gateways.is_empty() => Ok(vec![entry(Ipv4Addr::LOCALHOST.into())]),
                "host-gateway" => Ok(gateways.iter().copied().map(entry).collect()),
                text => match text.trim_matches(['[', ']']).parse::<IpAddr>() {
                    Ok(address) => Ok(vec![entry(address)]),
                    Err(_) => {
                        Err(Error::invalid_argument(format!("invalid IP address in add-host: \"{text}\"")))
                    }
                },
            }
        })
        .collect::<Result<_>>()?;
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts_are_read() {
        let host = HostConfig {
            extra_hosts: Some(vec!["a:1.2.3.4".into(), "g:host-gateway".into(), "six:[::1]".into()]),
            ..HostConfig::default()
        };
        let entries = extra_hosts(&host, &["10.0.0.1".parse().unwrap()]).unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry.address.to_string()).collect::<Vec<_>>(),
            ["1.2.3.4", "10.0.0.1", "::1"]
        );
        for bad in ["a", ":1.2.3.4", "a:b", "a b:1.2.3.4"] {
            let host = HostConfig { extra_hosts: Some(vec![bad.into()]), ..HostConfig::default() };
            assert!(extra_hosts(&host, &[]).is_err(), "{bad}");
        }
    }
}
