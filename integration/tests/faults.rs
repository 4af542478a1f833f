//! What malformed, cut off, huge and slow requests do to the engine: nothing.

use integration::{Story, until};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A little generator: the same requests every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    /// A value of any shape, with the words that requests are made of.
    fn value(&mut self, depth: usize) -> String {
        match self.roll(if depth > 3 { 5 } else { 8 }) {
            0 => "null".into(),
            1 => self.pick(&["true", "false"]).into(),
            2 => self.pick(&["0", "-1", "1e99", "18446744073709551616", "0.5", "-0"]).into(),
            3 => format!(
                "{:?}",
                self.pick(&["", "busybox", "../..", "/", "container:", "80/tcp", "a=b", "\u{fffd}"])
            ),
            4 => format!("\"{}\"", "x".repeat(self.roll(300))),
            5 | 6 => {
                let fields: Vec<String> = (0..self.roll(6)).map(|_| self.field(depth)).collect();
                format!("{{{}}}", fields.join(","))
            }
            _ => {
                let items: Vec<String> = (0..self.roll(4)).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(","))
            }
        }
    }

    fn field(&mut self, depth: usize) -> String {
        const NAMES: [&str; 24] = [
            "Image",
            "Cmd",
            "Env",
            "HostConfig",
            "Mounts",
            "Binds",
            "Memory",
            "RestartPolicy",
            "Name",
            "PortBindings",
            "NetworkingConfig",
            "EndpointsConfig",
            "IPAM",
            "Config",
            "Healthcheck",
            "Test",
            "Ulimits",
            "LogConfig",
            "Labels",
            "Container",
            "Driver",
            "Devices",
            "Sysctls",
            "NetworkMode",
        ];
        let name = self.pick(&NAMES);
        let value = self.value(depth + 1);
        format!("{name:?}:{value}")
    }
}

const PATHS: [&str; 27] = [
    "/containers/create",
    "/containers/create?name=%ff%00",
    "/containers/box/exec",
    "/containers/box/update",
    "/containers/box/resize?h=x&w=-1",
    "/containers/box/archive?path=/tmp",
    "/containers/box/start?checkpoint=x",
    "/containers/json?filters={",
    "/containers/json?limit=z",
    "/networks/create",
    "/networks/bridge/connect",
    "/networks/none/disconnect",
    "/volumes/create",
    "/images/json?filters=%7B%22x%22%3A%5B1%5D%7D",
    "/images/load",
    "/exec/none/start",
    "/images/create?fromImage=%20%20",
    "/images/create?fromSrc=-",
    "/commit?container=none",
    "/containers/box/kill?signal=SIGNONE",
    "/volumes/..%2f..%2fetc",
    "/v1.9999/info",
    "/v999999999999999999999.1/info",
    "/events?until=yesterday",
    "/containers/none/json",
    "/system/df?type=x",
    "/auth",
];

const BODIES: [&str; 18] = [
    "",
    "{",
    "[]",
    "7",
    "\"x\"",
    "null",
    "{\"Image\":7}",
    "{\"Image\":\"busybox\",\"HostConfig\":[]}",
    "{\"Name\":{}}",
    "{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":\"much\"}}",
    "{\"Cmd\":{\"a\":1}}",
    "{\"Name\":\"../x\"}",
    "{\"Image\":\"busybox\",\"HostConfig\":{\"Binds\":[\":::\"]}}",
    "\u{fffd}\u{0}",
    "{\"Container\":\"none\"}",
    "{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":\"container:\"}}",
    "{\"Name\":\"n\",\"Driver\":\"warp\"}",
    "{\"Name\":\"nn\",\"IPAM\":{\"Config\":[{\"Subnet\":\"1.2.3.4/99\"}]}}",
];

/// How a request is sent.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Whole,
    /// It promises more than comes.
    CutOff,
    /// Its pieces are announced, one of them wrongly.
    BrokenChunks,
    /// The client is gone before the answer.
    Leaving,
}

fn connect(story: &Story) -> UnixStream {
    let host = story.stack.docker_host();
    let stream = UnixStream::connect(host.trim_start_matches("unix://")).expect("the engine accepts");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends one; the answer's status if one came.
fn send(story: &Story, manner: Manner, line: &str, kind: &str, body: &str) -> Option<String> {
    let mut stream = connect(story);
    let length = match manner {
        Manner::BrokenChunks => "Transfer-Encoding: chunked".to_owned(),
        Manner::CutOff => format!("Content-Length: {}", body.len() + 99),
        _ => format!("Content-Length: {}", body.len()),
    };
    let body = match manner {
        Manner::BrokenChunks => format!("{:x}\r\n{body}\r\nzz\r\n", body.len()),
        _ => body.to_owned(),
    };
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    if manner == Manner::Leaving {
        return None;
    }
    let _ = stream.shutdown(Shutdown::Write);
    // Waits, events and attaches that are granted go on for ever: the status is enough.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[9..]).into_owned())
}

/// Whether a fault of the engine's is told. What a swarm would do is told to be unavailable, as Docker does, and
/// so is a registry out of reach.
fn is_fault(status: &str, line: &str) -> bool {
    let is_others = (line.starts_with("PUT") && line.contains("/volumes/")) || line.contains("/auth");
    status.starts_with('5') && status != "501" && !(status == "503" && is_others)
}

#[test]
fn ten_thousand_malformed_requests_are_refused() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["create", "--name", "box", "busybox", "true"]).expect();
    let mut dice = Dice(7);
    let mut refused = 0;
    for round in 0..10_000 {
        let method = dice.pick(&["POST", "POST", "POST", "PUT", "GET", "DELETE", "BREW"]);
        let line = format!("{method} {}", dice.pick(&PATHS));
        let body = if dice.roll(3) == 0 { dice.value(0) } else { dice.pick(&BODIES).to_owned() };
        let kind =
            dice.pick(&["application/json", "application/json", "application/json", "text/plain", ";;"]);
        let manner = match dice.roll(16) {
            0 => Manner::Leaving,
            1 | 2 => Manner::CutOff,
            3 => Manner::BrokenChunks,
            _ => Manner::Whole,
        };
        if let Some(status) = send(&story, manner, &line, kind, &body) {
            assert!(!is_fault(&status, &line), "round {round}: {line} {body:?} -> {status}");
            refused += usize::from(status.starts_with('4'));
        }
    }
    assert!(refused > 5000, "most of it is refused: {refused}");
    for id in ctl.call(["ps", "-aq", "--filter", "name=box"]).expect().split_whitespace() {
        ctl.call(["start", "-a", id]).expect();
    }
    // What was made of what happened to be sensible goes like everything else.
    let all = ctl.call(["ps", "-aq"]).expect();
    for id in all.split_whitespace() {
        ctl.call(["rm", "-fv", id]).expect();
    }
    for kind in ["network", "volume"] {
        ctl.call([kind, "prune", "-f"]).expect();
    }
    ctl.call(["volume", "prune", "-af"]).run().unwrap();
    story.end();
}

#[test]
fn bytes_that_are_no_requests_end_their_connection() {
    let story = Story::new();
    let mut dice = Dice(3);
    for _ in 0..500 {
        let mut stream = connect(&story);
        let length = dice.roll(400);
        let bytes: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    // A head without end is not read for ever.
    let mut stream = connect(&story);
    let _ = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n");
    let mut sent = 0;
    while sent < 4 << 20 && stream.write_all(&[b'x'; 4096]).is_ok() {
        sent += 4096;
    }
    assert!(sent < 4 << 20, "nobody reads a head of {sent} bytes");
    story.ctl().call(["ps"]).expect();
    story.end();
}

#[test]
fn huge_bodies_are_refused_before_they_are_kept() {
    let story = Story::new();
    let pid = story.stack.daemon("engined").unwrap().pid;
    let memory = || {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = memory();
    for path in ["/containers/create", "/volumes/create", "/networks/create", "/commit?container=x", "/auth"]
    {
        let mut stream = connect(&story);
        let length = 200 << 20;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{\"Name\":\""
        );
        let _ = stream.write_all(head.as_bytes());
        let piece = vec![b'x'; 1 << 20];
        let sent = (0..200).take_while(|_| stream.write_all(&piece).is_ok()).count();
        assert!(sent < 100, "{path}: {sent} MiB are read");
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 400", "{path}");
        }
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB are kept");
    story.end();
}

#[test]
fn a_client_that_sends_all_before_it_reads_has_its_answer() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["create", "--name", "box", "busybox", "true"]).expect();
    for (line, wanted) in [
        ("PUT /containers/box/archive?path=/no/such", "404"),
        ("PUT /containers/none/archive?path=/", "404"),
        ("PUT /containers/box/archive?path=/tmp", "400"),
        ("POST /images/create?fromSrc=-", "400"),
        ("POST /build", "501"),
        ("DELETE /containers/none", "404"),
    ] {
        let mut stream = connect(&story);
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 32 << 20);
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 1 << 20];
        for at in 0..32 {
            stream.write_all(&piece).unwrap_or_else(|error| panic!("{line}: MiB {at}: {error}"));
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(String::from_utf8_lossy(&answer[9..]), wanted, "{line}");
    }
    ctl.call(["rm", "box"]).expect();
    story.end();
}

#[test]
fn slow_readers_hold_nobody_up() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["run", "-d", "--name", "box", "busybox", "sleep", "600"]).expect();
    ctl.call(["exec", "box", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=8"]).expect();
    // Each has its answer begun, and reads no further.
    let slow: Vec<UnixStream> = (0..150)
        .map(|at| {
            let mut stream = connect(&story);
            let path = ["/containers/box/export", "/containers/box/archive?path=/big"][at % 2];
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut begun = [0; 64];
            stream.read_exact(&mut begun).expect("an answer begins");
            stream
        })
        .collect();
    let copied = story.path("copied");
    ctl.call(["cp", "box:/etc/group", &copied.display().to_string()]).expect();
    assert!(std::fs::read_to_string(&copied).unwrap().contains("crew"));
    assert_eq!(ctl.call(["exec", "box", "echo", "well"]).expect(), "well");
    ctl.call(["system", "df"]).expect();
    drop(slow);
    let pid = story.stack.daemon("engined").unwrap().pid;
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    until("the threads of those who left", || (threads() < 100).then_some(()));
    ctl.call(["rm", "-f", "box"]).expect();
    story.end();
}
