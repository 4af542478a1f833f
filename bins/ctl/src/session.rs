//! One run of the program: its name, the configuration, the engine it speaks to.

use std::env;
use std::path::PathBuf;

use engine_client::{
    Client, ConfigFile, Contexts, DEFAULT_CONTEXT, DEFAULT_HOST, Endpoint, Tls, TlsMaterial,
};

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
    ///
    /// # Errors
    /// What names the engine is wrong, unless `engine_needed` is false: a context that is gone must
    /// not keep its owner from choosing another.
    pub fn open(program: &str, globals: &Matches, engine_needed: bool) -> Result<Self, Failure> {
        let directory = config_directory(globals);
        let config = match ConfigFile::load(&directory) {
            Ok(config) => config,
            Err(error) => {
                crate::output::note(format!("WARNING: Error loading config file: {error}"));
                ConfigFile::empty(&directory)
            }
        };
        let context = context_name(globals, &config)?;
        let engine = match engine(globals, &config, &context) {
            Err(_) if !engine_needed => {
                Client::new(Endpoint::parse(DEFAULT_HOST, false).map_err(Failure::new)?)
            }
            engine => engine?,
        };
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
        let path = path.rsplit(' ').next().unwrap_or(path);
        Failure {
            message: format!(
                "{program}: {}\n\nRun '{program} {path} --help' for more information",
                failure.message
            ),
            ..failure
        }
    }
}

/// The client of the engine that flags, environment or context name.
fn engine(globals: &Matches, config: &ConfigFile, context: &str) -> Result<Client, Failure> {
    let unresolved = |error: String| {
        Failure::new(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
    };
    let (host, tls) = host(globals, config, context)?;
    let endpoint = Endpoint::parse(&host, tls.is_some()).map_err(|error| unresolved(error.to_string()))?;
    let mut engine = Client::new(endpoint);
    if let Some(Trust { material, verify }) = tls {
        engine = engine.with_tls(Tls::new(&material, verify).map_err(|error| unresolved(error.to_string()))?);
    }
    for (name, value) in config.texts("HttpHeaders") {
        // The program tells its own name.
        if !name.eq_ignore_ascii_case("user-agent") {
            engine = engine.with_header(name, value);
        }
    }
    for (name, value) in custom_headers()? {
        engine = engine.with_header(&name, &value);
    }
    if let Some(version) = variable("DOCKER_API_VERSION") {
        engine = engine.with_version(version.parse().map_err(|error| Failure::new(format!("{error}")))?);
    }
    Ok(engine)
}

/// `DOCKER_CUSTOM_HEADERS`: `name=value,name=value`.
fn custom_headers() -> Result<Vec<(String, String)>, Failure> {
    let text = variable("DOCKER_CUSTOM_HEADERS").unwrap_or_default();
    let fields = text.split(',').filter(|field| !field.is_empty());
    let split = |field: &str| match field.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(Failure::new(format!(
            "invalid custom headers from DOCKER_CUSTOM_HEADERS environment variable: value contains a key=value pair with an empty key or no value: '{field}'"
        ))),
    };
    fields.map(split).collect()
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// How TLS is to be spoken.
struct Trust {
    material: TlsMaterial,
    verify: bool,
}

/// `--tls...` and `DOCKER_TLS...`: files named, or those of the certificates' directory.
fn tls_of_flags(globals: &Matches, config: &ConfigFile) -> Result<Option<Trust>, Failure> {
    let verify = if globals.changed("tlsverify") {
        globals.flag("tlsverify")
    } else {
        variable("DOCKER_TLS_VERIFY").is_some()
    };
    let wanted =
        verify || globals.flag("tls") || variable("DOCKER_TLS").is_some() || globals.changed("tlsverify");
    if !wanted {
        return Ok(None);
    }
    let directory = variable("DOCKER_CERT_PATH").map_or_else(|| config.directory().to_owned(), PathBuf::from);
    let file = |flag: &str, name: &str, optional: bool| match globals.text(flag) {
        Some(path) => Some(PathBuf::from(path)),
        None => Some(directory.join(name)).filter(|path| !optional || path.exists()),
    };
    let (ca, cert, key) = (
        file("tlscacert", "ca.pem", !verify),
        file("tlscert", "cert.pem", true),
        file("tlskey", "key.pem", true),
    );
    let material = TlsMaterial::from_files(ca.as_deref(), cert.as_deref(), key.as_deref()).map_err(|error| {
        Failure::new(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
            .with_hint("Put ca.pem, cert.pem and key.pem into ~/.docker or DOCKER_CERT_PATH, or name them with --tlscacert, --tlscert, --tlskey.")
    })?;
    Ok(Some(Trust { material, verify }))
}

/// The configuration alone; one that cannot be read is empty.
pub fn config_of(globals: &Matches) -> ConfigFile {
    let directory = config_directory(globals);
    ConfigFile::load(&directory).unwrap_or_else(|_| ConfigFile::empty(&directory))
}

/// Whether neither flags, environment nor configuration say which engine is meant.
pub fn names_no_engine(globals: &Matches) -> bool {
    let flags = globals.changed("host") || globals.changed("context");
    let variables = variable("DOCKER_HOST").is_some() || variable("DOCKER_CONTEXT").is_some();
    !flags && !variables && config_of(globals).text("currentContext").is_none()
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
fn context_name(globals: &Matches, config: &ConfigFile) -> Result<String, Failure> {
    if globals.changed("context") && globals.changed("host") {
        return Err(Failure::new("conflicting options: cannot specify both --host and --context"));
    }
    if let Some(context) = globals.text("context").filter(|context| !context.is_empty()) {
        return Ok(context.to_owned());
    }
    if globals.changed("host") || variable("DOCKER_HOST").is_some() {
        return Ok(DEFAULT_CONTEXT.to_owned());
    }
    let named = variable("DOCKER_CONTEXT").or_else(|| config.text("currentContext").map(str::to_owned));
    Ok(named.unwrap_or_else(|| DEFAULT_CONTEXT.to_owned()))
}

fn host(globals: &Matches, config: &ConfigFile, context: &str) -> Result<(String, Option<Trust>), Failure> {
    if context != DEFAULT_CONTEXT {
        let store = Contexts::new(config.directory());
        let unresolved = |error: String| {
            Failure::new(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
        };
        let stored = store.load(context).map_err(|error| unresolved(error.to_string()))?;
        if stored.docker_host().is_empty() {
            return Ok((DEFAULT_HOST.to_owned(), None));
        }
        let material = store.tls(context).map_err(|error| unresolved(error.to_string()))?;
        let skip = stored.endpoints.get("docker").is_some_and(|endpoint| endpoint.skip_tls_verify);
        let tls = (!material.is_empty() || skip).then_some(Trust { material, verify: !skip });
        return Ok((stored.docker_host().to_owned(), tls));
    }
    if globals.list("host").len() > 1 {
        return Err(Failure::new("Specify only one -H"));
    }
    let named = globals
        .list("host")
        .first()
        .cloned()
        .filter(|host| !host.is_empty())
        .or_else(|| variable("DOCKER_HOST"));
    let tls = tls_of_flags(globals, config)?;
    Ok((named.map_or_else(|| DEFAULT_HOST.to_owned(), with_scheme), tls))
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
