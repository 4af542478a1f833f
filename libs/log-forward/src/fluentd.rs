//! fluentd by its forward protocol, version 1: one message an entry.

use std::io;
use std::path::PathBuf;

use logs::{Entry, Stream};

use crate::msgpack::{Packed, value_of};
use crate::tls::Tls;
use crate::wire::{Address, Wire, with_port};
use crate::{About, Error, Options, line};

const HOST: &str = "127.0.0.1";
const PORT: u16 = 24224;
const ANSWER_LIMIT_BYTES: usize = 1024;

/// A fluentd or fluent-bit.
pub(crate) struct Fluentd {
    wire: Wire,
    about: About,
    has_nanos: bool,
    is_acknowledged: bool,
    partial: Option<(String, u64)>,
}

impl Fluentd {
    pub(crate) async fn open(options: &Options, about: About) -> Result<Fluentd, Error> {
        let address = address(options)?;
        let target = address.to_string();
        // A server that comes later is waited for only when somebody says so.
        let wire = if options.is("fluentd-async") {
            Wire::later(address)
        } else {
            Wire::open(address).await.map_err(|source| Error::Reach { target, source })?
        };
        Ok(Fluentd {
            wire,
            about,
            has_nanos: options.is("fluentd-sub-second-precision"),
            is_acknowledged: options.is("fluentd-request-ack"),
            partial: None,
        })
    }

    pub(crate) async fn send(&mut self, entry: &Entry) -> io::Result<()> {
        let partial = (entry.is_partial() || self.partial.is_some())
            .then(|| self.partial.clone().map_or_else(|| (random(), 1), |(id, ordinal)| (id, ordinal + 1)));
        let chunk = self.is_acknowledged.then(random);
        let message = self.message(entry, partial.as_ref(), chunk.as_deref());
        self.wire.send(&message).await?;
        if let Some(chunk) = chunk {
            let answer = self.wire.receive(ANSWER_LIMIT_BYTES).await?;
            if value_of(&answer, "ack") != Some(chunk.as_bytes()) {
                self.wire.drop_connection();
                return Err(io::Error::other(format!("{} did not acknowledge", self.wire.address())));
            }
        }
        self.partial = partial.filter(|_| entry.is_partial());
        Ok(())
    }

    /// `[tag, time, record, options]`.
    fn message(&self, entry: &Entry, partial: Option<&(String, u64)>, chunk: Option<&str>) -> Vec<u8> {
        let mut packed = Packed::default();
        packed.array(4);
        packed.text(self.about.tag.as_bytes());
        let seconds = u32::try_from(entry.time.0.div_euclid(1_000_000_000)).unwrap_or(0);
        if self.has_nanos {
            packed.event_time(seconds, entry.time.0.rem_euclid(1_000_000_000) as u32);
        } else {
            packed.seconds(seconds);
        }
        let mut record: Vec<(String, Vec<u8>)> = vec![
            ("container_id".into(), self.about.id.clone().into()),
            ("container_name".into(), format!("/{}", self.about.name).into()),
            ("source".into(), if entry.stream == Stream::Stderr { "stderr" } else { "stdout" }.into()),
            ("log".into(), line(entry).to_vec()),
        ];
        for (key, value) in &self.about.extra {
            record.retain(|(other, _)| other != key);
            record.push((key.clone(), value.clone().into()));
        }
        if let Some((id, ordinal)) = partial {
            record.push(("partial_message".into(), b"true".to_vec()));
            record.push(("partial_id".into(), id.clone().into()));
            record.push(("partial_ordinal".into(), ordinal.to_string().into()));
            record.push(("partial_last".into(), (!entry.is_partial()).to_string().into()));
        }
        packed.map(record.len());
        for (key, value) in &record {
            packed.text(key.as_bytes());
            packed.text(value);
        }
        packed.map(usize::from(chunk.is_some()));
        if let Some(chunk) = chunk {
            packed.text(b"chunk");
            packed.text(chunk.as_bytes());
        }
        packed.0
    }
}

fn address(options: &Options) -> Result<Address, Error> {
    let text = options.text("fluentd-address");
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    let host = || {
        let rest = if rest.starts_with(':') { format!("{HOST}{rest}") } else { rest.to_owned() };
        with_port(if rest.is_empty() { HOST } else { &rest }, PORT)
    };
    match scheme {
        "unix" => Ok(Address::Stream(PathBuf::from(rest))),
        "tcp" => Ok(Address::Tcp(host())),
        "tls" => Ok(Address::Tls(host(), Tls::of(options, "fluentd-tls")?)),
        other => Err(Error::Option(format!("unsupported scheme: '{other}'"))),
    }
}

fn random() -> String {
    let mut bytes = [0; 16];
    // Only a name: without randomness it names less well.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use logs::Time;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn messages_are_acknowledged() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        let server = tokio::net::UnixListener::bind(&path).unwrap();
        let pairs = [
            ("driver", "fluentd".to_owned()),
            ("fluentd-address", format!("unix://{}", path.display())),
            ("fluentd-request-ack", "true".to_owned()),
            ("about.tag", "abc".to_owned()),
            ("about.name", "web".to_owned()),
        ];
        let mut target = crate::Target::open(pairs).await.unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            buffer.truncate(length);
            let chunk = buffer[length - 32..].to_vec();
            let mut packed = Packed::default();
            packed.map(1);
            packed.text(b"ack");
            packed.text(&chunk);
            stream.write_all(&packed.0).await.unwrap();
            buffer
        });
        let entry = Entry { stream: Stream::Stdout, time: Time(5_000_000_000), line: b"hi\n".to_vec() };
        target.send(&entry).await.unwrap();
        let message = answering.await.unwrap();
        // [4 items] "abc" uint32 5, a map of four
        assert_eq!(message[..11], [0x94, 0xa3, b'a', b'b', b'c', 0xce, 0, 0, 0, 5, 0x84]);
        let text = String::from_utf8_lossy(&message).into_owned();
        assert!(text.contains("container_name\u{fffd}/web") || text.contains("/web"), "{text:?}");
        assert!(text.contains("log") && text.contains("hi"));
    }

    #[test]
    fn addresses_have_defaults() {
        let address = |text: &str| {
            let pairs = [("fluentd-address".to_owned(), text.to_owned())];
            address(&Options(pairs.into())).map(|address| address.to_string())
        };
        assert_eq!(address("").unwrap(), "tcp://127.0.0.1:24224");
        assert_eq!(address("tcp://h").unwrap(), "tcp://h:24224");
        assert_eq!(address("h:1").unwrap(), "tcp://h:1");
        assert!(address("http://h").is_err());
    }
}
