//! Logs: in the shim's process, by the program, and who is attached.

mod support;

use logs::{Driver, Reader, Selection, Stream};
use std::path::Path;
use support::*;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

fn uri(dir: &Path, driver: &str, program: &Path) -> String {
    format!(
        "binary://{}?driver={driver}&path={}&attach={}&max-size=1m&max-file=3",
        program.display(),
        dir.join("log").display(),
        dir.join("attach").display()
    )
}

async fn lines(driver: Driver, path: &Path) -> Vec<(Stream, String)> {
    let mut reader = Reader::open(driver, path, Selection::default()).unwrap();
    let mut lines = Vec::new();
    while let Some(entry) = reader.next().await.unwrap() {
        lines.push((entry.stream, String::from_utf8(entry.line).unwrap()));
    }
    lines
}

#[tokio::test]
async fn all_output_is_in_the_log_when_the_exit_is_told() {
    // The program under another name is a foreign logger: it is started, not recognised.
    let copies = tempfile::tempdir().unwrap();
    let foreign = copies.path().join("logger");
    support::copy_program(LOGGER, &foreign);
    for (name, driver) in [("json-file", Driver::JsonFile), ("local", Driver::Local)] {
        for program in [Path::new(LOGGER), &foreign] {
            let daemon = Daemon::start();
            let script = "seq 1 20000; echo err >&2; printf end";
            let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/sh", "-c", script])).await;
            let uri = uri(daemon.dir.path(), name, program);
            shim.create(&daemon, ["", &uri, &uri], false).await.unwrap();
            let mut attached = UnixStream::connect(daemon.dir.path().join("attach")).await.unwrap();
            let mut joined = [9; 8];
            attached.read_exact(&mut joined).await.unwrap();
            assert_eq!(joined, [0; 8]);
            let reading = tokio::spawn(async move {
                let mut bytes = Vec::new();
                attached.read_to_end(&mut bytes).await.unwrap();
                bytes
            });
            shim.start_process("").await.unwrap();
            assert_eq!(shim.wait("").await, 0);
            let log = daemon.dir.path().join("log");
            let in_process = program == Path::new(LOGGER);
            if !in_process {
                shim.delete("").await.unwrap();
            }
            let all = lines(driver, &log).await;
            let out: Vec<&str> =
                all.iter().filter(|(s, _)| *s == Stream::Stdout).map(|(_, l)| l.as_str()).collect();
            // What is not ended by a newline is written at the end of the stream.
            assert!(out.len() >= 20_000, "{name}: {}", out.len());
            assert_eq!((out[0], out[19_999]), ("1\n", "20000\n"));
            assert_eq!(all.iter().filter(|(s, l)| *s == Stream::Stderr && l == "err\n").count(), 1);
            if in_process {
                shim.delete("").await.unwrap();
            }
            assert!(lines(driver, &log).await.iter().any(|(_, line)| line == "end"));
            let bytes = reading.await.unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.contains("20000\n") && text.contains("err\n") && text.contains("end"));
            assert!(!daemon.dir.path().join("attach").exists());
            shim.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_terminal_is_logged_and_a_reader_attaches_late() {
    let daemon = Daemon::start();
    let shim = Shim::start(&daemon, &runtimes()[0], Bundle { terminal: true, ..sh(&["/bin/sh"]) }).await;
    let uri = uri(daemon.dir.path(), "json-file", Path::new(LOGGER));
    let input = fifo(&daemon.dir.path().join("in"));
    shim.create(&daemon, [&input, &uri, ""], true).await.unwrap();
    shim.start_process("").await.unwrap();
    std::fs::write(&input, "echo a$((1+1))b\n").unwrap();
    let mut attached = UnixStream::connect(daemon.dir.path().join("attach")).await.unwrap();
    attached.read_exact(&mut [0; 8]).await.unwrap();
    std::fs::write(&input, "echo c$((2+2))d\nexit 5\n").unwrap();
    assert_eq!(shim.wait("").await, 5);
    shim.delete("").await.unwrap();
    let mut seen = Vec::new();
    attached.read_to_end(&mut seen).await.unwrap();
    assert!(String::from_utf8_lossy(&seen).contains("c4d"));
    let log = lines(Driver::JsonFile, &daemon.dir.path().join("log")).await;
    assert!(log.iter().any(|(_, line)| line.contains("a2b")), "{log:?}");
    shim.shutdown().await;
}

#[tokio::test]
async fn wrong_log_options_fail_the_creation() {
    let daemon = Daemon::start();
    let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/true"])).await;
    let uri = format!("binary://{LOGGER}?driver=scroll&path=/tmp/x");
    let (kind, text) = status(shim.create(&daemon, ["", &uri, &uri], false).await);
    assert_eq!(kind, errdefs::Kind::InvalidArgument);
    assert!(text.contains("invalid value 'scroll' for log opt 'driver'"), "{text}");
    assert_eq!(
        status(shim.create(&daemon, ["", "tcp://x", ""], false).await).1,
        "unknown STDIO scheme tcp: invalid argument"
    );
    shim.shutdown().await;
}

/// The log's disk hangs, as a pipe that is full: its container waits, and the shim answers for it.
#[tokio::test]
async fn a_log_that_hangs_keeps_nobody_from_an_answer() {
    let daemon = Daemon::start();
    let script = "seq 100001 106000; exec sleep 1000";
    let shim = Shim::start(&daemon, &runtimes()[0], sh(&["/bin/sh", "-c", script])).await;
    let uri = uri(daemon.dir.path(), "json-file", Path::new(LOGGER)).replace("max-size=1m&", "");
    let log = daemon.dir.path().join("log");
    fifo(&log);
    let mut reader = std::fs::File::options().read(true).write(true).open(&log).unwrap();
    shim.create(&daemon, ["", &uri, &uri], false).await.unwrap();
    shim.start_process("").await.unwrap();
    let full = async {
        while rustix::io::ioctl_fionread(&reader).unwrap() < 60_000 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), full).await.expect("nothing is written");
    assert_eq!(shim.state("").await.unwrap().status, 2, "running");
    let request = containerd_api::task::v3::PidsRequest { id: shim.id.clone() };
    let pids: containerd_api::task::v3::PidsResponse = shim.call("Pids", &request).await.unwrap();
    assert!(!pids.processes.is_empty());
    shim.exec("e", &["/bin/sh", "-c", "exit 3"], ["", "", ""], false).await.unwrap();
    shim.start_process("e").await.unwrap();
    assert_eq!(shim.wait("e").await, 3);
    shim.delete("e").await.unwrap();
    shim.kill("", 0, false).await.unwrap();
    // When the disk is back every line comes.
    let emptied = tokio::task::spawn_blocking(move || {
        let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
        while text.iter().filter(|byte| **byte == b'\n').count() < 6000 {
            let size = std::io::Read::read(&mut reader, &mut chunk).unwrap();
            text.extend_from_slice(&chunk[..size]);
        }
        (text, reader)
    });
    let (text, _reader) = emptied.await.unwrap();
    for (line, number) in String::from_utf8(text).unwrap().lines().zip(100_001..) {
        assert!(line.starts_with(&format!(r#"{{"log":"{number}\n""#)), "{number}: {line}");
    }
    shim.kill("", 9, false).await.unwrap();
    assert_eq!(shim.wait("").await, 137);
    shim.delete("").await.unwrap();
    shim.shutdown().await;
}
