//! Programs that add commands: `docker-NAME` in the plugins' directories, Docker's protocol.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine_client::ConfigFile;
use serde::{Deserialize, Serialize};

use crate::grammar::Failure;

/// Directories of the host, ours and Docker's, the first found wins.
const DIRECTORIES: &[&str] = &[
    "/usr/local/lib/wherry/cli-plugins",
    "/usr/lib/wherry/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// Argument that makes a plugin say what it is.
const METADATA: &str = "docker-cli-plugin-metadata";
/// Variable that tells a plugin how its client was called.
const CALLER: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// What a plugin says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Metadata {
    #[serde(rename = "SchemaVersion")]
    pub schema_version: String,
    pub vendor: String,
    pub version: String,
    pub short_description: String,
    #[serde(rename = "URL")]
    pub url: String,
    pub hidden: bool,
}

/// A program found.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub path: PathBuf,
}

/// The plugin of this name, if there is one.
pub fn find(config: &ConfigFile, name: &str) -> Option<Plugin> {
    if !is_name(name) {
        return None;
    }
    let candidates =
        directories(config).into_iter().map(|directory| directory.join(format!("docker-{name}")));
    let path = candidates.into_iter().find(|path| is_executable(path))?;
    Some(Plugin { name: name.to_owned(), path })
}

/// All plugins by name.
pub fn all(config: &ConfigFile) -> Vec<Plugin> {
    let mut found = BTreeMap::new();
    for directory in directories(config) {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let name = file.strip_prefix("docker-").filter(|name| is_name(name));
            if let Some(name) = name.filter(|_| is_executable(&entry.path())) {
                found.entry(name.to_owned()).or_insert(entry.path());
            }
        }
    }
    found.into_iter().map(|(name, path)| Plugin { name, path }).collect()
}

fn directories(config: &ConfigFile) -> Vec<PathBuf> {
    let extra = config.value("cliPluginsExtraDirs").and_then(|value| value.as_array());
    let extra = extra.into_iter().flatten().filter_map(|value| value.as_str()).map(PathBuf::from);
    extra
        .chain([config.directory().join("cli-plugins")])
        .chain(DIRECTORIES.iter().map(PathBuf::from))
        .collect()
}

/// `compose`: a letter, then letters and digits.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

impl Plugin {
    /// Asks it what it is.
    ///
    /// # Errors
    /// Why it is no plugin, in a few words.
    pub fn metadata(&self) -> Result<Metadata, String> {
        let output = Command::new(&self.path)
            .arg(METADATA)
            .output()
            .map_err(|error| format!("failed to fetch metadata: {error}"))?;
        if !output.status.success() {
            return Err(format!("failed to fetch metadata: {}", output.status));
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("invalid metadata: {error}"))?;
        match (metadata.schema_version.as_str(), metadata.vendor.is_empty()) {
            ("0.1.0", false) => Ok(metadata),
            ("0.1.0", true) => Err("plugin metadata does not define a vendor".to_owned()),
            (version, _) => {
                Err(format!("plugin SchemaVersion version {version:?} is not valid: wrong format"))
            }
        }
    }

    /// Becomes the plugin; returns only when that fails.
    pub fn run(
        &self,
        caller: &str,
        arguments: impl IntoIterator<Item = OsString>,
        host: Option<&str>,
    ) -> Failure {
        let mut command = Command::new(&self.path);
        command.args(arguments).env(CALLER, caller);
        if let Some(host) = host {
            command.env("DOCKER_HOST", host);
        }
        let error = command.exec();
        Failure::new(format!("cannot run plugin {}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_plugins_may_have() {
        assert!(is_name("compose") && is_name("x2"));
        for name in ["", "2x", "Compose", "a-b", "../x", "credential-pass"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_plugin_is_found_and_asked() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("cli-plugins");
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, script: &str, mode: u32| {
            fs::write(directory.join(name), script).unwrap();
            fs::set_permissions(directory.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write(
            "docker-good",
            "#!/bin/sh\necho '{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"V\",\"Version\":\"1\"}'\n",
            0o755,
        );
        write("docker-bad", "#!/bin/sh\nexit 3\n", 0o755);
        write("docker-plain", "text", 0o644);
        let config = ConfigFile::empty(home.path());
        let names: Vec<String> = all(&config).into_iter().map(|plugin| plugin.name).collect();
        assert!(
            names.contains(&"good".to_owned())
                && names.contains(&"bad".to_owned())
                && !names.contains(&"plain".to_owned())
        );
        assert_eq!(find(&config, "good").unwrap().metadata().unwrap().vendor, "V");
        assert!(find(&config, "bad").unwrap().metadata().is_err());
        assert!(find(&config, "plain").is_none());
    }
}
