//! Contexts: named engines under `~/.docker/contexts/meta/SHA256-OF-NAME/meta.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::tls::TlsMaterial;

/// The context of `DOCKER_HOST` and the default socket.
pub const DEFAULT_CONTEXT: &str = "default";

/// The store of a configuration directory.
pub struct Contexts {
    directory: PathBuf,
}

/// One stored context.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Context {
    pub name: String,
    pub metadata: BTreeMap<String, Value>,
    pub endpoints: BTreeMap<String, ContextEndpoint>,
}

/// How a context reaches one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContextEndpoint {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    #[serde(rename = "SkipTLSVerify")]
    pub skip_tls_verify: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error("context \"{0}\": context not found: open {1}: no such file or directory")]
    NotFound(String, String),
    #[error(
        "context name \"{0}\" is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
    )]
    Name(String),
    #[error("\"default\" is a reserved context name")]
    Reserved,
    #[error("context \"{0}\" already exists")]
    Exists(String),
    #[error("cannot access context {name}: {source}")]
    Io { name: String, source: io::Error },
    #[error("cannot parse context {name}: {source}")]
    Parse { name: String, source: serde_json::Error },
    #[error("invalid context archive: {0}")]
    Archive(String),
}

impl Context {
    /// Address of the context's engine.
    pub fn docker_host(&self) -> &str {
        self.endpoints.get("docker").map_or("", |endpoint| &endpoint.host)
    }

    pub fn description(&self) -> &str {
        self.metadata.get("Description").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn new(name: &str, description: &str, host: &str) -> Self {
        let mut context = Self { name: name.to_owned(), ..Self::default() };
        if !description.is_empty() {
            context.metadata.insert("Description".into(), description.into());
        }
        context
            .endpoints
            .insert("docker".into(), ContextEndpoint { host: host.to_owned(), skip_tls_verify: false });
        context
    }
}

impl Contexts {
    pub fn new(config_directory: &Path) -> Self {
        Self { directory: config_directory.join("contexts") }
    }

    fn id(name: &str) -> String {
        Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Directory of a context's description.
    pub fn meta_path(&self, name: &str) -> PathBuf {
        self.directory.join("meta").join(Self::id(name))
    }

    /// Directory of a context's certificates.
    pub fn tls_path(&self, name: &str) -> PathBuf {
        self.directory.join("tls").join(Self::id(name))
    }

    /// Reads a context.
    ///
    /// # Errors
    /// It does not exist or cannot be read.
    pub fn load(&self, name: &str) -> Result<Context, ContextError> {
        let path = self.meta_path(name).join("meta.json");
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ContextError::NotFound(name.to_owned(), path.display().to_string()),
            _ => ContextError::Io { name: name.to_owned(), source },
        })?;
        serde_json::from_slice(&bytes).map_err(|source| ContextError::Parse { name: name.to_owned(), source })
    }

    /// All contexts but the default one, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<Context>, ContextError> {
        let entries = match fs::read_dir(self.directory.join("meta")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ContextError::Io { name: "list".into(), source }),
        };
        let mut contexts = Vec::new();
        for entry in entries.flatten() {
            if let Ok(bytes) = fs::read(entry.path().join("meta.json")) {
                let name = entry.file_name().to_string_lossy().into_owned();
                contexts.push(
                    serde_json::from_slice(&bytes).map_err(|source| ContextError::Parse { name, source })?,
                );
            }
        }
        contexts.sort_by(|a: &Context, b| a.name.cmp(&b.name));
        Ok(contexts)
    }

    /// Writes a new context and its certificates.
    ///
    /// # Errors
    /// The name is taken, reserved or not a name, or the store cannot be written.
    pub fn create(&self, context: &Context, tls: &TlsMaterial) -> Result<(), ContextError> {
        self.check_new(&context.name)?;
        self.write(context)?;
        self.write_tls(&context.name, tls)
    }

    /// Whether a context of this name may be made.
    ///
    /// # Errors
    /// The name is taken, reserved or not a name.
    pub fn check_new(&self, name: &str) -> Result<(), ContextError> {
        if name == DEFAULT_CONTEXT {
            return Err(ContextError::Reserved);
        }
        let word = |b: u8| b.is_ascii_alphanumeric() || b"_.+-".contains(&b);
        if name.len() < 2 || !name.as_bytes()[0].is_ascii_alphanumeric() || !name.bytes().all(word) {
            return Err(ContextError::Name(name.to_owned()));
        }
        if self.meta_path(name).exists() { Err(ContextError::Exists(name.to_owned())) } else { Ok(()) }
    }

    /// Writes a context in place of the one that has its name.
    ///
    /// # Errors
    /// The name is reserved, or the store cannot be written.
    pub fn write(&self, context: &Context) -> Result<(), ContextError> {
        let name = &context.name;
        if name == DEFAULT_CONTEXT {
            return Err(ContextError::Reserved);
        }
        let directory = self.meta_path(name);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&directory)?;
            let temporary = directory.join("meta.json.new");
            fs::write(&temporary, serde_json::to_vec(context)?)?;
            fs::rename(temporary, directory.join("meta.json"))
        };
        write().map_err(|source| ContextError::Io { name: name.clone(), source })
    }

    /// Certificates of a context's engine.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn tls(&self, name: &str) -> Result<TlsMaterial, ContextError> {
        let directory = self.tls_path(name).join("docker");
        let read = |file: &str| match fs::read(directory.join(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ContextError::Io { name: name.to_owned(), source }),
        };
        Ok(TlsMaterial { ca: read("ca.pem")?, cert: read("cert.pem")?, key: read("key.pem")? })
    }

    /// Writes a context's certificates in place of those it had.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn write_tls(&self, name: &str, tls: &TlsMaterial) -> Result<(), ContextError> {
        let directory = self.tls_path(name).join("docker");
        let write = || -> io::Result<()> {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            for (file, content) in tls.files() {
                fs::create_dir_all(&directory)?;
                let mut options = fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(directory.join(file))?;
                file.write_all(content)?;
            }
            Ok(())
        };
        write().map_err(|source| ContextError::Io { name: name.to_owned(), source })
    }

    /// Whether a context of this name is stored.
    pub fn exists(&self, name: &str) -> bool {
        self.meta_path(name).join("meta.json").exists()
    }

    /// Removes a context.
    ///
    /// # Errors
    /// It does not exist or cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), ContextError> {
        self.load(name)?;
        let io = |source| ContextError::Io { name: name.to_owned(), source };
        fs::remove_dir_all(self.meta_path(name)).map_err(io)?;
        match fs::remove_dir_all(self.tls_path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            _ => Ok(()),
        }
    }
}
