//! A manager that answers as systemd does, on a socket of its own.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use super::message::{HEAD, Incoming, Writer, length, parse};
use super::*;

/// A reply (2), error (3) or signal (4) with a body of strings after `number`, if any.
fn frame(kind: u8, to: u32, name: &str, signature: &str, number: Option<u32>, texts: &[&str]) -> Vec<u8> {
    let mut body = Writer::default();
    number.into_iter().for_each(|n| body.u32(n));
    texts.iter().for_each(|t| body.text(t));
    let mut w = Writer::default();
    w.bytes.extend([b'l', kind, 1, 1]);
    w.u32(body.bytes.len() as u32);
    w.u32(99);
    w.array(8, |w| {
        // Each field starts at a multiple of 8: code, signature, value.
        w.bytes.extend([5, 1, b'u', 0]);
        w.u32(to);
        for (code, text) in [(3, name), (4, name)] {
            if (kind == 4 && code == 3) || (kind == 3 && code == 4) {
                w.bytes.extend([code, 1, b's', 0]);
                w.text(text);
                w.bytes.resize(w.bytes.len().next_multiple_of(8), 0);
            }
        }
        if !signature.is_empty() {
            w.bytes.extend([8, 1, b'g', 0, signature.len() as u8]);
            w.bytes.extend(signature.as_bytes());
            w.bytes.push(0);
        }
    });
    w.bytes.resize(w.bytes.len().next_multiple_of(8), 0);
    w.bytes.extend(body.bytes);
    w.bytes
}

fn next(stream: &mut UnixStream) -> Option<(u32, Incoming, Vec<u8>)> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).ok()?;
    let mut bytes = head.to_vec();
    bytes.resize(length(&head).unwrap(), 0);
    stream.read_exact(&mut bytes[HEAD..]).unwrap();
    let serial = u32::from_le_bytes(head[8..12].try_into().unwrap());
    Some((serial, parse(&bytes).unwrap(), bytes))
}

/// Serves one connection; returns the members called, and the bytes of the last start.
fn serve(listener: UnixListener, result: &'static str) -> (Vec<String>, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut line = Vec::new();
    let mut byte = [0];
    let mut read_line = |stream: &mut UnixStream| {
        line.clear();
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line.clone()
    };
    assert!(read_line(&mut stream).starts_with(b"\0AUTH EXTERNAL 30\r\n"));
    stream.write_all(b"OK 1234\r\n").unwrap();
    assert_eq!(read_line(&mut stream), b"BEGIN\r\n");
    let (mut members, mut start) = (Vec::new(), Vec::new());
    let mut taken = true;
    while let Some((serial, message, bytes)) = next(&mut stream) {
        members.push(message.member.clone());
        let answers = match message.member.as_str() {
            "StartTransientUnit" if taken => {
                taken = false;
                vec![frame(3, serial, "org.freedesktop.systemd1.UnitExists", "s", None, &["exists"])]
            }
            "StartTransientUnit" | "StopUnit" => {
                start = bytes;
                // Another unit's job first, and our own before the reply.
                vec![
                    frame(4, 0, "JobRemoved", "uoss", Some(1), &["/job/1", "other.scope", "failed"]),
                    frame(4, 0, "JobRemoved", "uoss", Some(2), &["/job/2", "x.scope", result]),
                    frame(2, serial, "", "o", None, &["/job/2"]),
                ]
            }
            _ => vec![frame(2, serial, "", "", None, &[])],
        };
        answers.iter().for_each(|a| stream.write_all(a).unwrap());
    }
    (members, start)
}

fn host() -> Host {
    Host::parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n").unwrap()
}

#[test]
fn a_scope_is_started_changed_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || serve(listener, "done"));
    let scope = Scope::parse("system.slice:docker:x", "x", false).unwrap();
    let limits: Resources =
        serde_json::from_str(r#"{"cpu":{"quota":50000,"cpus":"0,9"},"memory":{"limit":-1}}"#).unwrap();
    let mut systemd = Systemd::connect(&socket, &host()).unwrap();
    systemd.start(&scope, &[42], &limits, &[]).unwrap();
    systemd.set(&scope, &limits).unwrap();
    systemd.stop(&scope).unwrap();
    drop(systemd);
    let (members, _) = server.join().unwrap();
    assert_eq!(
        members,
        [
            "Hello",
            "AddMatch",
            "Subscribe",
            "StartTransientUnit",
            "ResetFailedUnit",
            "StartTransientUnit",
            "SetUnitProperties",
            "StopUnit",
            "ResetFailedUnit"
        ]
    );
}

#[test]
fn a_failed_job_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || serve(listener, "timeout"));
    let scope = Scope::parse("", "x", false).unwrap();
    let mut systemd = Systemd::connect(&socket, &host()).unwrap();
    let error = systemd.start(&scope, &[42], &Resources::default(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot start systemd unit runc-x.scope: job ended with \"timeout\"");
    drop(systemd);
    server.join().unwrap();
}

#[test]
fn paths_name_scopes() {
    let scope = |path| Scope::parse(path, "id", false);
    assert_eq!(scope("").unwrap(), Scope { slice: "system.slice".into(), unit: "runc-id.scope".into() });
    assert_eq!(Scope::parse("", "id", true).unwrap().slice, "user.slice");
    assert_eq!(scope(":docker:x").unwrap().slice, "system.slice");
    assert_eq!(scope("a-b.slice::x").unwrap().unit, "x.scope");
    assert_eq!(scope("a.slice:p:n.slice").unwrap().unit, "n.slice");
    let group = scope("a-b-c.slice:docker:x").unwrap().cgroup(&host()).unwrap();
    assert_eq!(group.paths()[""], Path::new("/sys/fs/cgroup/a.slice/a-b.slice/a-b-c.slice/docker-x.scope"));
    for bad in [
        "/docker/x",
        "a:b",
        "a.slice:b:c:d",
        "a:b:c",
        ".slice:b:c",
        "a--b.slice:b:c",
        "-a.slice:b:c",
        "a/b.slice:p:n",
        "a.slice:p:n/m",
        "a.slice:p:",
    ] {
        assert!(matches!(scope(bad), Err(Error::Invalid { .. })), "{bad}");
    }
}

#[test]
fn limits_become_properties() {
    let limits: Resources = serde_json::from_str(
        r#"{"cpu":{"shares":1024,"quota":33333,"period":100000,"cpus":"0,9"},
            "memory":{"limit":100,"swap":300},"pids":{"limit":-1}}"#,
    )
    .unwrap();
    let of = |mode| super::limits::properties(&limits, mode).unwrap();
    let v2 = of(Mode::V2);
    for (name, value) in [
        ("MemoryMax", Value::U64(100)),
        ("MemorySwapMax", Value::U64(200)),
        ("CPUWeight", Value::U64(100)),
        ("CPUQuotaPerSecUSec", Value::U64(340_000)),
        ("TasksMax", Value::U64(u64::MAX)),
        ("AllowedCPUs", Value::Bytes(vec![1, 2])),
    ] {
        assert!(v2.contains(&(name.to_owned(), value.clone())), "{name}");
    }
    assert!(of(Mode::Hybrid).contains(&("CPUShares".to_owned(), Value::U64(1024))));
}
