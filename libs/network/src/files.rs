//! The files that tell a container who it is and whom to ask: text in, text out, no I/O.

use std::net::IpAddr;

/// What a container's `/etc/resolv.conf` says, from the host's and the user's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers.
    pub nameservers: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Options as in `ndots:0`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a host's `resolv.conf`; lines that are not understood are left out.
    pub fn parse(text: &str) -> ResolvConf {
        todo!("{text}")
    }

    /// What a container in its own namespace can use: loopback name servers are taken out (they
    /// are the host's own) and, when none is left, Google's public ones stand in as in Docker.
    pub fn for_container(self) -> ResolvConf {
        todo!()
    }

    /// Replaces what the user gave: `--dns`, `--dns-search` (a single `.` means none),
    /// `--dns-option`. Empty lists change nothing.
    pub fn with_overrides(self, nameservers: &[IpAddr], search: &[String], options: &[String]) -> ResolvConf {
        todo!("{nameservers:?} {search:?} {options:?}")
    }

    /// The file's text.
    pub fn render(&self) -> String {
        todo!()
    }
}

/// One more line of a hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Address.
    pub address: IpAddr,
    /// Its names, the canonical one first.
    pub names: Vec<String>,
}

/// Text of `/etc/hosts`: the loopback names, then `entries` (`--add-host`, links), then the
/// container's own address with its names (`hostname.domain hostname`, or just the host name).
pub fn hosts_file(own: &[HostEntry], entries: &[HostEntry]) -> String {
    todo!("{own:?} {entries:?}")
}

/// Text of `/etc/hostname`.
pub fn hostname_file(hostname: &str) -> String {
    format!("{hostname}\n")
}
