//! `shim start`: what a daemon says, where the server listens, and the answer.

mod address;
mod dialect;
mod spawn;

use crate::arguments::Arguments;
use crate::bundle::Bundle;
use address::{Address, Claim};
use dialect::Request;
use errdefs::{Error, Result};
use std::io::{Read, Write};

/// No daemon says more than this.
const MAX_INPUT_BYTES: u64 = 10 << 20;

/// Leaves a server behind, or finds the one of the group, and prints where it listens.
pub fn start(arguments: &Arguments) -> Result<()> {
    let mut input = Vec::new();
    std::io::stdin()
        .take(MAX_INPUT_BYTES)
        .read_to_end(&mut input)
        .map_err(|cause| Error::unknown("cannot read stdin").with_source(cause))?;
    let request = Request::parse(&input, arguments)?;
    let bundle = Bundle::current()?;
    let group = bundle.group()?.unwrap_or_else(|| arguments.id.clone());
    let address = Address::new(&request, &group)?;
    let claim = address.claim()?;
    let is_ours = matches!(claim, Claim::Ours(_));
    let left = note(&bundle, &request, &address).and_then(|()| match claim {
        Claim::Ours(listener) => spawn::server(arguments, &request, &bundle, listener),
        Claim::Taken => Ok(()),
    });
    if left.is_err() && is_ours {
        address.remove();
    }
    left?;
    std::io::stdout()
        .write_all(&request.dialect.answer(address.uri()))
        .map_err(|cause| Error::unknown("cannot write the answer").with_source(cause))
}

/// Leaves in the bundle what `delete` and the daemon's next life need, before there is a server.
fn note(bundle: &Bundle, request: &Request, address: &Address) -> Result<()> {
    bundle.save_address(address.uri())?;
    if let Some(options) = &request.options {
        bundle.save_options(options)?;
    }
    address.link(bundle, request)
}
