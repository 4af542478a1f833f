//! Where a plugin is: a socket with its name, or what a file with its name says.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use errdefs::{Error, Result};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Deserialize;
use tls::Trust;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Where sockets of plugins are, `NAME.sock` or `NAME/NAME.sock`.
const SOCKETS: &str = "/run/docker/plugins";
/// Where files that name their addresses are, `NAME.spec` or `NAME.json`, or below a directory `NAME`.
const SPECS: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// An address that an administrator has written down.
pub enum Address {
    Unix(PathBuf),
    /// `HOST:PORT`.
    Tcp(String),
    /// `HOST:PORT`, with whom to trust and who we are.
    Tls(String, Arc<ClientConfig>),
}

/// A `NAME.json` file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Spec {
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls_config: Option<TlsFiles>,
}

/// Its files; an absent authority is one of the host's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TlsFiles {
    insecure_skip_verify: bool,
    #[serde(rename = "CAFile")]
    ca_file: PathBuf,
    cert_file: PathBuf,
    key_file: PathBuf,
}

/// A connection of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => path.display().fmt(f),
            Address::Tcp(address) | Address::Tls(address, _) => f.write_str(address),
        }
    }
}

impl Address {
    /// The address of a plugin.
    ///
    /// # Errors
    /// There is no such plugin, or its file is malformed.
    pub fn find(name: &str) -> Result<Address> {
        let missing = || Error::not_found(format!("plugin {name:?} not found"));
        if name.contains('/') || name.starts_with('.') || name.is_empty() {
            return Err(missing());
        }
        let named = |directory: &str, kind: &str| {
            let directory = Path::new(directory);
            let file = format!("{name}.{kind}");
            [directory.join(&file), directory.join(name).join(&file)]
        };
        if let Some(socket) = named(SOCKETS, "sock").into_iter().find(|path| path.exists()) {
            return Ok(Address::Unix(socket));
        }
        for directory in SPECS {
            for path in named(directory, "spec") {
                if let Ok(text) = std::fs::read_to_string(&path) {
                    return Address::parse(text.trim(), None).map_err(|cause| in_file(&path, cause));
                }
            }
            for path in named(directory, "json") {
                if let Ok(text) = std::fs::read(&path) {
                    let spec: Spec = serde_json::from_slice(&text)
                        .map_err(|cause| in_file(&path, bad(cause.to_string())))?;
                    return Address::parse(&spec.addr, spec.tls_config.as_ref())
                        .map_err(|cause| in_file(&path, cause));
                }
            }
        }
        Err(missing())
    }

    /// `unix://PATH`, `tcp://HOST:PORT` or `http://HOST:PORT`, or `https://HOST:PORT`; with files, TCP is TLS.
    fn parse(text: &str, files: Option<&TlsFiles>) -> Result<Address> {
        let text = text.trim_end_matches('/');
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some((scheme @ ("tcp" | "http" | "https"), address)) if is_host_and_port(address) => {
                match (scheme, files) {
                    ("tcp" | "http", None) => Ok(Address::Tcp(address.to_owned())),
                    (_, files) => {
                        let files = files.map_or_else(|| TlsFiles::default().read(), TlsFiles::read)?;
                        Ok(Address::Tls(address.to_owned(), Arc::new(files)))
                    }
                }
            }
            _ => Err(bad(format!(
                "invalid address {text:?}: expected unix://PATH, tcp://HOST:PORT or https://HOST:PORT"
            ))),
        }
    }

    /// What a request's `Host` header says.
    pub fn host(&self) -> &str {
        match self {
            Address::Unix(_) => "plugin",
            Address::Tcp(address) | Address::Tls(address, _) => address,
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, or who answers is not trusted.
    pub async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        match self {
            Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp(address) => Ok(Box::new(TcpStream::connect(address).await?)),
            Address::Tls(address, config) => {
                let stream = TcpStream::connect(address).await?;
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                    .map_err(io::Error::other)?;
                Ok(Box::new(TlsConnector::from(config.clone()).connect(name, stream).await?))
            }
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<ClientConfig> {
        let is_named = |path: &Path| !path.as_os_str().is_empty();
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
            let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            all.map_err(|cause| bad(format!("cannot read {}: {cause}", path.display())))
        };
        let trust = if self.insecure_skip_verify {
            Trust::Anyone
        } else if is_named(&self.ca_file) {
            let mut roots = rustls::RootCertStore::empty();
            for root in certificates(&self.ca_file)? {
                roots
                    .add(root)
                    .map_err(|cause| bad(format!("cannot use {}: {cause}", self.ca_file.display())))?;
            }
            Trust::Roots(roots)
        } else {
            Trust::Roots(tls::host_roots())
        };
        let identity = if is_named(&self.cert_file) {
            let key = PrivateKeyDer::from_pem_file(&self.key_file)
                .map_err(|cause| bad(format!("cannot read {}: {cause}", self.key_file.display())))?;
            Some((certificates(&self.cert_file)?, key))
        } else {
            None
        };
        tls::client(trust, identity).map_err(|cause| bad(cause.to_string()))
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn bad(text: String) -> Error {
    Error::failed_precondition(text)
}

fn in_file(path: &Path, cause: Error) -> Error {
    Error::failed_precondition(format!("cannot find a plugin by {}", path.display())).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lead_to_sockets_and_nowhere_else() {
        for name in ["../../etc/x", "a/b", ".", "", "surely-not-there"] {
            assert!(Address::find(name).is_err(), "{name}");
        }
    }

    #[test]
    fn addresses_are_read() {
        let shown = |text: &str, files: Option<&TlsFiles>| match Address::parse(text, files) {
            Ok(Address::Unix(path)) => format!("unix {}", path.display()),
            Ok(Address::Tcp(address)) => format!("tcp {address}"),
            Ok(Address::Tls(address, _)) => format!("tls {address}"),
            Err(_) => "none".to_owned(),
        };
        let anyone = TlsFiles { insecure_skip_verify: true, ..TlsFiles::default() };
        assert_eq!(shown("unix:///run/a.sock", None), "unix /run/a.sock");
        assert_eq!(shown("tcp://localhost:8080", None), "tcp localhost:8080");
        assert_eq!(shown("http://127.0.0.1:8080/", None), "tcp 127.0.0.1:8080");
        assert_eq!(shown("tcp://localhost:8080", Some(&anyone)), "tls localhost:8080");
        assert_eq!(shown("https://[::1]:8080", Some(&anyone)), "tls [::1]:8080");
        for wrong in ["", "unix://relative", "tcp://", "tcp://host", "tcp://:1", "ftp://a:1", "a:1"] {
            assert_eq!(shown(wrong, None), "none", "{wrong}");
        }
        let lost = TlsFiles { ca_file: "/nothing/here".into(), ..TlsFiles::default() };
        assert_eq!(shown("tcp://localhost:8080", Some(&lost)), "none");
    }

    proptest! {
        #[test]
        fn any_address_is_survived(text in "\\PC{0,40}") {
            let _ = Address::parse(&text, Some(&TlsFiles { insecure_skip_verify: true, ..TlsFiles::default() }));
        }
    }
}
