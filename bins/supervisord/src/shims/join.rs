//! A task in the shim of a sandbox: no shim is started, the one that is there makes it.

use super::bootstrap::{Bootstrap, parse_endpoint};
use super::{Reservation, Shim, Shims, connect, runtime};
use errdefs::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// A sandbox's shim, as a task finds it.
pub struct Join {
    /// The sandbox's id.
    pub sandbox: String,
    /// Where the shim serves.
    pub at: Bootstrap,
    /// Its binary, if this daemon has started it.
    pub binary: Option<PathBuf>,
}

impl Join {
    /// The oldest task API of a shim that tasks can be added to without running its binary: it came with sandboxes.
    const OLDEST: i32 = 3;

    /// By the address that a sandbox's controller gave, `PROTOCOL+ADDRESS`.
    pub fn by_address(sandbox: &str, address: &str, version: u32) -> Result<Join> {
        Ok(Join { sandbox: sandbox.to_owned(), at: parse_endpoint(address, version)?, binary: None })
    }

    /// The shim that this daemon runs.
    pub fn by_shim(sandbox: &str, shim: &Shim) -> Result<Join> {
        let (at, binary) = (shim.endpoint()?, Some(shim.binary().to_owned()));
        Ok(Join { sandbox: sandbox.to_owned(), at, binary })
    }

    /// Whether the shim takes tasks like this; an older one is found by running its binary, which groups.
    pub fn is_possible(&self) -> bool {
        self.at.version >= Join::OLDEST
    }
}

impl Shims {
    /// Makes the bundle of a reserved name and connects to the sandbox's shim. Nothing is left of it if it fails.
    pub async fn join(
        &self,
        name: &Reservation,
        join: Join,
        runtime: &str,
        spec: &[u8],
    ) -> Result<Arc<Shim>> {
        let (namespace, id) = name.key.clone();
        let binary = match join.binary {
            Some(binary) => binary,
            None => runtime::resolve(runtime, &self.inner.search)?,
        };
        let (inner, spec, program, at) = (self.inner.clone(), spec.to_vec(), binary.clone(), join.at.clone());
        let sandbox = join.sandbox.clone();
        let bundle = spawn_blocking(move || {
            let bundle = inner.layout.create(&namespace, &id, &spec)?;
            let noted = bundle.save_sandbox(&sandbox).and_then(|()| bundle.save_shim(&at, &program));
            if noted.is_err() {
                let _ = bundle.delete();
            }
            noted.map(|()| bundle)
        })
        .await
        .map_err(|e| Error::internal("cannot make a bundle").with_source(e))??;
        match connect(bundle.clone(), binary, None, &join.at).await {
            Ok(shim) => Ok(shim),
            Err(error) => {
                let _ = spawn_blocking(move || bundle.delete()).await;
                let text = format!("cannot reach the shim of sandbox {:?}", join.sandbox);
                Err(Error::unavailable(text).with_source(error))
            }
        }
    }
}
