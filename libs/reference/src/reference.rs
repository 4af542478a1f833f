//! A repository with its tag and digest, normalised as Docker does.

use std::fmt;
use std::str::FromStr;

use crate::grammar::{is_domain, is_identifier, is_path, is_tag};
use crate::{DEFAULT_DOMAIN, DEFAULT_TAG, Digest, DigestError, OFFICIAL_NAMESPACE};

const LEGACY_DOMAIN: &str = "index.docker.io";
const NAME_LENGTH_LIMIT: usize = 255;

/// A fully named image: domain, path, and a tag and digest where they were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference; clients match these texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("repository name must have at least one component")]
    Empty,
    #[error("repository name must not be more than {NAME_LENGTH_LIMIT} characters")]
    TooLong,
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// What a person may put where an image is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyReference {
    /// `sha256:...` or its 64 bare hex digits.
    Digest(Digest),
    Named(Reference),
}

impl AnyReference {
    /// Parses an image ID or a name.
    ///
    /// # Errors
    /// As [`Reference::parse_normalized`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if is_identifier(text) {
            return Ok(Self::Digest(Digest::parse(&format!("sha256:{text}"))?));
        }
        if let Ok(digest) = Digest::parse(text) {
            return Ok(Self::Digest(digest));
        }
        Reference::parse_normalized(text).map(Self::Named)
    }
}

impl Reference {
    /// Parses a name as a person types it: `busybox` is `docker.io/library/busybox`.
    /// No tag is added: see [`Reference::with_default_tag`].
    ///
    /// # Errors
    /// The text is not a reference; the error says why in Docker's words.
    pub fn parse_normalized(text: &str) -> Result<Self, ParseError> {
        if is_identifier(text) {
            return Err(ParseError::Identifier(text.to_owned()));
        }
        let (domain, remainder) = split_domain(text);
        let remote = remainder.split([':', '@']).next().unwrap_or_default();
        let is_uppercase = remote.bytes().any(|b| b.is_ascii_uppercase());
        let path = if domain == DEFAULT_DOMAIN && !remainder.contains('/') {
            format!("{OFFICIAL_NAMESPACE}/{remainder}")
        } else {
            remainder.to_owned()
        };
        if is_uppercase {
            return Err(ParseError::Uppercase(path.split([':', '@']).next().unwrap_or_default().to_owned()));
        }
        Self::from_parts(&domain, &path)
    }

    /// `rest` is `path[:tag][@digest]`.
    fn from_parts(domain: &str, rest: &str) -> Result<Self, ParseError> {
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match name.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (name, None),
        };
        if !is_domain(domain) || !is_path(path) || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ParseError::Format);
        }
        if domain.len() + 1 + path.len() > NAME_LENGTH_LIMIT {
            return Err(ParseError::TooLong);
        }
        Ok(Self {
            domain: domain.to_owned(),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(parse_digest).transpose()?,
        })
    }

    /// Registry host, with its port: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Repository within the registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path, without tag and digest: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name as Docker shows it, without tag and digest: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL_NAMESPACE).and_then(|rest| rest.strip_prefix('/')) {
            Some(official) if !official.contains('/') => official.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The reference as Docker shows it: `busybox:1`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The full reference: `docker.io/library/busybox:1`.
    pub fn canonical(&self) -> String {
        self.with_suffix(self.name())
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }

    /// Has neither tag nor digest.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// Adds `latest` to a name without tag and digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository under another tag; the digest goes.
    ///
    /// # Errors
    /// `tag` has characters or a length that no tag has.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ParseError> {
        if !is_tag(tag) {
            return Err(ParseError::Format);
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same name with a digest; the tag stays.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The repository alone.
    #[must_use]
    pub fn trim(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }
}

/// A digest in a reference needs 32 hex digits to be one at all.
fn parse_digest(text: &str) -> Result<Digest, ParseError> {
    let is_digest_form = text
        .split_once(':')
        .is_some_and(|(_, hex)| hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_digest_form {
        return Err(ParseError::Format);
    }
    Digest::parse(text).map_err(|error| match error {
        DigestError::Format if !text.bytes().any(|b| b.is_ascii_uppercase()) => ParseError::Format,
        error => ParseError::Digest(error),
    })
}

/// Docker's rule: the first component is a registry when it has a dot, a port or an upper-case
/// letter, or is `localhost`.
fn split_domain(text: &str) -> (String, &str) {
    let (domain, remainder) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    };
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    (domain.to_owned(), remainder)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl FromStr for Reference {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse_normalized(text)
    }
}
