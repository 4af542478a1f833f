//! An image for two platforms, with an attestation, as an OCI layout.

use std::fs;
use std::io;
use std::path::Path;

use integration::image::{Image, Layer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What the attestation states.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v0.2";

/// Writes busybox for amd64, a file for arm64, and a statement about the first; gives the digests of the
/// index and of the two images' manifests.
pub fn write(dir: &Path, name: &str) -> io::Result<[String; 3]> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let put = |bytes: &[u8], media_type: &str| -> io::Result<Value> {
        let hash = hex::encode(Sha256::digest(bytes));
        fs::write(blobs.join(&hash), bytes)?;
        Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hash}"), "size": bytes.len()}))
    };
    let image = |layer: &Layer, architecture: &str| -> io::Result<Value> {
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": Image::busybox()?.config, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id()]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": format!("made for {architecture}")}],
        });
        let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json")?;
        let layer = put(&layer.0, "application/vnd.oci.image.layer.v1.tar")?;
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let mut manifest = put(manifest.to_string().as_bytes(), MANIFEST)?;
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        Ok(manifest)
    };
    let amd64 = image(&Layer::busybox()?, "amd64")?;
    let arm64 = image(&Layer::files(&[("only-for", b"arm64")])?, "arm64")?;
    let statement = put(br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#, "application/vnd.in-toto+json")?;
    let mut layer = statement.clone();
    layer["annotations"] = json!({"in-toto.io/predicate-type": PREDICATE});
    let config = json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]}});
    let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json")?;
    let attestation = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    let mut attestation = put(attestation.to_string().as_bytes(), MANIFEST)?;
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": amd64["digest"]});
    let digests = [&amd64, &arm64].map(|manifest| manifest["digest"].as_str().unwrap_or_default().to_owned());
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [amd64, arm64, attestation]});
    let mut top = put(index.to_string().as_bytes(), INDEX)?;
    let digest = top["digest"].as_str().unwrap_or_default().to_owned();
    top["annotations"] = json!({"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name});
    let layout = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]});
    fs::write(dir.join("index.json"), layout.to_string())?;
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let [amd64, arm64] = digests;
    Ok([digest, amd64, arm64])
}
