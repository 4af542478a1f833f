//! Flags of who may talk to the engine.

use std::path::PathBuf;

use clap::Args;

/// TLS and authorization.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessFlags {
    /// Use TLS on tcp:// addresses; clients are always asked for their certificate, so --tlsverify is needed
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls: Option<bool>,
    /// Use TLS on tcp:// addresses and ask clients for their certificate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tlsverify: Option<bool>,
    /// Certificates that clients' certificates are checked against [default: ~/.docker/ca.pem]
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// The engine's certificate [default: ~/.docker/cert.pem]
    #[arg(long, value_name = "FILE")]
    pub tlscert: Option<PathBuf>,
    /// The key of that certificate [default: ~/.docker/key.pem]
    #[arg(long, value_name = "FILE")]
    pub tlskey: Option<PathBuf>,
    /// Requests a second of one client certificate or user of the host, 0 for no limit [default: 1000 by tcp://,
    /// no limit by a unix socket]
    #[arg(long, value_name = "NUMBER")]
    pub request_rate: Option<u32>,
    /// Plugin that is asked about every request and answer
    #[arg(long, alias = "authorization-plugins", value_name = "NAME")]
    pub authorization_plugin: Vec<String>,
}
