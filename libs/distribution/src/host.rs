//! One registry host and how to talk to it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What a host may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub pull: bool,
    pub resolve: bool,
    pub push: bool,
}

impl Capabilities {
    pub const ALL: Capabilities = Capabilities { pull: true, resolve: true, push: true };
    pub const READ: Capabilities = Capabilities { pull: true, resolve: true, push: false };
}

/// Which schemes are tried, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    Https,
    Http,
    /// TLS without verification first, plain HTTP when the host does not speak it.
    Insecure,
}

/// A host that serves a registry's repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub schemes: Schemes,
    /// Name and port, as in a URL.
    pub authority: String,
    /// What stands before the repository: `/v2` or a path of the mirror's own.
    pub path: String,
    pub capabilities: Capabilities,
    pub tls: TlsFiles,
    /// Sent with every request to this host and to no other.
    pub headers: Vec<(String, String)>,
    /// The registry that this host mirrors, told by `?ns=`; `None` for the registry itself.
    pub mirror_of: Option<String>,
    /// Longest wait for a connection; `None` is the usual one.
    pub connect_timeout: Option<Duration>,
    /// Named by a manifest, not by a person: it is asked without any credentials (CVE-2020-15157).
    pub is_foreign: bool,
}

/// Files of TLS material.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates trusted besides the system's.
    pub authorities: Vec<PathBuf>,
    /// Certificate chain and key to show.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub skip_verify: bool,
}

impl Host {
    /// The registry of an image's domain as it stands, without any configuration.
    pub fn origin(domain: &str, schemes: Schemes) -> Host {
        let authority = if domain == reference::DEFAULT_DOMAIN { "registry-1.docker.io" } else { domain };
        Host {
            schemes,
            authority: authority.to_owned(),
            path: "/v2".to_owned(),
            capabilities: Capabilities::ALL,
            tls: TlsFiles::default(),
            headers: Vec::new(),
            mirror_of: None,
            connect_timeout: None,
            is_foreign: false,
        }
    }

    /// Where `what` of `repository` is, query included.
    pub(crate) fn path_of(&self, repository: &str, what: &str) -> String {
        let path = format!("{}/{repository}/{what}", self.path);
        match &self.mirror_of {
            Some(registry) if path.contains('?') => format!("{path}&ns={}", encode(registry)),
            Some(registry) => format!("{path}?ns={}", encode(registry)),
            None => path,
        }
    }
}

/// Name without the port.
pub(crate) fn name_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(name, _)| name)
}

/// Whether the host is this machine: such registries need no TLS, as Docker has it.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let name = name_of(authority);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Percent-encodes a query value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether the address `name` is in the network `base/bits`.
pub(crate) fn in_network(network: &str, name: &str) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(address)) = (base.parse::<IpAddr>(), name.parse::<IpAddr>()) else {
        return false;
    };
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(base) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(base) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}
