//! Mutual TLS: the engine shows its certificate, and every client must show one of the authority's.

use std::path::Path;
use std::sync::Arc;

use errdefs::{Error, Result};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::config::Config;

/// What accepts TLS connections, from the files that the configuration names.
///
/// # Errors
/// A file cannot be read, or does not hold what it should.
pub fn acceptor(config: &Config) -> Result<TlsAcceptor> {
    let (authority, certificate, key) = config.tls_files();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in certificates(&authority)? {
        roots.add(root).map_err(|cause| bad("use", &authority, cause))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|cause| bad("check clients against", &authority, cause))?;
    let own = PrivateKeyDer::from_pem_file(&key).map_err(|cause| bad("read the key", &key, cause))?;
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::internal("cannot set up TLS").with_source(cause))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&certificate)?, own)
        .map_err(|cause| bad("use", &certificate, cause))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(all) if all.is_empty() => {
            Err(Error::invalid_argument(format!("cannot find a certificate in {}", path.display())))
        }
        Ok(all) => Ok(all),
        Err(cause) => Err(bad("read the certificates", path, cause)),
    }
}

fn bad(action: &str, path: &Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid_argument(format!("cannot {action} {}", path.display())).with_source(cause)
}

/// The common name in a certificate's subject: the client's name for authorization plugins.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    /// 2.5.4.3 as DER writes it.
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    // Issuer and subject each may have one, and the subject comes last of the two.
    let mut found = None;
    let mut at = 0;
    while let Some(next) = certificate.get(at..)?.windows(5).position(|five| five == COMMON_NAME) {
        at += next + COMMON_NAME.len();
        let length = usize::from(*certificate.get(at + 1)?);
        let text = certificate.get(at + 2..at + 2 + length)?;
        found = std::str::from_utf8(text).ok().map(str::to_owned).or(found);
    }
    found
}
