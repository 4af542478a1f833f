//! TLS to a log server.

use std::io;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::{Error, Options};

/// How a server's certificate is checked, and which one is shown to it.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads `PREFIX-ca-cert`, `PREFIX-cert`, `PREFIX-key` and `PREFIX-skip-verify`.
    pub(crate) fn of(options: &Options, prefix: &str) -> Result<Tls, Error> {
        let bad = |text: String| Error::Option(text);
        let path = |key: &str| Some(options.text(&format!("{prefix}-{key}"))).filter(|path| !path.is_empty());
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        match path("ca-cert") {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|cause| bad(format!("cannot use {file}: {cause}")))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|cause| bad(cause.to_string()))?;
        // The option counts by being there, whatever it says.
        let builder = if options.has(&format!("{prefix}-skip-verify")) {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|cause| bad(cause.to_string()))?;
            builder.with_webpki_verifier(verifier)
        };
        let config = match (path("cert"), path("key")) {
            (Some(certificate), Some(key)) => {
                let own = PrivateKeyDer::from_pem_file(key)
                    .map_err(|cause| bad(format!("cannot read {key}: {cause}")))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, own)
                    .map_err(|cause| bad(format!("cannot use {certificate}: {cause}")))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn connect(&self, host: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        self.0.connect(name, TcpStream::connect(host).await?).await
    }
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|cause| Error::Option(format!("cannot read {file}: {cause}")))
}

/// Takes whatever certificate a server shows: a person said so.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
