//! Digests of bytes as they stream by.

use crate::Digest;
use errdefs::{Error, Result};
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha384, Sha512};
use std::io::Read;

/// A running digest; its value may be asked for at any time.
#[derive(Clone)]
pub struct Hasher(Algorithm);

#[derive(Clone)]
enum Algorithm {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// The usual one, SHA-256.
    pub fn sha256() -> Hasher {
        Hasher(Algorithm::Sha256(Sha256::new()))
    }

    /// By the algorithm word of a digest. Unimplemented for a word that we do not know.
    pub fn new(algorithm: &str) -> Result<Hasher> {
        Ok(Hasher(match algorithm {
            "sha256" => Algorithm::Sha256(Sha256::new()),
            "sha384" => Algorithm::Sha384(Sha384::new()),
            "sha512" => Algorithm::Sha512(Sha512::new()),
            other => return Err(Error::unimplemented(format!("cannot hash with algorithm {other:?}"))),
        }))
    }

    /// Takes more bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            Algorithm::Sha256(hash) => hash.update(data),
            Algorithm::Sha384(hash) => hash.update(data),
            Algorithm::Sha512(hash) => hash.update(data),
        }
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        let (word, sum) = match &self.0 {
            Algorithm::Sha256(hash) => ("sha256", hex::encode(hash.clone().finalize())),
            Algorithm::Sha384(hash) => ("sha384", hex::encode(hash.clone().finalize())),
            Algorithm::Sha512(hash) => ("sha512", hex::encode(hash.clone().finalize())),
        };
        Digest::parse(&format!("{word}:{sum}")).expect("a computed digest is well formed")
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
