//! How a command ends.

use std::fmt::Display;

use engine_client::Error;

/// The program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    pub const OK: Self = Self(0);
}

/// A command that failed: what stderr gets, and the exit code.
#[derive(Debug, Default)]
pub struct Failure {
    /// Empty prints nothing.
    pub message: String,
    /// An imperative sentence for a person.
    pub hint: Option<String>,
    pub code: u8,
}

impl Failure {
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None, code: 1 }
    }

    /// Fails without words: they were said before.
    pub fn silent(code: u8) -> Self {
        Self { code, ..Self::default() }
    }

    #[must_use]
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that can be said to a person is a failure; `?` makes it one.
impl<E: Into<FailureSource>> From<E> for Failure {
    fn from(error: E) -> Self {
        let FailureSource { message, hint } = error.into();
        Self { message, hint, code: 1 }
    }
}

/// Text and hint of an error.
pub struct FailureSource {
    message: String,
    hint: Option<String>,
}

impl From<Error> for FailureSource {
    fn from(error: Error) -> Self {
        let hint = match &error {
            Error::Unreachable { endpoint, .. } if endpoint.to_string() == engine_client::DEFAULT_HOST => {
                Some(
                    "Start it with 'systemctl start wherry-engined' (or 'make demo' in a checkout), or name another engine with -H."
                        .to_owned(),
                )
            }
            Error::Unreachable { .. } => Some(
                "Is this the engine that is meant? It is named by -H, DOCKER_HOST or the context ('context ls').".to_owned(),
            ),
            Error::Permission { .. } => Some(
                "Join the socket's group (usermod -aG wherry USER) and log in again, or use sudo.".to_owned(),
            ),
            _ => None,
        };
        Self { message: error.to_string(), hint }
    }
}

impl From<std::io::Error> for FailureSource {
    fn from(error: std::io::Error) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<serde_json::Error> for FailureSource {
    fn from(error: serde_json::Error) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<String> for FailureSource {
    fn from(message: String) -> Self {
        Self { message, hint: None }
    }
}

impl From<reference::ParseError> for FailureSource {
    fn from(error: reference::ParseError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<engine_client::CredentialError> for FailureSource {
    fn from(error: engine_client::CredentialError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<engine_client::ContextError> for FailureSource {
    fn from(error: engine_client::ContextError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<engine_client::TlsError> for FailureSource {
    fn from(error: engine_client::TlsError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<engine_client::ConfigFileError> for FailureSource {
    fn from(error: engine_client::ConfigFileError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}
