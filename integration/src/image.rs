//! Images that need no network, made from the host's static busybox.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Where Debian's busybox-static puts its program.
const BUSYBOX: &str = "/bin/busybox";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// An uncompressed layer: a tar archive.
#[derive(Clone)]
pub struct Layer(pub Vec<u8>);

impl Layer {
    /// A layer with a busybox, its commands, and the files a user looks up.
    pub fn busybox() -> io::Result<Layer> {
        let program = fs::read(BUSYBOX)?;
        let mut tar = Builder::new(Vec::new());
        for dir in ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var"] {
            entry(&mut tar, dir, EntryType::Directory, if dir == "tmp" { 0o1777 } else { 0o755 }, &[])?;
        }
        entry(&mut tar, "bin/busybox", EntryType::Regular, 0o755, &program)?;
        for name in commands()? {
            let mut header = header(EntryType::Link, 0o755, 0);
            tar.append_link(&mut header, format!("bin/{name}"), "bin/busybox")?;
        }
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nboat:x:1000:1000::/home:/bin/sh\n";
        entry(&mut tar, "etc/passwd", EntryType::Regular, 0o644, passwd)?;
        entry(
            &mut tar,
            "etc/group",
            EntryType::Regular,
            0o644,
            b"root:x:0:\nboat:x:1000:\ncrew:x:2000:boat\n",
        )?;
        Ok(Layer(tar.into_inner()?))
    }

    /// A layer of plain files.
    pub fn files(files: &[(&str, &[u8])]) -> io::Result<Layer> {
        let mut tar = Builder::new(Vec::new());
        for (path, content) in files {
            entry(&mut tar, path, EntryType::Regular, 0o644, content)?;
        }
        Ok(Layer(tar.into_inner()?))
    }

    /// The digest of the archive, which is the layer's diff ID.
    pub fn diff_id(&self) -> String {
        digest(&self.0)
    }

    fn compressed(&self, codec: Codec) -> io::Result<Vec<u8>> {
        match codec {
            Codec::Plain => Ok(self.0.clone()),
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&self.0)?;
                encoder.finish()
            }
            Codec::Zstd => zstd::encode_all(self.0.as_slice(), 3),
        }
    }
}

/// An image: layers and how to run them.
pub struct Image {
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
    /// The image configuration's `config`.
    pub config: Value,
}

impl Image {
    /// One layer of busybox that runs a shell.
    pub fn busybox() -> io::Result<Image> {
        let config = json!({"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
        Ok(Image { layers: vec![Layer::busybox()?], config })
    }

    fn configuration(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(Layer::diff_id).collect();
        let history: Vec<Value> = self
            .layers
            .iter()
            .map(|_| json!({"created": "2026-01-01T00:00:00Z", "created_by": "made for a test"}))
            .collect();
        let configuration = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": self.config, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        configuration.to_string().into_bytes()
    }

    /// The digest of the image's configuration, by which Docker names the image.
    pub fn id(&self) -> String {
        digest(&self.configuration())
    }

    /// A `docker save` archive (the form of Docker 20.10) that names the image `name`.
    pub fn docker_archive(&self, name: &str) -> io::Result<Vec<u8>> {
        let configuration = self.configuration();
        let config_name = format!("{}.json", hash(&configuration));
        let mut tar = Builder::new(Vec::new());
        entry(&mut tar, &config_name, EntryType::Regular, 0o644, &configuration)?;
        let mut names = Vec::new();
        for layer in &self.layers {
            let name = format!("{}/layer.tar", hash(&layer.0));
            entry(&mut tar, &name, EntryType::Regular, 0o644, &layer.0)?;
            names.push(name);
        }
        let manifest = json!([{"Config": config_name, "RepoTags": [name], "Layers": names}]).to_string();
        entry(&mut tar, "manifest.json", EntryType::Regular, 0o644, manifest.as_bytes())?;
        tar.into_inner()
    }

    /// Writes an OCI image layout into `dir`, the image called `name` in it, with another platform's manifest
    /// beside it in the index.
    pub fn write_oci_layout(&self, dir: &Path, name: &str, codec: Codec) -> io::Result<()> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let put = |bytes: &[u8]| -> io::Result<Value> {
            fs::write(blobs.join(hash(bytes)), bytes)?;
            Ok(json!({"digest": digest(bytes), "size": bytes.len()}))
        };
        let typed = |mut descriptor: Value, media_type: &str| {
            descriptor["mediaType"] = json!(media_type);
            descriptor
        };
        let layer_type = match codec {
            Codec::Plain => "application/vnd.oci.image.layer.v1.tar",
            Codec::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Codec::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let config = typed(put(&self.configuration())?, "application/vnd.oci.image.config.v1+json");
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| Ok(typed(put(&layer.compressed(codec)?)?, layer_type)))
            .collect::<io::Result<_>>()?;
        const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let mut ours = typed(put(manifest.to_string().as_bytes())?, MANIFEST);
        ours["platform"] = json!({"os": "linux", "architecture": "amd64"});
        ours["annotations"] =
            json!({"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [ours]});
        fs::write(dir.join("index.json"), index.to_string())?;
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(1_767_225_600);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn entry(
    tar: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = header(kind, mode, content.len());
    tar.append_data(&mut header, path, content)
}

fn commands() -> io::Result<Vec<String>> {
    let output = std::process::Command::new(BUSYBOX).arg("--list").output()?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(list.lines().filter(|name| *name != "busybox").map(str::to_owned).collect())
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hash(bytes))
}
