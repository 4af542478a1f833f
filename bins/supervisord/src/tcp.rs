//! The services over TCP, by certificates.

use crate::config::Tcp;
use crate::requests::Logged;
use crate::server::rested;
use errdefs::{Error, Result};
use std::future::Future;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// Listens; the future that comes back serves until `stopped`.
pub async fn serve(
    at: &Tcp,
    mut builder: Server,
    service: Logged,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<impl Future<Output = ()> + Send + 'static> {
    match &at.identity {
        Some(files) => {
            let tls = tls(files, at.client_authority.as_deref())?;
            builder = builder.tls_config(tls).map_err(|cause| {
                Error::invalid_argument("cannot use the certificates of the TCP server").with_source(cause)
            })?;
        }
        None => {
            tracing::warn!("whoever reaches {} is root on this host: no certificates are asked", at.address)
        }
    }
    let listener = TcpListener::bind(&at.address)
        .await
        .map_err(|cause| Error::unknown(format!("cannot listen on {}", at.address)).with_source(cause))?;
    tracing::info!(address = at.address, "serving over TCP");
    Ok(async move {
        let incoming = TcpListenerStream::new(listener).then(rested);
        if let Err(error) = builder.serve_with_incoming_shutdown(service, incoming, stopped).await {
            tracing::error!(%error, "the TCP server ended");
        }
    })
}

fn tls(
    (certificate, key): &(impl AsRef<Path>, impl AsRef<Path>),
    authority: Option<&Path>,
) -> Result<ServerTlsConfig> {
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(read(certificate)?, read(key)?));
    Ok(match authority {
        Some(path) => tls.client_ca_root(Certificate::from_pem(read(path)?)),
        None => tls,
    })
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|cause| {
        Error::invalid_argument(format!("cannot read {}", path.display())).with_source(cause)
    })
}
