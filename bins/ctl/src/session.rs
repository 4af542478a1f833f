//! One run of the program: its name, the configuration, the engine it speaks to.

use std::env;
use std::path::PathBuf;

use engine_client::{Client, ConfigFile, Contexts, DEFAULT_CONTEXT, DEFAULT_HOST, Endpoint};

use crate::grammar::{Failure, Matches};
use crate::terminal::DetachKeys;

/// What every command gets.
pub struct Session {
    pub program: String,
    pub engine: Client,
    pub config: ConfigFile,
    /// Name of the context in use.
    pub context: String,
    pub debug: bool,
}

impl Session {
    /// Reads the configuration and finds the engine; nothing is sent yet.
    pub fn open(program: &str, globals: &Matches) -> Result<Self, Failure> {
        refuse_tls(globals)?;
        let directory = config_directory(globals);
        let config = match ConfigFile::load(&directory) {
            Ok(config) => config,
            Err(error) => {
                crate::output::note(format!("WARNING: Error loading config file: {error}"));
                ConfigFile::empty(&directory)
            }
        };
        let context = context_name(globals, &config);
        let host = host(globals, &config, &context)?;
        let endpoint = Endpoint::parse(&host).map_err(|error| {
            Failure::new(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
        })?;
        let mut engine = Client::new(endpoint);
        for (name, value) in config.texts("HttpHeaders") {
            engine = engine.with_header(name, value);
        }
        if let Some(version) = env::var("DOCKER_API_VERSION").ok().filter(|version| !version.is_empty()) {
            engine = engine.with_version(version.parse().map_err(|error| Failure::new(format!("{error}")))?);
        }
        Ok(Self { program: program.to_owned(), engine, config, context, debug: globals.flag("debug") })
    }

    /// Detach keys: the flag's, else the configuration's, else `ctrl-p,ctrl-q`.
    pub fn detach_keys(&self, flag: Option<&str>) -> Result<(DetachKeys, String), Failure> {
        let text = flag.filter(|text| !text.is_empty()).or_else(|| self.config.text("detachKeys"));
        match text {
            Some(text) => Ok((DetachKeys::parse(text)?, text.to_owned())),
            None => Ok((DetachKeys::default(), String::new())),
        }
    }

    /// Prefixes the message of a command that Docker prefixes with its program's name.
    pub fn prefixed(&self, failure: Failure, path: &str) -> Failure {
        if failure.message.is_empty() {
            return failure;
        }
        let program = &self.program;
        Failure {
            message: format!("{program}: {}\n\nRun '{program} {path} --help' for more information", failure.message),
            ..failure
        }
    }
}

fn refuse_tls(globals: &Matches) -> Result<(), Failure> {
    let asked = ["tls", "tlsverify"].iter().any(|name| globals.flag(name))
        || ["tlscacert", "tlscert", "tlskey"].iter().any(|name| globals.changed(name))
        || env::var("DOCKER_TLS_VERIFY").is_ok_and(|value| !value.is_empty());
    if asked {
        return Err(Failure::new("cannot use TLS: not implemented in this program yet")
            .with_hint("Reach the engine by ssh://HOST or a unix socket, or unset DOCKER_TLS_VERIFY."));
    }
    Ok(())
}

fn config_directory(globals: &Matches) -> PathBuf {
    if let Some(directory) = globals.text("config") {
        return PathBuf::from(directory);
    }
    match env::var_os("DOCKER_CONFIG").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".docker"),
    }
}

/// `--context`, then `-H` and `DOCKER_HOST` (both: the default context), then the environment,
/// then the configuration.
fn context_name(globals: &Matches, config: &ConfigFile) -> String {
    if let Some(context) = globals.text("context").filter(|context| !context.is_empty()) {
        return context.to_owned();
    }
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if globals.changed("host") || set("DOCKER_HOST").is_some() {
        return DEFAULT_CONTEXT.to_owned();
    }
    set("DOCKER_CONTEXT").or_else(|| config.text("currentContext").map(str::to_owned)).unwrap_or(DEFAULT_CONTEXT.to_owned())
}

fn host(globals: &Matches, config: &ConfigFile, context: &str) -> Result<String, Failure> {
    if globals.changed("context") && globals.changed("host") {
        return Err(Failure::new("conflicting options: cannot specify both --host and --context"));
    }
    if context != DEFAULT_CONTEXT {
        let stored = Contexts::new(config.directory()).load(context);
        return match stored {
            Ok(context) if context.docker_host().is_empty() => Ok(DEFAULT_HOST.to_owned()),
            Ok(context) => Ok(context.docker_host().to_owned()),
            Err(error) => Err(Failure::new(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))),
        };
    }
    if globals.list("host").len() > 1 {
        return Err(Failure::new("Specify only one -H"));
    }
    let named = globals.list("host").first().cloned();
    let named = named.or_else(|| env::var("DOCKER_HOST").ok()).filter(|host| !host.is_empty());
    Ok(named.map_or_else(|| DEFAULT_HOST.to_owned(), with_scheme))
}

/// `-H host:2375` means TCP.
fn with_scheme(host: String) -> String {
    if host.contains("://") {
        host
    } else if host.starts_with('/') {
        format!("unix://{host}")
    } else {
        format!("tcp://{host}")
    }
}
