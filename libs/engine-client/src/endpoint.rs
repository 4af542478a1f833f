//! Where an engine listens: `unix://`, `tcp://`, `ssh://`.

use std::fmt;
use std::path::PathBuf;

/// The engine's socket when nothing names another.
pub const DEFAULT_HOST: &str = "unix:///run/wherry/engined.sock";

/// A parsed `DOCKER_HOST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// `[user@]host`, with the port and path as `ssh` arguments.
    Ssh {
        destination: String,
        port: Option<u16>,
    },
}

/// Why a text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("invalid bind address format: {0}")]
    Format(String),
    #[error("unable to parse docker host `{0}`")]
    NoScheme(String),
    #[error("invalid ssh URL {0}: no host or a path is given")]
    Ssh(String),
}

impl Endpoint {
    /// Parses the text of `-H`, `DOCKER_HOST` or a context. TCP has another default port with TLS.
    ///
    /// # Errors
    /// The scheme is missing or not one of the three, or the address is not one.
    pub fn parse(text: &str, tls: bool) -> Result<Self, EndpointError> {
        let (scheme, address) =
            text.split_once("://").ok_or_else(|| EndpointError::NoScheme(text.to_owned()))?;
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(address))),
            "tcp" | "http" => {
                let address = address.trim_end_matches('/');
                let address = if address.is_empty() { "127.0.0.1" } else { address };
                let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                Ok(Self::Tcp(if has_port {
                    address.to_owned()
                } else {
                    format!("{address}:{}", if tls { 2376 } else { 2375 })
                }))
            }
            "ssh" => parse_ssh(text, address),
            _ => Err(EndpointError::Format(text.to_owned())),
        }
    }
}

fn parse_ssh(text: &str, address: &str) -> Result<Endpoint, EndpointError> {
    let address = address.trim_end_matches('/');
    let (destination, port) = match address.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| EndpointError::Ssh(text.to_owned()))?;
            (host, Some(port))
        }
        None => (address, None),
    };
    let host = destination.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with('-') || destination.starts_with('-') || destination.contains('/') {
        return Err(EndpointError::Ssh(text.to_owned()));
    }
    Ok(Endpoint::Ssh { destination: destination.to_owned(), port })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ssh { destination, port: None } => write!(f, "ssh://{destination}"),
            Self::Ssh { destination, port: Some(port) } => write!(f, "ssh://{destination}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_parsed() {
        for (text, shown) in [
            ("unix:///a/b", "unix:///a/b"),
            ("tcp://h:1", "tcp://h:1"),
            ("tcp://h", "tcp://h:2375"),
            ("tcp://", "tcp://127.0.0.1:2375"),
            ("ssh://me@h:22", "ssh://me@h:22"),
            ("ssh://h", "ssh://h"),
        ] {
            assert_eq!(Endpoint::parse(text, false).unwrap().to_string(), shown);
        }
        assert_eq!(Endpoint::parse("tcp://h", true).unwrap().to_string(), "tcp://h:2376");
        for text in ["", "h:1", "foo://x", "ssh://", "ssh://-oProxyCommand=x", "ssh://h:x", "ssh://h/p"] {
            assert!(Endpoint::parse(text, false).is_err(), "{text}");
        }
    }
}
