//! A connection to a message bus: blocking, one call at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{HEAD, Incoming, Method, call, length, parse};

/// systemd answers in milliseconds, but waits for its own disks when the host is loaded.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// The error's name and text.
    Refused(String, String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Io(error) => write!(f, "message bus: {error}"),
            Failure::Refused(_, text) => f.write_str(text),
        }
    }
}

pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Signals that arrived while a reply was awaited.
    signals: Vec<Incoming>,
}

impl Bus {
    /// Connects, proves who we are by the socket's credentials (SASL EXTERNAL), and says hello.
    pub(super) fn connect(socket: &Path) -> Result<Bus, Failure> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Bus { stream: BufReader::new(stream), serial: 0, signals: Vec::new() };
        let uid: String =
            rustix::process::geteuid().as_raw().to_string().bytes().map(|b| format!("{b:02x}")).collect();
        bus.send(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
        let mut line = String::new();
        (&mut bus.stream).take(1024).read_line(&mut line)?;
        if !line.starts_with("OK ") {
            return Err(Failure::Refused("AUTH".into(), format!("not authenticated: {}", line.trim_end())));
        }
        bus.send(b"BEGIN\r\n")?;
        bus.call(&bus_method("Hello", ""), &[])?;
        Ok(bus)
    }

    /// Asks for signals that match `rule`.
    pub(super) fn watch(&mut self, rule: &str) -> Result<(), Failure> {
        let mut body = super::message::Writer::default();
        body.text(rule);
        self.call(&bus_method("AddMatch", "s"), &body.bytes).map(drop)
    }

    /// Calls a method and waits for its reply.
    pub(super) fn call(&mut self, method: &Method, body: &[u8]) -> Result<Incoming, Failure> {
        self.serial += 1;
        let serial = self.serial;
        self.send(&call(serial, method, body))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                2 if message.reply_to == serial => return Ok(message),
                3 if message.reply_to == serial => {
                    let text = message.body.into_iter().next().unwrap_or_else(|| message.error.clone());
                    return Err(Failure::Refused(message.error, text));
                }
                4 => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for a signal that `wanted` says yes to.
    pub(super) fn signal(&mut self, wanted: impl Fn(&Incoming) -> bool) -> Result<Incoming, Failure> {
        if let Some(at) = self.signals.iter().position(&wanted) {
            return Ok(self.signals.remove(at));
        }
        loop {
            let message = self.receive()?;
            if message.kind == 4 && wanted(&message) {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    fn receive(&mut self) -> io::Result<Incoming> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged message");
        let mut head = [0; HEAD];
        self.stream.read_exact(&mut head)?;
        let length = length(&head).ok_or_else(damaged)?;
        let mut bytes = head.to_vec();
        (&mut self.stream).take((length - HEAD) as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        parse(&bytes).ok_or_else(damaged)
    }
}

fn bus_method(member: &'static str, signature: &'static str) -> Method {
    Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
        signature,
    }
}
