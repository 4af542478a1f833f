//! `config.json` of `~/.docker`: read tolerantly, written without losing what we do not know.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The client's configuration and where it lives.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    directory: PathBuf,
    content: Map<String, Value>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot parse {}: {source}", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ConfigFile {
    /// Reads `DIRECTORY/config.json`; a missing file is an empty configuration.
    ///
    /// # Errors
    /// The file cannot be read or is not a JSON object.
    pub fn load(directory: &Path) -> Result<Self, ConfigFileError> {
        let path = directory.join("config.json");
        let content = match fs::read(&path) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Map::new(),
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| ConfigFileError::Parse { path, source })?
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(source) => return Err(ConfigFileError::Read { path, source }),
        };
        Ok(Self { directory: directory.to_owned(), content })
    }

    /// An empty configuration living in `directory`.
    pub fn empty(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), content: Map::new() }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    /// A string setting: `detachKeys`, `psFormat`, `currentContext`, `credsStore`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.content.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// An object of strings: `HttpHeaders`, `credHelpers`.
    pub fn texts(&self, key: &str) -> Vec<(&str, &str)> {
        let object = self.content.get(key).and_then(Value::as_object);
        object
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect()
    }

    /// A setting as it stands.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.content.get(key)
    }

    /// Sets or, with `None`, removes a setting; [`Self::save`] makes it last.
    pub fn set(&mut self, key: &str, value: Option<Value>) {
        match value {
            Some(value) => self.content.insert(key.to_owned(), value),
            None => self.content.remove(key),
        };
    }

    /// Writes the file beside itself and renames, mode 0600.
    ///
    /// # Errors
    /// The directory or file cannot be written.
    pub fn save(&self) -> Result<(), ConfigFileError> {
        let path = self.path();
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.directory)?;
            let temporary = self.directory.join(format!("config.json{}", std::process::id()));
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            let text =
                serde_json::to_string_pretty(&self.content)?.replace("\n  ", "\n\t").replace("\t  ", "\t\t");
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, fs::canonicalize(&path).unwrap_or_else(|_| path.clone()))
        };
        write().map_err(|source| ConfigFileError::Write { path: path.clone(), source })
    }
}
