//! TLS material of hosts.

use std::path::Path;

use errdefs::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tls::Trust;

use crate::host::TlsFiles;

/// The client's side of TLS to a host; nothing is verified when `skip_verify` says so.
pub(crate) fn client_config(files: &TlsFiles, skip_verify: bool) -> Result<ClientConfig> {
    let trust = if skip_verify { Trust::Anyone } else { Trust::Roots(roots(files)?) };
    let identity = match &files.identity {
        None => None,
        Some((certificate, key)) => Some((certificates(certificate)?, private_key(key)?)),
    };
    tls::client(trust, identity)
        .map_err(|cause| Error::invalid_argument("cannot set up TLS").with_source(cause))
}

fn roots(files: &TlsFiles) -> Result<RootCertStore> {
    let mut store = tls::host_roots();
    for path in &files.authorities {
        store.add_parsable_certificates(certificates(path)?);
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|cause| {
        Error::invalid_argument(format!("cannot read certificate {}", path.display())).with_source(cause)
    })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| {
        Error::invalid_argument(format!("cannot read key {}", path.display())).with_source(cause)
    })
}
