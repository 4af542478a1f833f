//! TLS to a log server.

use std::io;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tls::Trust;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::RootCertStore;

use crate::{Error, Options};

/// How a server's certificate is checked, and which one is shown to it.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads `PREFIX-ca-cert`, `PREFIX-cert`, `PREFIX-key` and `PREFIX-skip-verify`.
    pub(crate) fn of(options: &Options, prefix: &str) -> Result<Tls, Error> {
        let bad = |text: String| Error::Option(text);
        let path = |key: &str| Some(options.text(&format!("{prefix}-{key}"))).filter(|path| !path.is_empty());
        // The option counts by being there, whatever it says.
        let trust = match path("ca-cert") {
            _ if options.has(&format!("{prefix}-skip-verify")) => Trust::Anyone,
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|cause| bad(format!("cannot use {file}: {cause}")))?;
                }
                Trust::Roots(roots)
            }
            None => Trust::Roots(tls::host_roots()),
        };
        let identity = match (path("cert"), path("key")) {
            (Some(certificate), Some(key)) => {
                let own = PrivateKeyDer::from_pem_file(key)
                    .map_err(|cause| bad(format!("cannot read {key}: {cause}")))?;
                Some((certificates(certificate)?, own))
            }
            _ => None,
        };
        let config = tls::client(trust, identity)
            .map_err(|cause| bad(format!("cannot use {prefix} options: {cause}")))?;
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
