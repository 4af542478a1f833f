//! `--network NAME` and `--network name=N,alias=A,ip=...`.

use std::collections::BTreeMap;

use engine_api::network::{EndpointIpam, EndpointSettings};

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
