//! TLS to an engine behind TCP: whom to trust, and who we are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tls::Trust;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Certificates in PEM, as files and contexts hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsMaterial {
    /// Authorities to trust; without any, the host's.
    pub ca: Option<Vec<u8>>,
    pub cert: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("open {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {what}: {reason}")]
    Pem { what: &'static str, reason: String },
    #[error("a certificate and its key must be given together")]
    HalfPair,
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsMaterial {
    /// Reads what files are named.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn from_files(ca: Option<&Path>, cert: Option<&Path>, key: Option<&Path>) -> Result<Self, TlsError> {
        let read = |path: Option<&Path>| match path {
            None => Ok(None),
            Some(path) => {
                fs::read(path).map(Some).map_err(|source| TlsError::Read { path: path.to_owned(), source })
            }
        };
        Ok(Self { ca: read(ca)?, cert: read(cert)?, key: read(key)? })
    }

    /// What there is, by the names of the files that hold it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let all = [("ca.pem", &self.ca), ("cert.pem", &self.cert), ("key.pem", &self.key)];
        all.into_iter().filter_map(|(name, content)| Some((name, content.as_deref()?)))
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A ready configuration.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Makes one that verifies the engine, or, asked to, one that takes any certificate.
    ///
    /// # Errors
    /// The material is not PEM, or certificate and key do not fit.
    pub fn new(material: &TlsMaterial, verify: bool) -> Result<Self, TlsError> {
        let trust = match verify {
            true => Trust::Roots(roots(material.ca.as_deref())?),
            false => Trust::Anyone,
        };
        let identity = match (&material.cert, &material.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let what = "the key of the client's certificate";
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| TlsError::Pem { what, reason: error.to_string() })?;
                Some((certificates("the client's certificate", cert)?, key))
            }
            _ => return Err(TlsError::HalfPair),
        };
        Ok(Self(Arc::new(tls::client(trust, identity)?)))
    }

    /// Shakes hands on a connection to `address` (`HOST:PORT`).
    pub(crate) async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        TlsConnector::from(self.0.clone()).connect(name, stream).await
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(TlsError::Pem { what, reason: "no certificate in it".to_owned() })
        }
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Pem { what, reason: error.to_string() }),
    }
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let Some(ca) = ca else { return Ok(tls::host_roots()) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the authorities' certificates", ca)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        let bad = |material: TlsMaterial| Tls::new(&material, true).is_err();
        assert!(bad(TlsMaterial { ca: Some(b"no pem".to_vec()), ..TlsMaterial::default() }));
        assert!(bad(TlsMaterial { cert: Some(b"x".to_vec()), ..TlsMaterial::default() }));
        assert!(bad(TlsMaterial { cert: Some(b"x".to_vec()), key: Some(b"y".to_vec()), ca: None }));
        assert!(Tls::new(&TlsMaterial::default(), false).is_ok());
    }
}
