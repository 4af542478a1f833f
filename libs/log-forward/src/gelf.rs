//! GELF 1.1: JSON over UDP in chunks, compressed, or over TCP.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use logs::{Entry, Stream};
use serde_json::{Map, Value};

use crate::wire::{Address, Wire};
use crate::{About, Error, Options, line};

/// What goes into one datagram, and how many a message may be, its head left out.
const CHUNK_BYTES: usize = 1420 - 12;
const CHUNKS: usize = 128;
const MAGIC: [u8; 2] = [0x1e, 0x0f];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zlib,
    None,
}

/// A GELF server.
pub(crate) struct Gelf {
    wire: Wire,
    is_stream: bool,
    packing: Packing,
    level: Compression,
    /// What stands in every message.
    fields: Map<String, Value>,
}

impl Gelf {
    pub(crate) async fn open(options: &Options, about: &About) -> Result<Gelf, Error> {
        let (address, is_stream) = match options.text("gelf-address").split_once("://") {
            Some(("udp", host)) => (Address::Udp(host.to_owned()), false),
            Some(("tcp", host)) => (Address::Tcp(host.to_owned()), true),
            _ => return Err(Error::Option("gelf: endpoint needs to be TCP or UDP".into())),
        };
        let packing = match options.text("gelf-compression-type") {
            "" | "gzip" => Packing::Gzip,
            "zlib" => Packing::Zlib,
            "none" => Packing::None,
            other => return Err(Error::Option(format!("gelf: invalid compression type {other:?}"))),
        };
        let level = options.text("gelf-compression-level").parse::<i32>().unwrap_or(1);
        let level = u32::try_from(level)
            .map_or_else(|_| Compression::default(), |level| Compression::new(level.min(9)));
        let target = address.to_string();
        let wire = Wire::open(address).await.map_err(|source| Error::Reach { target, source })?;
        Ok(Gelf { wire, is_stream, packing, level, fields: fields(about) })
    }

    pub(crate) async fn send(&mut self, entry: &Entry) -> io::Result<()> {
        if line(entry).is_empty() {
            return Ok(());
        }
        let mut json = self.json(entry);
        if self.is_stream {
            json.push(0);
            return self.wire.send(&json).await;
        }
        let packed = self.packed(json)?;
        if packed.len() <= CHUNK_BYTES {
            return self.wire.send(&packed).await;
        }
        let count = packed.len().div_ceil(CHUNK_BYTES);
        if count > CHUNKS {
            // No server would take it, ever: it is lost, not tried again.
            return Ok(());
        }
        let mut id = [0; 8];
        let _ = getrandom::fill(&mut id);
        for (at, piece) in packed.chunks(CHUNK_BYTES).enumerate() {
            let mut datagram = MAGIC.to_vec();
            datagram.extend_from_slice(&id);
            datagram.extend_from_slice(&[at as u8, count as u8]);
            datagram.extend_from_slice(piece);
            self.wire.send(&datagram).await?;
        }
        Ok(())
    }

    fn json(&self, entry: &Entry) -> Vec<u8> {
        let mut message = self.fields.clone();
        let level = if entry.stream == Stream::Stderr { 3 } else { 6 };
        let millis = entry.time.0.div_euclid(1_000_000);
        message.insert("short_message".into(), String::from_utf8_lossy(line(entry)).into());
        message.insert("timestamp".into(), (millis as f64 / 1000.0).into());
        message.insert("level".into(), level.into());
        serde_json::to_vec(&message).unwrap_or_default()
    }

    fn packed(&self, json: Vec<u8>) -> io::Result<Vec<u8>> {
        match self.packing {
            Packing::None => Ok(json),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), self.level);
                encoder.write_all(&json)?;
                encoder.finish()
            }
            Packing::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), self.level);
                encoder.write_all(&json)?;
                encoder.finish()
            }
        }
    }
}

fn fields(about: &About) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in [
        ("version", "1.1"),
        ("host", &about.hostname),
        ("_container_id", &about.id),
        ("_container_name", &about.name),
        ("_image_id", &about.image_id),
        ("_image_name", &about.image_name),
        ("_command", &about.command),
        ("_tag", &about.tag),
        ("_created", &about.created),
    ] {
        fields.insert(key.to_owned(), value.into());
    }
    for (key, value) in &about.extra {
        let name = if key.starts_with('_') { key.clone() } else { format!("_{key}") };
        fields.insert(name, value.clone().into());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use logs::Time;
    use std::io::Read;

    async fn target(address: String, packing: &str) -> crate::Target {
        let pairs = [
            ("driver", "gelf".to_owned()),
            ("gelf-address", address),
            ("gelf-compression-type", packing.to_owned()),
            ("about.name", "web".to_owned()),
            ("extra.k", "v".to_owned()),
        ];
        crate::Target::open(pairs).await.unwrap()
    }

    fn entry(line: &str) -> Entry {
        Entry { stream: Stream::Stderr, time: Time(1_500_000_000), line: line.as_bytes().to_vec() }
    }

    #[tokio::test]
    async fn datagrams_are_compressed_and_cut() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = format!("udp://{}", server.local_addr().unwrap());
        let mut buffer = vec![0; 9000];
        target(address.clone(), "gzip").await.send(&entry("hello\n")).await.unwrap();
        let length = server.recv(&mut buffer).await.unwrap();
        let mut json = String::new();
        flate2::read::GzDecoder::new(&buffer[..length]).read_to_string(&mut json).unwrap();
        let message: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&message["short_message"], &message["level"]), (&"hello".into(), &3.into()));
        assert_eq!((&message["_container_name"], &message["_k"]), (&"web".into(), &"v".into()));
        assert_eq!(message["timestamp"], 1.5);
        target(address, "none").await.send(&entry(&"x".repeat(4000))).await.unwrap();
        let mut whole = Vec::new();
        for at in 0..3 {
            let length = server.recv(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..2], buffer[10], buffer[11]), (&MAGIC[..], at, 3));
            whole.extend_from_slice(&buffer[12..length]);
        }
        assert!(String::from_utf8(whole).unwrap().contains(&"x".repeat(4000)));
    }

    #[tokio::test]
    async fn a_stream_has_zeros_between_messages() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut target = target(format!("tcp://{}", server.local_addr().unwrap()), "").await;
        let (mut stream, _) = server.accept().await.unwrap();
        target.send(&entry("a\n")).await.unwrap();
        target.send(&entry("b\n")).await.unwrap();
        drop(target);
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await.unwrap();
        assert_eq!(all.split(|byte| *byte == 0).filter(|part| !part.is_empty()).count(), 2);
    }
}
