//! `--docker host=...,ca=...` of the context commands.

use std::path::Path;

use engine_client::{Context, Contexts, Endpoint, Tls, TlsMaterial};

use crate::grammar::Failure;

/// An engine and how to reach it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DockerEndpoint {
    pub host: String,
    pub skip_tls_verify: bool,
    pub tls: TlsMaterial,
}

const KEYS: &[&str] = &["from", "host", "ca", "cert", "key", "skip-tls-verify"];

/// Refuses a field without `=`.
///
/// # Errors
/// Docker's text.
pub fn check(text: &str) -> Result<(), String> {
    match text.split(',').find(|field| !field.contains('=')) {
        Some(field) => Err(format!("{field} must be formatted as key=value")),
        None => Ok(()),
    }
}

/// Reads the fields, each given once.
///
/// # Errors
/// An unknown field, a file that cannot be read, an address that is none, or certificates that do not fit.
pub fn parse(store: &Contexts, flags: &[String]) -> Result<DockerEndpoint, Failure> {
    let fields: Vec<(&str, &str)> =
        flags.iter().flat_map(|text| text.split(',')).filter_map(|field| field.split_once('=')).collect();
    let failed = |reason: String| Failure::new(format!("unable to create docker endpoint config: {reason}"));
    if let Some((name, _)) = fields.iter().find(|(name, _)| !KEYS.contains(name)) {
        return Err(failed(format!("unrecognized config key: {name}")));
    }
    let field = |wanted: &str| fields.iter().rev().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    if let Some(from) = field("from") {
        return of(&store.load(from)?, store);
    }
    let path = |name: &str| field(name).map(Path::new);
    let tls = TlsMaterial::from_files(path("ca"), path("cert"), path("key"))
        .map_err(|error| failed(format!("unable to load TLS data: {error}")))?;
    let skip = match field("skip-tls-verify") {
        None => false,
        Some(text) => text.parse().map_err(|_| {
            failed(format!("skip-tls-verify: strconv.ParseBool: parsing {text:?}: invalid syntax"))
        })?,
    };
    let endpoint =
        DockerEndpoint { host: field("host").unwrap_or_default().to_owned(), skip_tls_verify: skip, tls };
    if !endpoint.tls.is_empty() {
        Tls::new(&endpoint.tls, !skip).map_err(|error| failed(error.to_string()))?;
    }
    if !endpoint.host.is_empty() {
        Endpoint::parse(&endpoint.host, false)
            .map_err(|error| failed(format!("unable to apply docker endpoint options: {error}")))?;
    }
    Ok(endpoint)
}

/// The engine of a stored context.
///
/// # Errors
/// Its certificates cannot be read.
pub fn of(context: &Context, store: &Contexts) -> Result<DockerEndpoint, Failure> {
    let stored = context.endpoints.get("docker").cloned().unwrap_or_default();
    Ok(DockerEndpoint {
        host: stored.host,
        skip_tls_verify: stored.skip_tls_verify,
        tls: store.tls(&context.name)?,
    })
}

impl DockerEndpoint {
    /// Puts it into a context.
    pub fn apply(&self, context: &mut Context) {
        let endpoint = context.endpoints.entry("docker".to_owned()).or_default();
        endpoint.host.clone_from(&self.host);
        endpoint.skip_tls_verify = self.skip_tls_verify;
    }
}
