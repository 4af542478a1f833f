//! Published ports that the kernel does not lead to their containers: what comes is carried here.
//!
//! These are few: IPv6 of the host to a container of IPv4, the host's `::1`, and everything where
//! the firewall is switched off. All others are the kernel's, and this process sees no byte of them.

mod datagrams;
mod streams;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use errdefs::{Error, Result};
use network::{Endpoint, Protocol, Relay};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::told;
use crate::containers::Container;
use crate::engine::Engine;

/// Relays at work, by the identifier of their endpoint.
#[derive(Default)]
pub struct Relays(Mutex<HashMap<String, Vec<Carrying>>>);

/// One relay at work; it ends, with all its connections, when this goes.
struct Carrying(AbortHandle);

impl Drop for Carrying {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries from now on what comes to the ports of a connected endpoint.
///
/// # Errors
/// A socket cannot be used.
pub fn serve(engine: &Engine, endpoint: &Endpoint) -> Result<()> {
    let relays = engine.networks.stack.relays(endpoint).map_err(told)?;
    if relays.is_empty() {
        return Ok(());
    }
    let carrying = relays.into_iter().map(carry).collect::<Result<Vec<_>>>()?;
    engine.networks.relays.lock().insert(endpoint.id.clone(), carrying);
    Ok(())
}

/// As [`serve`], for every endpoint of a container that ran before this engine's life.
pub fn restore(engine: &Engine, container: &Container) {
    for endpoint in container.record().endpoints.values() {
        if let Err(error) = serve(engine, endpoint) {
            tracing::warn!(container = %container.id, error = %error.chain(), "cannot relay a published port");
        }
    }
}

/// Ends the relays of an endpoint, whose ports are about to be given back.
pub fn end(engine: &Engine, endpoint: &Endpoint) {
    engine.networks.relays.lock().remove(&endpoint.id);
}

impl Relays {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Carrying>>> {
        self.0.lock().expect("no panic while held")
    }
}

fn carry(relay: Relay) -> Result<Carrying> {
    let failed = |cause| Error::internal("cannot relay a published port").with_source(cause);
    let task = match relay.protocol {
        Protocol::Udp => {
            let socket = UdpSocket::from_std(relay.socket.into()).map_err(failed)?;
            tokio::spawn(datagrams::carry(Arc::new(socket), relay.to))
        }
        _ => {
            let listener = TcpListener::from_std(relay.socket.into()).map_err(failed)?;
            tokio::spawn(streams::carry(listener, relay.to))
        }
    };
    Ok(Carrying(task.abort_handle()))
}
