//! `--network NAME` and `--network name=N,alias=A,ip=...`, and the single flags of a network.

use std::collections::{BTreeMap, BTreeSet};

use engine_api::network::{EndpointIpam, EndpointSettings};

use crate::grammar::Matches;

/// One network asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    pub name: String,
    pub endpoint: EndpointSettings,
}

/// Parses one `--network`.
///
/// # Errors
/// An unknown field or a value without its field.
pub fn parse(text: &str) -> Result<Attachment, String> {
    if !text.contains('=') {
        return Ok(Attachment { name: text.to_owned(), ..Attachment::default() });
    }
    let mut attachment = Attachment::default();
    let endpoint = &mut attachment.endpoint;
    let mut ipam = EndpointIpam::default();
    for field in text.split(',') {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("invalid field {field}"))?;
        match name.trim().to_lowercase().as_str() {
            "name" => attachment.name = value.to_owned(),
            "alias" => endpoint.aliases.get_or_insert_default().push(value.to_owned()),
            "ip" => ipam.ipv4_address = value.to_owned(),
            "ip6" => ipam.ipv6_address = value.to_owned(),
            "link-local-ip" => ipam.link_local_ips.push(value.to_owned()),
            "mac-address" => endpoint.mac_address = value.to_owned(),
            "driver-opt" => {
                let (key, value) =
                    value.split_once('=').ok_or("invalid key value pair format in driver options")?;
                endpoint
                    .driver_opts
                    .get_or_insert_with(BTreeMap::new)
                    .insert(key.to_lowercase(), value.to_owned());
            }
            "gw-priority" => {
                endpoint.gw_priority =
                    value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            name => return Err(format!("invalid field key {name}")),
        }
    }
    if ipam != EndpointIpam::default() {
        endpoint.ipam_config = Some(ipam);
    }
    if attachment.name.is_empty() {
        return Err("network name is not set".to_owned());
    }
    Ok(attachment)
}

/// Networks that take no endpoint settings.
pub fn is_user_defined(name: &str) -> bool {
    !matches!(name, "" | "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

/// Networks asked for; settings of the single flags belong to the first.
///
/// # Errors
/// A network that is none, or that contradicts another or a flag.
pub fn attachments(matches: &Matches) -> Result<Vec<Attachment>, String> {
    let names = matches.list("network").iter().chain(matches.list("net"));
    let mut all = names.map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
    let aliases: Vec<String> =
        matches.list("network-alias").iter().chain(matches.list("net-alias")).cloned().collect();
    let ipam = EndpointIpam {
        ipv4_address: matches.string("ip"),
        ipv6_address: matches.string("ip6"),
        link_local_ips: matches.list("link-local-ip").to_vec(),
    };
    let mac_address = matches.string("mac-address");
    let has_settings = !aliases.is_empty() || ipam != EndpointIpam::default() || !mac_address.is_empty();
    if all.is_empty() && has_settings {
        all.push(Attachment { name: "default".into(), ..Attachment::default() });
    }
    check_networks(&all)?;
    let links = matches.list("link");
    let Some(first) = all.first_mut() else { return Ok(all) };
    if first.name.starts_with("container:") && has_settings {
        return Err("conflicting options: cannot set network settings with --network container:".to_owned());
    }
    if !aliases.is_empty() {
        first.endpoint.aliases.get_or_insert_default().extend(aliases);
    }
    if !links.is_empty() && is_user_defined(&first.name) {
        first.endpoint.links = Some(links.to_vec());
    }
    if ipam != EndpointIpam::default() {
        first.endpoint.ipam_config = Some(ipam);
    }
    if !mac_address.is_empty() {
        first.endpoint.mac_address = mac_address;
    }
    let aliased = all.iter().any(|one| {
        !is_user_defined(&one.name)
            && one.endpoint.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty())
    });
    if aliased {
        return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
    }
    Ok(all)
}

/// Each network once, and either networks of one's own or one of the engine's.
fn check_networks(all: &[Attachment]) -> Result<(), String> {
    if all.iter().any(|one| one.name.trim().is_empty()) {
        return Err("no name set for network".to_owned());
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = all.iter().find(|one| !names.insert(&one.name)) {
        return Err(format!("network {:?} is specified multiple times", twice.name));
    }
    let own = all.iter().filter(|one| is_user_defined(&one.name)).count();
    if own > 0 && own < all.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        assert_eq!(parse("host").unwrap().name, "host");
        let got = parse("name=n,alias=a,alias=b,ip=1.2.3.4,driver-opt=x=y").unwrap();
        assert_eq!(got.endpoint.aliases.unwrap(), ["a", "b"]);
        assert_eq!(got.endpoint.ipam_config.unwrap().ipv4_address, "1.2.3.4");
        for text in ["alias=a", "name=n,foo=b", "name=n,gw-priority=x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
