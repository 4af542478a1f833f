//! Manifest lists: made here of manifests in registries, kept beside the configuration, pushed whole.
//!
//! The one group of commands that speaks to registries itself, as Docker's does: the Engine API has no such call.

pub mod annotate;
pub mod create;
pub mod inspect;
pub mod push;
pub mod rm;

mod registry;
mod store;

use reference::Reference;

use crate::grammar::{Failure, Flag};

const INSECURE: Flag =
    Flag::bool("insecure", "Allow a registry without TLS or with a certificate that nobody vouches for");

/// A name with its tag, in full.
///
/// # Errors
/// The text is no reference; `what` says which it is.
fn named(what: &str, text: &str) -> Result<Reference, Failure> {
    let name = Reference::parse_normalized(text)
        .map_err(|error| Failure::new(format!("error parsing name for {what} {text}: {error}")))?;
    Ok(name.with_default_tag())
}
