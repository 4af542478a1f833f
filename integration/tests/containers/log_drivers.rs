//! Logs that go to somebody else, with a copy that stays.

use integration::Story;
use serde_json::{Value, json};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

#[test]
fn logs_are_sent_on_and_kept() {
    let story = Story::new();
    let ctl = story.ctl();
    let run = |flags: &[&str]| {
        let lines = ["busybox", "sh", "-c", "echo hello; echo trouble >&2"];
        let call = ctl
            .call(["run", "--name", "talker", "--label", "shelf=4"])
            .args(flags.iter().copied())
            .args(lines);
        call.run().unwrap().expect_code(0);
        let outcome = ctl.call(["logs", "talker"]).run().unwrap().expect_code(0);
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("hello\n", "trouble\n"), "{flags:?}");
        ctl.call(["rm", "talker"]).expect();
    };
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let mut buffer = vec![0; 9000];
    let mut two = || {
        let mut texts: Vec<Vec<u8>> = (0..2)
            .map(|_| server.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap())
            .collect();
        texts.sort();
        texts
    };
    let syslog = format!("syslog-address={address}");
    run(&[
        "--log-driver",
        "syslog",
        "--log-opt",
        &syslog,
        "--log-opt",
        "syslog-format=rfc3164",
        "--log-opt",
        "tag={{.Name}}/{{.ImageName}}",
    ]);
    let texts = two().into_iter().map(|text| String::from_utf8(text).unwrap()).collect::<Vec<_>>();
    assert!(texts[0].starts_with("<27>") && texts[0].ends_with("]: trouble\n"), "{texts:?}");
    assert!(texts[1].starts_with("<30>") && texts[1].contains(" talker/busybox["), "{texts:?}");
    let gelf = format!("gelf-address={address}");
    run(&[
        "--log-driver",
        "gelf",
        "--log-opt",
        &gelf,
        "--log-opt",
        "gelf-compression-type=none",
        "--log-opt",
        "labels=shelf",
    ]);
    let message: Value = serde_json::from_slice(&two()[0]).unwrap();
    assert_eq!(
        (&message["_shelf"], &message["_container_name"]),
        (&json!("4"), &json!("talker")),
        "{message}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fluentd = format!("fluentd-address={}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    run(&[
        "--log-driver",
        "fluentd",
        "--log-opt",
        &fluentd,
        "--log-opt",
        "mode=non-blocking",
        "--log-opt",
        "max-buffer-size=2m",
    ]);
    let all = received.join().unwrap();
    assert!(all.contains("hello") && all.contains("trouble") && all.contains("/talker"), "{all:?}");
    let chosen = ["--label", "shelf=4", "--log-opt", "labels=shelf", "--log-opt", "tag={{.Name}}"];
    ctl.call(["run", "--name", "talker"]).args(chosen).args(["busybox", "echo", "hi"]).expect();
    assert_eq!(ctl.call(["logs", "--details", "talker"]).expect(), "shelf=4,tag=talker hi");
    let path = ctl.call(["inspect", "-f", "{{.LogPath}}", "talker"]).expect();
    let line: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(line["attrs"], json!({"shelf": "4", "tag": "talker"}));
    ctl.call(["rm", "talker"]).expect();
    let refused = |flags: &[&str], words: &str| {
        let call = ctl.call(["create"]).args(flags.iter().copied()).args(["busybox"]);
        call.run().unwrap().expect_code(1).expect_complaint(words);
    };
    refused(&["--log-driver", "gelf"], "gelf-address is a required parameter");
    refused(&["--log-driver", "syslog", "--log-opt", "syslog-facility=x"], "invalid syslog facility");
    refused(&["--log-opt", "foo=bar"], "unknown log opt 'foo' for json-file log driver");
    story.end();
}
