//! Links: names that a container on the default bridge has for others there.

use std::net::Ipv4Addr;
use std::sync::Arc;

use engine_api::host_config::HostConfig;
use errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Container, Record};
use crate::engine::Engine;
use crate::files::{Promise, failed};

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Identifier of the other container.
    pub id: String,
    /// What this one calls it.
    pub alias: String,
}

const BRIDGE: &str = "bridge";

/// Reads a new container's wishes.
///
/// # Errors
/// A link is malformed, its container is not there, or the network takes no links.
pub fn plan(engine: &Engine, host: &HostConfig) -> Result<Vec<Link>> {
    let wishes: Vec<&String> = host.links.iter().flatten().collect();
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let conflict = |kind: &str| {
        Err(Error::invalid_argument(format!(
            "conflicting options: {kind} can't be used with links. This would result in undefined behavior"
        )))
    };
    match host.network_mode.as_str() {
        "host" => return conflict("host type networking"),
        mode if Record::joined(mode).is_some() => return conflict("container type network"),
        // On networks of one's own names come from the network.
        mode if mode != BRIDGE => return Ok(Vec::new()),
        _ => {}
    }
    wishes.into_iter().map(|text| read(engine, text)).collect()
}

fn read(engine: &Engine, text: &str) -> Result<Link> {
    let (name, alias) = parse(text)?;
    let mut other = engine.containers.find(name).map_err(|cause| {
        Error::invalid_argument(format!("could not get container for {name}")).with_source(cause)
    })?;
    // Who lives in another's network is found there.
    while let Some(owner) = Record::joined(&other.record().host_config.network_mode) {
        other = engine.containers.find(owner)?;
    }
    if other.record().is_host_network() {
        return Err(Error::invalid_argument(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        ));
    }
    Ok(Link { id: other.id.clone(), alias: alias.to_owned() })
}

/// `CONTAINER[:ALIAS]`; also `/CHILD:/PARENT/ALIAS`, as inspect shows it.
fn parse(text: &str) -> Result<(&str, &str)> {
    let bad = || Error::invalid_argument(format!("bad format for links: {text}"));
    if text.is_empty() {
        return Err(Error::invalid_argument("empty string specified for links"));
    }
    let (name, alias) = match text.split(':').collect::<Vec<_>>()[..] {
        [name] => (name, name),
        [name, alias] => (name, alias),
        _ => return Err(bad()),
    };
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    if name.is_empty() || alias.is_empty() {
        return Err(bad());
    }
    Ok((name.trim_start_matches('/'), alias.trim_start_matches('/')))
}

/// How `inspect` shows a container's links; none is null.
pub fn shown(engine: &Engine, record: &Record) -> Option<Vec<String>> {
    let show = |link: &Link| {
        let other = engine.containers.get(&link.id)?;
        Some(format!("/{}:/{}/{}", other.record().name, record.name, link.alias))
    };
    let all: Vec<String> = record.links.iter().filter_map(show).collect();
    (!all.is_empty()).then_some(all)
}

/// The containers that a container is linked to, with their addresses.
fn others<'a>(
    engine: &'a Engine,
    record: &'a Record,
) -> impl Iterator<Item = Result<(&'a Link, Arc<Record>, Ipv4Addr)>> {
    record.links.iter().filter_map(|link| {
        // A removed container's links go with it.
        let other = engine.containers.get(&link.id)?.record();
        if !other.state.phase.is_live() {
            return Some(Err(Error::failed_precondition(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                other.name, record.name, link.alias
            ))));
        }
        let Some(address) = other.endpoints.get(BRIDGE).and_then(|endpoint| endpoint.address) else {
            return Some(Err(Error::failed_precondition(format!(
                "Cannot link to /{}, as it does not belong to the default network",
                other.name
            ))));
        };
        Some(Ok((link, other, address)))
    })
}

/// What a container's processes learn of its links in their environment.
///
/// # Errors
/// A linked container does not run.
pub fn environment(engine: &Engine, record: &Record) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for other in others(engine, record) {
        let (link, other, address) = other?;
        let name = format!("/{}/{}", record.name, link.alias);
        let ports: Vec<String> = other.config.exposed_ports.keys().cloned().collect();
        all.extend(variables(
            &name,
            &link.alias,
            address,
            &ports,
            other.config.env.as_deref().unwrap_or_default(),
        ));
    }
    Ok(all)
}

fn variables(name: &str, alias: &str, address: Ipv4Addr, ports: &[String], env: &[String]) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<(&str, u16)> = ports
        .iter()
        .filter_map(|port| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            Some((protocol, number.parse().ok()?))
        })
        .collect();
    ports.sort_by_key(|(protocol, number)| (*protocol != "tcp", *protocol, *number));
    let mut all = Vec::new();
    if let Some((protocol, number)) = ports.first() {
        all.push(format!("{prefix}_PORT={protocol}://{address}:{number}"));
    }
    let mut at = 0;
    while at < ports.len() {
        let (protocol, first) = ports[at];
        let mut last = at;
        while last + 1 < ports.len() && ports[last + 1] == (protocol, ports[last].1.saturating_add(1)) {
            last += 1;
        }
        let upper = protocol.to_uppercase();
        for (_, number) in &ports[at..=last] {
            let own = format!("{prefix}_PORT_{number}_{upper}");
            all.push(format!("{own}={protocol}://{address}:{number}"));
            all.push(format!("{own}_ADDR={address}"));
            all.push(format!("{own}_PORT={number}"));
            all.push(format!("{own}_PROTO={protocol}"));
        }
        if last > at {
            let (own, end) = (format!("{prefix}_PORT_{first}_{upper}"), ports[last].1);
            all.push(format!("{own}_START={protocol}://{address}:{first}"));
            all.push(format!("{own}_PORT_START={first}"));
            all.push(format!("{own}_END={protocol}://{address}:{end}"));
            all.push(format!("{own}_PORT_END={end}"));
        }
        at = last + 1;
    }
    all.push(format!("{prefix}_NAME={name}"));
    all.extend(env.iter().filter_map(|variable| {
        let (key, value) = variable.split_once('=')?;
        (!matches!(key, "HOME" | "PATH")).then(|| format!("{prefix}_ENV_{key}={value}"))
    }));
    all
}

/// The lines of `/etc/hosts` for a container's links.
fn lines(engine: &Engine, record: &Record) -> Vec<String> {
    others(engine, record)
        .flatten()
        .map(|(link, other, address)| {
            let mut names = vec![link.alias.clone(), other.config.hostname.clone()];
            if link.alias != other.name {
                names.push(other.name.clone());
            }
            format!("{address}\t{}", names.join(" "))
        })
        .collect()
}

/// Puts a container's links into its `/etc/hosts`, and its own new address into those that are linked to it.
///
/// # Errors
/// A file cannot be written.
pub fn introduce(engine: &Engine, container: &Container) -> Result<()> {
    let record = container.record();
    if !record.links.is_empty() {
        write(container, &lines(engine, &record))?;
    }
    for other in engine.containers.all() {
        let known = other.record();
        if known.state.phase.is_live() && known.links.iter().any(|link| link.id == container.id) {
            write(&other, &lines(engine, &known))?;
        }
    }
    Ok(())
}

/// Lines that name what the new ones name are replaced, where they stand: the container has this very file mounted.
fn write(container: &Container, lines: &[String]) -> Result<()> {
    let path = container.file("hosts");
    let text = std::fs::read_to_string(&path).map_err(failed("read", &path))?;
    let names = |line: &str| line.split_once('\t').map(|(_, names)| names.to_owned());
    let new: Vec<String> = lines.iter().filter_map(|line| names(line)).collect();
    let kept = text.lines().filter(|line| names(line).is_none_or(|names| !new.contains(&names)));
    let mut whole: String = kept.chain(lines.iter().map(String::as_str)).collect::<Vec<_>>().join("\n");
    whole.push('\n');
    std::fs::write(&path, whole).map_err(failed("write", &path))
}

/// `DELETE /containers/PARENT/ALIAS?link=1`.
///
/// # Errors
/// There is no such link.
pub fn remove(engine: &Engine, typed: &str) -> Result<()> {
    let missing = || Error::not_found(format!("No such container: {typed}"));
    let (parent, alias) = typed.trim_start_matches('/').split_once('/').ok_or_else(|| {
        Error::invalid_argument("Conflict, cannot remove the default link name of the container")
    })?;
    let parent = engine.containers.find(parent)?;
    if !parent.record().links.iter().any(|link| link.alias == alias) {
        return Err(missing());
    }
    parent.try_update(Promise::Durable, |record| record.links.retain(|link| link.alias != alias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_are_read() {
        assert_eq!(parse("db:data").unwrap(), ("db", "data"));
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("/db:/web/data").unwrap(), ("db", "data"));
        for bad in ["", ":", "a:", ":a", "a:b:c", "a:b/"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_those_of_old_docker() {
        let ports = ["6379/tcp", "81/tcp", "80/tcp", "53/udp"].map(String::from);
        let env = ["PATH=/bin", "A=1", "odd"].map(String::from);
        let all = variables("/web/my-db", "my-db", Ipv4Addr::new(10, 0, 0, 2), &ports, &env);
        for wanted in [
            "MY_DB_PORT=tcp://10.0.0.2:80",
            "MY_DB_PORT_80_TCP=tcp://10.0.0.2:80",
            "MY_DB_PORT_81_TCP_ADDR=10.0.0.2",
            "MY_DB_PORT_80_TCP_PORT_END=81",
            "MY_DB_PORT_80_TCP_START=tcp://10.0.0.2:80",
            "MY_DB_PORT_6379_TCP_PROTO=tcp",
            "MY_DB_PORT_53_UDP_PORT=53",
            "MY_DB_NAME=/web/my-db",
            "MY_DB_ENV_A=1",
        ] {
            assert!(all.iter().any(|variable| variable == wanted), "{wanted} in {all:?}");
        }
        assert!(
            !all.iter().any(|variable| variable.contains("ENV_PATH") || variable.contains("6379_TCP_START"))
        );
        assert_eq!(variables("/a/b", "b", Ipv4Addr::LOCALHOST, &[], &[]), ["B_NAME=/a/b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,20}") {
            if let Ok((name, alias)) = parse(&text) {
                prop_assert!(!name.is_empty() || !alias.is_empty());
            }
        }
    }
}
