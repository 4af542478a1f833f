//! Which registries are spoken to how.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use engine_api::system::{IndexConfig, RegistryConfig};
use errdefs::{Error, Result};

use crate::engine::Engine;
use crate::files::{Promise, failed, replace};

const HUB: &str = "docker.io";
/// Where Docker looks for certificates of registries.
const CERTIFICATES: &str = "/etc/docker/certs.d";

fn is_listed(listed: &[String], domain: &str) -> bool {
    let host = domain
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(domain, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let address = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
    address.is_some_and(|address: IpAddr| address.is_loopback())
        || listed.iter().any(|entry| {
            entry == domain
                || entry == host
                || matches!((in_net(entry), address), (Some((net, bits)), Some(IpAddr::V4(address))) if {
                    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                    u32::from(net) & mask == u32::from(address) & mask
                })
        })
}

fn in_net(text: &str) -> Option<(std::net::Ipv4Addr, u32)> {
    let (net, bits) = text.split_once('/')?;
    Some((net.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 32)?))
}

/// A directory of `hosts.toml` files for the supervisor that says what our settings do: the mirrors of
/// Docker Hub, and registries that need no valid TLS. Empty when there is nothing to say of `domain`:
/// then the supervisor's own directories hold.
///
/// # Errors
/// It cannot be written, or a mirror is no URL.
pub fn hosts_directory(engine: &Engine, domain: &str) -> Result<String> {
    let settings = engine.settings();
    let text = if domain == HUB && !settings.registry_mirrors.is_empty() {
        mirrors(&settings.registry_mirrors)?
    } else if is_listed(&settings.insecure_registries, domain)
        && !is_listed(&[], domain)
        && !has_certificates(domain)
    {
        // This machine's own need no word: the supervisor knows them.
        // Without a scheme: TLS that nobody vouches for, else none.
        format!("server = \"{domain}\"\nskip_verify = true\n")
    } else {
        return Ok(String::new());
    };
    let root = engine.config.run("hosts");
    let directory = root.join(domain);
    std::fs::create_dir_all(&directory).map_err(failed("make directory", &directory))?;
    replace(&directory.join("hosts.toml"), text.as_bytes(), Promise::Process)?;
    Ok(root.to_string_lossy().into_owned())
}

/// Whether an administrator has put certificates there: those hold more than a list's entry.
fn has_certificates(domain: &str) -> bool {
    Path::new(CERTIFICATES).join(domain).is_dir()
}

fn mirrors(mirrors: &[String]) -> Result<String> {
    let mut text = "server = \"https://registry-1.docker.io\"\n".to_owned();
    for mirror in mirrors {
        if !mirror.starts_with("http://") && !mirror.starts_with("https://")
            || mirror.contains(['"', '\\', '\n'])
        {
            return Err(Error::invalid_argument(format!(
                "invalid mirror {mirror:?}: expected http:// or https://"
            )));
        }
        text.push_str(&format!(
            "\n[host.\"{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
            mirror.trim_end_matches('/')
        ));
    }
    Ok(text)
}

/// The part of `info`.
pub fn shown(engine: &Engine) -> RegistryConfig {
    let settings = engine.settings();
    let shown_mirrors: Vec<String> =
        settings.registry_mirrors.iter().map(|url| format!("{}/", url.trim_end_matches('/'))).collect();
    let index = |name: &str, secure: bool, official: bool| {
        (
            name.to_owned(),
            IndexConfig {
                name: name.to_owned(),
                mirrors: if official { shown_mirrors.clone() } else { Vec::new() },
                secure,
                official,
            },
        )
    };
    let mut index_configs = BTreeMap::from([index(HUB, true, true)]);
    let mut cidrs = vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()];
    for entry in &settings.insecure_registries {
        if in_net(entry).is_some() {
            cidrs.push(entry.clone());
        } else {
            index_configs.extend([index(entry, false, false)]);
        }
    }
    RegistryConfig { insecure_registry_cidrs: cidrs, index_configs, mirrors: Some(shown_mirrors.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_listed_registries_need_no_tls() {
        let listed = ["reg.local:5000".to_owned(), "10.1.0.0/16".to_owned()];
        for domain in
            ["localhost:5000", "127.0.0.1:1", "127.1.2.3", "[::1]:5000", "reg.local:5000", "10.1.2.3:80"]
        {
            assert!(is_listed(&listed, domain), "{domain}");
        }
        for domain in ["docker.io", "10.2.0.1", "reg.local", "localhost.evil.org"] {
            assert!(!is_listed(&listed, domain), "{domain}");
        }
    }
}
