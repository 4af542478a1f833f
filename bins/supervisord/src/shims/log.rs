//! What shims say: each bundle's log fifo is copied, line by line, into the daemon's own log.

use super::bundle::Bundle;
use errdefs::{Error, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::OpenOptions;
use tokio::task::JoinHandle;

/// A copy under way; it ends when this is dropped.
pub struct Forwarder(JoinHandle<()>);

/// Forwards the fifo of `bundle`.
///
/// It is opened for reading and writing, so that the shim's opening never waits, nor ever finds no reader; the
/// copy therefore sees no end of file, and ends with its shim's record instead.
pub fn forward(bundle: &Bundle) -> Result<Forwarder> {
    let path = bundle.log();
    let fifo = OpenOptions::new()
        .read_write(true)
        .open_receiver(&path)
        .map_err(|e| Error::unknown(format!("cannot open {}", path.display())).with_source(e))?;
    let (id, namespace) = (bundle.id.clone(), bundle.namespace.clone());
    Ok(Forwarder(tokio::spawn(async move {
        let mut lines = BufReader::with_capacity(1024, fifo).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            tracing::info!(id, namespace, "shim: {line}");
        }
    })))
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}
