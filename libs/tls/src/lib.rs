//! TLS as a client: whom to trust, and who we are.

mod anyone;

use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Whose certificates are taken.
pub enum Trust {
    /// Those that these authorities signed.
    Roots(RootCertStore),
    /// Anyone's: a person said so.
    Anyone,
}

/// The client's own certificate, its chain behind it, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client's configuration for TLS 1.2 and 1.3.
///
/// # Errors
/// There is no authority to trust, or certificate and key do not fit each other.
pub fn client(trust: Trust, identity: Option<Identity>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Roots(roots) => builder.with_root_certificates(roots),
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(anyone::Anyone(provider)))
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key),
    }
}

/// The authorities that the host trusts. Some of its files may be none: the rest counts.
pub fn host_roots() -> RootCertStore {
    // Reading them takes milliseconds, and once is enough.
    static HOST: OnceLock<RootCertStore> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    };
    HOST.get_or_init(read).clone()
}
