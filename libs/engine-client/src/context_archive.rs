//! A context as a tar archive: `meta.json` and `tls/docker/*.pem`.

use std::io::{self, Read};

use crate::contexts::{Context, ContextError};
use crate::tls::TlsMaterial;

/// No context is larger.
const LIMIT_BYTES: u64 = 10 << 20;

/// Packs a context and its certificates.
///
/// # Errors
/// The context cannot be written as JSON.
pub fn pack_context(context: &Context, tls: &TlsMaterial) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content)
    };
    add("meta.json", tar::EntryType::Regular, 0o644, &serde_json::to_vec(context)?)?;
    if !tls.is_empty() {
        add("tls", tar::EntryType::Directory, 0o700, &[])?;
        add("tls/docker", tar::EntryType::Directory, 0o700, &[])?;
    }
    for (name, content) in tls.files() {
        add(&format!("tls/docker/{name}"), tar::EntryType::Regular, 0o600, content)?;
    }
    tar.into_inner()
}

/// Reads an archive that [`pack_context`] or Docker made.
///
/// # Errors
/// It is no such archive, or holds other files.
pub fn unpack_context(archive: impl Read) -> Result<(Context, TlsMaterial), ContextError> {
    let fail = |reason: String| ContextError::Archive(reason);
    let mut archive = tar::Archive::new(archive.take(LIMIT_BYTES));
    let (mut context, mut tls) = (None, TlsMaterial::default());
    for entry in archive.entries().map_err(|error| fail(error.to_string()))? {
        let mut entry = entry.map_err(|error| fail(error.to_string()))?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| fail(error.to_string()))?;
        match path.as_str() {
            "meta.json" => {
                context =
                    Some(serde_json::from_slice(&content).map_err(|error| fail(format!("{path}: {error}")))?)
            }
            "tls/docker/ca.pem" => tls.ca = Some(content),
            "tls/docker/cert.pem" => tls.cert = Some(content),
            "tls/docker/key.pem" => tls.key = Some(content),
            _ => return Err(fail(format!("unexpected file {path}"))),
        }
    }
    let context = context.ok_or_else(|| fail("invalid context: no metadata found".to_owned()))?;
    Ok((context, tls))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever was changed on the way: an answer, never a panic, and never a name out of the archive's own.
        #[test]
        fn a_damaged_archive_is_read_or_refused(at in 0usize..3000, byte: u8, length in 0usize..4000) {
            let tls = TlsMaterial { ca: Some(b"ca".to_vec()), cert: None, key: None };
            let mut archive = pack_context(&Context::new("far", "", "tcp://h:1"), &tls).unwrap();
            let at = at % archive.len();
            archive[at] = byte;
            archive.truncate(length);
            let _ = unpack_context(archive.as_slice());
        }
    }

    #[test]
    fn a_context_survives_its_archive() {
        let context = Context::new("far", "away", "tcp://h:1");
        let tls = TlsMaterial { ca: Some(b"ca".to_vec()), cert: None, key: Some(b"key".to_vec()) };
        let archive = pack_context(&context, &tls).unwrap();
        let (back, back_tls) = unpack_context(archive.as_slice()).unwrap();
        assert_eq!((back, back_tls), (context, tls));
        assert!(unpack_context(&archive[..700]).is_err());
        assert!(unpack_context(&b"garbage"[..]).is_err());
    }
}
