//! Where the engine listens, and with which certificates.

use std::path::PathBuf;

use errdefs::{Error, Result};

use super::Config;

const DEFAULT_SOCKET: &str = "/run/wherry/engined.sock";
/// Where clients of Docker look when nobody told them.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Port of `tcp://HOST`, for engines that speak TLS.
const TLS_PORT: &str = "2376";

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Unix(PathBuf),
    /// Sockets of the service manager: all, or the one of this number.
    Inherited(Option<usize>),
    /// `HOST:PORT`.
    Tcp(String),
}

impl Host {
    fn parse(text: &str) -> Result<Host> {
        let bad = |why: &str| Err(Error::invalid_argument(format!("invalid bind address ({text}): {why}")));
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.is_empty() => Ok(Host::Unix(DOCKER_SOCKET.into())),
            "unix" if rest.starts_with('/') => Ok(Host::Unix(rest.into())),
            "unix" => bad("a path begins with a slash"),
            "fd" if rest.is_empty() || rest == "*" => Ok(Host::Inherited(None)),
            "fd" => match rest.parse() {
                Ok(number) => Ok(Host::Inherited(Some(number))),
                Err(_) => bad("fd:// takes the number of a socket"),
            },
            "tcp" => {
                let rest = rest.trim_end_matches('/');
                if rest.contains(['/', '?', '#', '@']) {
                    return bad("should not contain a path element");
                }
                let (host, port) = match rest.rsplit_once(':') {
                    Some((host, port)) if !port.contains(']') => (host, port),
                    _ => (rest, TLS_PORT),
                };
                let host = if host.is_empty() { "localhost" } else { host };
                match port.parse::<u16>() {
                    Ok(port) => Ok(Host::Tcp(format!("{host}:{port}"))),
                    Err(_) => bad("a port is a number up to 65535"),
                }
            }
            _ => bad("use unix://, fd:// or tcp://"),
        }
    }
}

impl Config {
    /// Where the engine listens.
    ///
    /// # Errors
    /// An address is malformed.
    pub fn hosts(&self) -> Result<Vec<Host>> {
        match self.flags.host.as_slice() {
            [] if self.is_dockerd => Ok(vec![Host::Unix(DOCKER_SOCKET.into())]),
            [] => Ok(vec![Host::Unix(DEFAULT_SOCKET.into())]),
            hosts => hosts.iter().map(|text| Host::parse(text)).collect(),
        }
    }

    /// Which group's members may connect to the unix sockets.
    pub fn group(&self) -> &str {
        let default = if self.is_dockerd { "docker" } else { "wherry" };
        self.flags.group.as_deref().unwrap_or(default)
    }

    /// Certificates of the authority, certificate of the engine, its key; unless they are named,
    /// those that Docker looks for in `DOCKER_CERT_PATH` or `~/.docker`.
    pub fn tls_files(&self) -> (PathBuf, PathBuf, PathBuf) {
        let access = &self.flags.access;
        let home =
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker");
        let directory = std::env::var_os("DOCKER_CERT_PATH").map_or_else(home, PathBuf::from);
        let file =
            |named: &Option<PathBuf>, name: &str| named.clone().unwrap_or_else(|| directory.join(name));
        (
            file(&access.tlscacert, "ca.pem"),
            file(&access.tlscert, "cert.pem"),
            file(&access.tlskey, "key.pem"),
        )
    }

    /// Refuses to serve TCP to whoever connects.
    ///
    /// # Errors
    /// Clients are not asked for certificates.
    pub fn require_tls(&self, address: &str) -> Result<()> {
        if self.flags.access.tlsverify == Some(true) {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "cannot listen on {address}: without certificates of clients everybody who reaches it is root on this host"
        ))
        .with_hint("Add --tlsverify with --tlscacert, --tlscert and --tlskey, or let clients come by ssh://."))
    }

    /// Checks what [`Config::hosts`] says, before anything is opened.
    pub(super) fn check_hosts(&self) -> Result<()> {
        let hosts = self.hosts()?;
        for host in &hosts {
            if let Host::Tcp(address) = host {
                self.require_tls(&format!("tcp://{address}"))?;
            }
        }
        let is_served = |host: &Host| !matches!(host, Host::Unix(_));
        if self.flags.access.tls == Some(true) && !hosts.iter().any(is_served) {
            return Err(Error::invalid_argument("--tls has no effect without a tcp:// address"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host) in [
            ("unix:///a", Host::Unix("/a".into())),
            ("fd://", Host::Inherited(None)),
            ("fd://4", Host::Inherited(Some(4))),
            ("tcp://", Host::Tcp("localhost:2376".into())),
            ("tcp://:1", Host::Tcp("localhost:1".into())),
            ("tcp://[::1]:1", Host::Tcp("[::1]:1".into())),
            ("10.0.0.1:2", Host::Tcp("10.0.0.1:2".into())),
        ] {
            assert_eq!(Host::parse(text).unwrap(), host, "{text}");
        }
        for text in ["unix://a", "npipe:////./pipe", "tcp://a:b", "tcp://a:1/x", "fd://x"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }
}
