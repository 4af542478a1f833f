//! syslog: RFC 3164, RFC 5424, and what the local daemon's socket takes.

use std::io;
use std::path::{Path, PathBuf};

use logs::{Entry, Stream, Time};

use crate::tls::Tls;
use crate::wire::{Address, Wire, with_port};
use crate::{About, Error, Options, line};

const PORT: u16 = 514;
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
const ERROR: u8 = 3;
const INFO: u8 = 6;
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// As programs of the host write.
    Local,
    Rfc3164,
    Rfc5424 {
        with_micros: bool,
    },
}

/// A syslog server or the local daemon.
pub(crate) struct Syslog {
    wire: Wire,
    /// Each message says its length first (RFC 5425).
    is_counted: bool,
    format: Format,
    facility: u8,
    hostname: String,
    tag: String,
}

impl Syslog {
    pub(crate) async fn open(options: &Options, about: &About) -> Result<Syslog, Error> {
        let format = format(options.text("syslog-format"))?;
        let facility = facility(options.text("syslog-facility"))?;
        let address = address(options)?;
        let is_counted = matches!((&address, format), (Address::Tls(..), Format::Rfc5424 { .. }));
        let target = address.to_string();
        let wire = Wire::open(address).await.map_err(|source| Error::Reach { target, source })?;
        let (hostname, tag) = (about.hostname.clone(), about.tag.clone());
        Ok(Syslog { wire, is_counted, format, facility, hostname, tag })
    }

    pub(crate) async fn send(&mut self, entry: &Entry) -> io::Result<()> {
        let text = line(entry);
        if text.is_empty() {
            return Ok(());
        }
        let severity = if entry.stream == Stream::Stderr { ERROR } else { INFO };
        let head = self.head(self.facility * 8 + severity, entry.time);
        let mut message = head.into_bytes();
        message.extend_from_slice(text);
        message.push(b'\n');
        if self.is_counted {
            let mut counted = format!("{} ", message.len()).into_bytes();
            counted.append(&mut message);
            message = counted;
        }
        self.wire.send(&message).await
    }

    fn head(&self, priority: u8, time: Time) -> String {
        let (host, tag, pid) = (&self.hostname, &self.tag, std::process::id());
        match self.format {
            Format::Local => format!("<{priority}>{} {tag}[{pid}]: ", stamp(time)),
            Format::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: ", stamp(time)),
            Format::Rfc5424 { with_micros } => {
                let digits = if with_micros { 6 } else { 0 };
                format!("<{priority}>1 {} {host} {tag} {pid} {tag} - ", rfc3339(time, digits))
            }
        }
    }
}

fn format(text: &str) -> Result<Format, Error> {
    match text {
        "" => Ok(Format::Local),
        "rfc3164" => Ok(Format::Rfc3164),
        "rfc5424" => Ok(Format::Rfc5424 { with_micros: false }),
        "rfc5424micro" => Ok(Format::Rfc5424 { with_micros: true }),
        _ => Err(Error::Option("Invalid syslog format".into())),
    }
}

fn facility(text: &str) -> Result<u8, Error> {
    let known = match text {
        "" => Some(3),
        name => FACILITIES.iter().position(|known| *known == name),
    };
    let number = known.map(|at| at as u8).or_else(|| text.parse().ok().filter(|number| *number < 24));
    number.ok_or_else(|| Error::Option("invalid syslog facility".into()))
}

fn address(options: &Options) -> Result<Address, Error> {
    let text = options.text("syslog-address");
    if text.is_empty() {
        let local = LOCAL.iter().map(Path::new).find(|path| path.exists());
        let local = local.ok_or_else(|| Error::Option("Unix syslog delivery error".into()))?;
        return Ok(Address::Datagram(local.to_owned()));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    Ok(match scheme {
        "unix" => Address::Stream(PathBuf::from(rest)),
        "unixgram" => Address::Datagram(PathBuf::from(rest)),
        "udp" => Address::Udp(with_port(rest, PORT)),
        "tcp" => Address::Tcp(with_port(rest, PORT)),
        "tcp+tls" => Address::Tls(with_port(rest, PORT), Tls::of(options, "syslog-tls")?),
        other => return Err(Error::Option(format!("unsupported scheme: '{other}'"))),
    })
}

/// `Jan  2 15:04:05`.
fn stamp(time: Time) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time.rfc3339();
    let number =
        |from: usize| text.get(from..from + 2).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(1);
    let month = MONTHS.get(number(5).wrapping_sub(1)).unwrap_or(&MONTHS[0]);
    format!("{month} {:>2} {}", number(8), text.get(11..19).unwrap_or("00:00:00"))
}

/// RFC 3339 with so many digits of a second.
fn rfc3339(time: Time, digits: usize) -> String {
    let text = time.rfc3339();
    let seconds = text.get(..19).unwrap_or("1970-01-01T00:00:00");
    if digits == 0 {
        return format!("{seconds}Z");
    }
    let nanos = format!("{:09}", time.0.rem_euclid(1_000_000_000));
    format!("{seconds}.{}Z", nanos.get(..digits).unwrap_or(&nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syslog(format: Format) -> Syslog {
        let wire = Wire::later(Address::Udp("127.0.0.1:1".into()));
        Syslog { wire, is_counted: false, format, facility: 3, hostname: "host".into(), tag: "tag".into() }
    }

    #[test]
    fn heads_are_the_standards() {
        let time = Time(1_700_000_000_123_456_789);
        let pid = std::process::id();
        assert_eq!(syslog(Format::Local).head(30, time), format!("<30>Nov 14 22:13:20 tag[{pid}]: "));
        assert_eq!(syslog(Format::Rfc3164).head(30, time), format!("<30>Nov 14 22:13:20 host tag[{pid}]: "));
        assert_eq!(
            syslog(Format::Rfc5424 { with_micros: true }).head(27, time),
            format!("<27>1 2023-11-14T22:13:20.123456Z host tag {pid} tag - ")
        );
    }

    #[test]
    fn facilities_by_name_and_number() {
        assert_eq!((facility("").unwrap(), facility("local7").unwrap(), facility("5").unwrap()), (3, 23, 5));
        assert!(facility("24").is_err() && facility("loud").is_err());
    }

    #[tokio::test]
    async fn lines_arrive_with_their_severity() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let pairs = [
            ("driver", "syslog".to_owned()),
            ("syslog-address", format!("udp://{}", server.local_addr().unwrap())),
            ("syslog-format", "rfc3164".to_owned()),
            ("about.tag", "me".to_owned()),
            ("about.hostname", "box".to_owned()),
        ];
        let mut target = crate::Target::open(pairs).await.unwrap();
        for (stream, severity) in [(Stream::Stdout, 30), (Stream::Stderr, 27)] {
            let entry = Entry { stream, time: Time::now(), line: b"hello\n".to_vec() };
            target.send(&entry).await.unwrap();
            let mut buffer = [0; 200];
            let length = server.recv(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(text.starts_with(&format!("<{severity}>")) && text.contains(" box me["), "{text}");
            assert!(text.ends_with("]: hello\n"), "{text}");
        }
    }
}
