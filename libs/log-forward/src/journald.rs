//! journald by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).

use std::io;
use std::path::{Path, PathBuf};

use logs::{Entry, Stream};

use crate::wire::{Address, Wire};
use crate::{About, Error, Options, line};

const SOCKET: &str = "/run/systemd/journal/socket";

/// The host's journal.
pub(crate) struct Journald {
    wire: Wire,
    /// What stands in every message.
    fields: Vec<u8>,
    ordinal: u64,
    /// Of the line whose pieces are being sent.
    partial: Option<(String, u64)>,
}

impl Journald {
    pub(crate) fn open(options: &Options, about: &About) -> Result<Journald, Error> {
        let path = match options.text("journald-socket") {
            "" => PathBuf::from(SOCKET),
            path => PathBuf::from(path),
        };
        if !Path::new(&path).exists() {
            return Err(Error::Option("journald is not enabled on this host".into()));
        }
        let mut fields = Vec::new();
        let short = about.id.get(..12).unwrap_or(&about.id);
        for (name, value) in [
            ("CONTAINER_ID", short),
            ("CONTAINER_ID_FULL", &about.id),
            ("CONTAINER_NAME", &about.name),
            ("CONTAINER_TAG", &about.tag),
            ("IMAGE_NAME", &about.image_name),
            ("SYSLOG_IDENTIFIER", &about.tag),
            ("CONTAINER_LOG_EPOCH", &random()),
        ] {
            field(&mut fields, name, value.as_bytes());
        }
        for (key, value) in &about.extra {
            let name = field_name(key);
            if !name.is_empty() {
                field(&mut fields, &name, value.as_bytes());
            }
        }
        Ok(Journald { wire: Wire::later(Address::Datagram(path)), fields, ordinal: 0, partial: None })
    }

    pub(crate) async fn send(&mut self, entry: &Entry) -> io::Result<()> {
        let mut message = self.fields.clone();
        field(&mut message, "MESSAGE", line(entry));
        let priority = if entry.stream == Stream::Stderr { "3" } else { "6" };
        field(&mut message, "PRIORITY", priority.as_bytes());
        field(&mut message, "SYSLOG_TIMESTAMP", entry.time.rfc3339().as_bytes());
        field(&mut message, "CONTAINER_LOG_ORDINAL", (self.ordinal + 1).to_string().as_bytes());
        let partial = (entry.is_partial() || self.partial.is_some())
            .then(|| self.partial.clone().map_or_else(|| (random(), 1), |(id, ordinal)| (id, ordinal + 1)));
        if let Some((id, ordinal)) = &partial {
            field(&mut message, "CONTAINER_PARTIAL_ID", id.as_bytes());
            field(&mut message, "CONTAINER_PARTIAL_ORDINAL", ordinal.to_string().as_bytes());
            let is_last = !entry.is_partial();
            field(&mut message, "CONTAINER_PARTIAL_LAST", is_last.to_string().as_bytes());
            if !is_last {
                field(&mut message, "CONTAINER_PARTIAL_MESSAGE", b"true");
            }
        }
        self.wire.send(&message).await?;
        self.ordinal += 1;
        self.partial = partial.filter(|_| entry.is_partial());
        Ok(())
    }
}

/// `NAME=VALUE`, or with the length where the value has lines of its own.
fn field(message: &mut Vec<u8>, name: &str, value: &[u8]) {
    message.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        message.push(b'\n');
        message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        message.push(b'=');
    }
    message.extend_from_slice(value);
    message.push(b'\n');
}

/// Upper case letters, digits and underscores, none of these first.
fn field_name(key: &str) -> String {
    let upper = key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    upper.skip_while(|c| *c == '_').collect()
}

fn random() -> String {
    let mut bytes = [0; 32];
    // Only a name: without randomness it names less well.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use logs::Time;

    #[test]
    fn names_are_the_journals() {
        assert_eq!(field_name("com.docker.x-y"), "COM_DOCKER_X_Y");
        assert_eq!(field_name("__a1"), "A1");
    }

    #[tokio::test]
    async fn messages_are_native() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        let server = tokio::net::UnixDatagram::bind(&path).unwrap();
        let pairs = [
            ("driver", "journald"),
            ("journald-socket", path.to_str().unwrap()),
            ("about.id", "0123456789abcdef"),
            ("about.tag", "t"),
            ("extra.label.a", "two\nlines"),
        ];
        let mut target = crate::Target::open(pairs).await.unwrap();
        let mut receive = async |line: &str| {
            let entry = Entry { stream: Stream::Stderr, time: Time(1), line: line.as_bytes().to_vec() };
            target.send(&entry).await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = server.recv(&mut buffer).await.unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let whole = receive("hello\n").await;
        for part in
            ["CONTAINER_ID=0123456789ab\n", "MESSAGE=hello\n", "PRIORITY=3\n", "CONTAINER_LOG_ORDINAL=1\n"]
        {
            assert!(whole.contains(part), "{part} in {whole}");
        }
        assert!(whole.contains("LABEL_A\n\u{9}\0\0\0\0\0\0\0two\nlines\n"), "{whole:?}");
        assert!(!whole.contains("PARTIAL"));
        assert!(receive("begin").await.contains("CONTAINER_PARTIAL_MESSAGE=true\n"));
        let end = receive("end\n").await;
        assert!(
            end.contains("CONTAINER_PARTIAL_ORDINAL=2\n") && end.contains("CONTAINER_PARTIAL_LAST=true\n")
        );
        assert!(!receive("next\n").await.contains("PARTIAL"));
    }
}
