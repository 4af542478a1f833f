//! Digests of bytes as they stream by.

use crate::Digest;
use errdefs::{Error, Result};
use ring::digest::{self, Context};
use std::io::Read;

/// A running digest; its value may be asked for at any time.
///
/// By ring: twice as fast as sha2 on processors that have no instructions for SHA.
#[derive(Clone)]
pub struct Hasher {
    word: &'static str,
    context: Context,
}

impl Hasher {
    /// The usual one, SHA-256.
    pub fn sha256() -> Hasher {
        Hasher { word: "sha256", context: Context::new(&digest::SHA256) }
    }

    /// By the algorithm word of a digest. Unimplemented for a word that we do not know.
    pub fn new(algorithm: &str) -> Result<Hasher> {
        let (word, algorithm) = match algorithm {
            "sha256" => ("sha256", &digest::SHA256),
            "sha384" => ("sha384", &digest::SHA384),
            "sha512" => ("sha512", &digest::SHA512),
            other => return Err(Error::unimplemented(format!("cannot hash with algorithm {other:?}"))),
        };
        Ok(Hasher { word, context: Context::new(algorithm) })
    }

    /// Takes more bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        let sum = hex::encode(self.context.clone().finish());
        Digest::parse(&format!("{}:{sum}", self.word)).expect("a computed digest is well formed")
    }

    /// The SHA-256 digest of `data`.
    pub fn of(data: &[u8]) -> Digest {
        let mut hasher = Hasher::sha256();
        hasher.update(data);
        hasher.digest()
    }

    /// Takes everything that `source` has; says how many bytes that was.
    pub(crate) fn update_from(&mut self, source: &mut impl Read) -> std::io::Result<u64> {
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                return Ok(total);
            }
            self.update(&buffer[..count]);
            total += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        let empty = Hasher::sha256().digest();
        assert_eq!(empty.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Hasher::new("sha512").unwrap().digest().hex().len(), 128);
        assert_eq!(Hasher::new("md5").err().unwrap().kind(), errdefs::Kind::Unimplemented);
    }
}
