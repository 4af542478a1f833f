//! The settings that a running engine takes over from its file, on SIGHUP.

use std::collections::BTreeMap;

use super::{Config, Runtime};

/// Docker's, for containers on Linux.
const STOP_TIMEOUT_SECONDS: i64 = 10;

/// What may change while the engine runs; dockerd reloads the same keys.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By the names that `--runtime` takes.
    pub runtimes: BTreeMap<String, Runtime>,
    pub default_runtime: String,
    pub labels: Vec<String>,
    pub registry_mirrors: Vec<String>,
    pub insecure_registries: Vec<String>,
    /// Asked about every request, in this order.
    pub authorization_plugins: Vec<String>,
    /// Seconds that a container gets to stop.
    pub stop_timeout_seconds: i64,
    pub is_debug: bool,
}

impl Config {
    /// The part that may change.
    pub fn settings(&self) -> Settings {
        Settings {
            runtimes: self.runtimes.clone(),
            default_runtime: self.default_runtime.clone(),
            labels: self.flags.label.clone(),
            registry_mirrors: self.flags.registry_mirror.clone(),
            insecure_registries: self.flags.insecure_registry.clone(),
            authorization_plugins: {
                // Named twice, it is asked once.
                let mut all: Vec<String> = Vec::new();
                for name in &self.flags.access.authorization_plugin {
                    if !all.contains(name) {
                        all.push(name.clone());
                    }
                }
                all
            },
            stop_timeout_seconds: self.flags.rest.default_stop_timeout.unwrap_or(STOP_TIMEOUT_SECONDS),
            is_debug: self.is_debug(),
        }
    }

    /// Debug messages are wanted.
    pub fn is_debug(&self) -> bool {
        self.flags.debug == Some(true) || matches!(self.flags.log_level.as_str(), "debug" | "trace")
    }
}
