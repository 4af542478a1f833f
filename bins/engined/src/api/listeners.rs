//! Where the engine listens: sockets of its own, and those that a service manager passed.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;

use errdefs::{Error, Result};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, Host};

/// One listening socket.
pub enum Listener {
    Unix(UnixListener),
    /// Speaks nothing but mutual TLS.
    Tls(TcpListener, TlsAcceptor),
}

/// Listening sockets, and the paths of those made here.
pub struct Listeners {
    pub all: Vec<Listener>,
    pub made: Vec<PathBuf>,
}

/// Opens every address of the configuration. Inside the runtime.
///
/// # Errors
/// An address is taken, or its certificates are missing.
pub fn open(config: &Config) -> Result<Listeners> {
    let mut listeners = Listeners { all: Vec::new(), made: Vec::new() };
    let hosts = config.hosts()?;
    let inherited = daemon::socket::inherited();
    if hosts.iter().any(|host| matches!(host, Host::Inherited(_))) && inherited.is_empty() {
        return Err(Error::invalid_argument(
            "cannot listen on fd://: no sockets were passed by a service manager",
        ));
    }
    let mut passed: Vec<OwnedFd> = Vec::new();
    for (index, socket) in inherited.into_iter().enumerate() {
        // `fd://` is all of them, `fd://3` one by its number.
        let is_meant = |host: &Host| {
            matches!(host, Host::Inherited(None))
                || matches!(host, Host::Inherited(Some(number)) if *number == index + 3)
        };
        if hosts.iter().any(is_meant) {
            passed.push(socket);
        }
    }
    for socket in passed {
        listeners.all.push(inherit(config, socket)?);
    }
    for host in &hosts {
        match host {
            Host::Inherited(_) => {}
            Host::Unix(path) => {
                let listener = daemon::socket::listen(path, Some(config.group()))
                    .map_err(|cause| Error::failed_precondition(cause.to_string()))?;
                listeners.all.push(unix(listener)?);
                listeners.made.push(path.clone());
            }
            Host::Tcp(address) => {
                let acceptor = super::tls::acceptor(config)?;
                listeners.all.push(Listener::Tls(tcp(address)?, acceptor));
            }
        }
    }
    Ok(listeners)
}

fn unusable(cause: std::io::Error) -> Error {
    Error::internal("cannot use a socket").with_source(cause)
}

fn unix(listener: StdUnixListener) -> Result<Listener> {
    listener.set_nonblocking(true).map_err(unusable)?;
    Ok(Listener::Unix(UnixListener::from_std(listener).map_err(unusable)?))
}

/// A socket of the service manager's; one of TCP is no reason to do without TLS.
fn inherit(config: &Config, socket: OwnedFd) -> Result<Listener> {
    let domain =
        rustix::net::sockopt::socket_domain(socket.as_fd()).map_err(|errno| unusable(errno.into()))?;
    if domain == rustix::net::AddressFamily::UNIX {
        return unix(socket.into());
    }
    config.require_tls("a socket of the service manager")?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).map_err(unusable)?;
    Ok(Listener::Tls(TcpListener::from_std(listener).map_err(unusable)?, super::tls::acceptor(config)?))
}

fn tcp(address: &str) -> Result<TcpListener> {
    let failed = |cause: std::io::Error| {
        Error::failed_precondition(format!("cannot listen on tcp://{address}")).with_source(cause)
    };
    let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
    let listener = std::net::TcpListener::bind(&addresses[..]).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(listener).map_err(failed)
}
