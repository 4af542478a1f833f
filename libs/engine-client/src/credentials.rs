//! Registry credentials: `auths` of config.json and credential helpers.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use engine_api::auth::AuthConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config_file::{ConfigFile, ConfigFileError};

/// Key of Docker Hub's credentials.
pub const HUB_SERVER: &str = "https://index.docker.io/v1/";
/// User name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Key under which a registry's credentials are kept.
pub fn registry_server(domain: &str) -> &str {
    if matches!(domain, "docker.io" | "index.docker.io") { HUB_SERVER } else { domain }
}

/// Credentials as `X-Registry-Auth` carries them.
pub fn auth_header(auth: &AuthConfig) -> String {
    URL_SAFE.encode(serde_json::to_vec(auth).unwrap_or_default())
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("cannot run docker-credential-{helper}: {source}")]
    Run { helper: String, source: io::Error },
    #[error("error storing credentials - err: docker-credential-{helper}: {message}")]
    Helper { helper: String, message: String },
    #[error(transparent)]
    Config(#[from] ConfigFileError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperSecret {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

/// The store of one configuration.
pub struct Credentials<'a> {
    config: &'a mut ConfigFile,
}

impl<'a> Credentials<'a> {
    pub fn new(config: &'a mut ConfigFile) -> Self {
        Self { config }
    }

    fn helper(&self, server: &str) -> Option<String> {
        let own = self.config.texts("credHelpers").into_iter().find(|(name, _)| *name == server);
        own.map(|(_, helper)| helper).or_else(|| self.config.text("credsStore")).map(str::to_owned)
    }

    /// What is known of `server`; empty credentials where nothing is.
    ///
    /// # Errors
    /// The helper cannot be run.
    pub fn get(&self, server: &str) -> Result<AuthConfig, CredentialError> {
        if let Some(helper) = self.helper(server) {
            return match call_helper(&helper, "get", server) {
                Ok(text) => Ok(from_helper(server, &text)),
                // Helpers answer with an error for a server they do not know.
                Err(CredentialError::Helper { .. }) => Ok(AuthConfig::default()),
                Err(error) => Err(error),
            };
        }
        let auths = self.config.value("auths").and_then(Value::as_object);
        let entry = auths.and_then(|auths| {
            auths
                .get(server)
                .or_else(|| auths.iter().find(|(key, _)| host_of(key) == host_of(server)).map(|(_, v)| v))
        });
        Ok(entry.map(|entry| from_entry(server, entry)).unwrap_or_default())
    }

    /// Keeps credentials.
    ///
    /// # Errors
    /// The helper or the file refuses.
    pub fn store(&mut self, auth: &AuthConfig) -> Result<(), CredentialError> {
        let server = auth.server_address.clone();
        let mut entry = json!({});
        if let Some(helper) = self.helper(&server) {
            let token = !auth.identity_token.is_empty();
            let secret = HelperSecret {
                server_url: server.clone(),
                username: if token { TOKEN_USER.into() } else { auth.username.clone() },
                secret: if token { auth.identity_token.clone() } else { auth.password.clone() },
            };
            call_helper(&helper, "store", &serde_json::to_string(&secret).unwrap_or_default())?;
        } else {
            entry["auth"] = STANDARD.encode(format!("{}:{}", auth.username, auth.password)).into();
            if !auth.identity_token.is_empty() {
                entry["identitytoken"] = auth.identity_token.clone().into();
            }
        }
        let mut auths = self.config.value("auths").and_then(Value::as_object).cloned().unwrap_or_default();
        auths.insert(server, entry);
        self.config.set("auths", Some(Value::Object(auths)));
        Ok(self.config.save()?)
    }

    /// Forgets a server; whether it was known.
    ///
    /// # Errors
    /// The helper or the file refuses.
    pub fn erase(&mut self, server: &str) -> Result<bool, CredentialError> {
        if let Some(helper) = self.helper(server) {
            call_helper(&helper, "erase", server)?;
        }
        let mut auths = self.config.value("auths").and_then(Value::as_object).cloned().unwrap_or_default();
        let known = auths.remove(server).is_some();
        if known {
            self.config.set("auths", Some(Value::Object(auths)));
            self.config.save()?;
        }
        Ok(known)
    }
}

fn host_of(server: &str) -> &str {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().unwrap_or(bare)
}

fn from_entry(server: &str, entry: &Value) -> AuthConfig {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let decoded = STANDARD.decode(text("auth")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = decoded.as_deref().and_then(|pair| pair.split_once(':')).map_or_else(
        || (text("username"), text("password")),
        |(u, p)| (u.to_owned(), p.trim_end_matches('\0').to_owned()),
    );
    AuthConfig {
        username,
        password,
        server_address: server.to_owned(),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
        ..AuthConfig::default()
    }
}

fn from_helper(server: &str, text: &str) -> AuthConfig {
    let Ok(secret) = serde_json::from_str::<HelperSecret>(text) else { return AuthConfig::default() };
    let mut auth = AuthConfig { server_address: server.to_owned(), ..AuthConfig::default() };
    if secret.username == TOKEN_USER {
        auth.identity_token = secret.secret;
    } else {
        auth.username = secret.username;
        auth.password = secret.secret;
    }
    auth
}

/// Runs `docker-credential-HELPER VERB` with `input` on its stdin.
fn call_helper(helper: &str, verb: &str, input: &str) -> Result<String, CredentialError> {
    let run = || -> io::Result<std::process::Output> {
        let mut child = Command::new(format!("docker-credential-{helper}"))
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input.as_bytes()) {
                // A helper need not read what it does not need.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait_with_output()
    };
    let output = run().map_err(|source| CredentialError::Run { helper: helper.to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(CredentialError::Helper { helper: helper.to_owned(), message: text })
}
