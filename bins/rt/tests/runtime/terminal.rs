//! Terminals over a console socket.

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use crate::bundle::Bundle;

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0_u8; 64];
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            return fds.next().unwrap();
        }
    }
    panic!("no descriptor came");
}

/// All that comes until the other end is closed, which a terminal tells by EIO.
fn read_all(master: OwnedFd) -> String {
    let mut file = std::fs::File::from(master);
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = file.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn the_master_goes_over_the_socket() {
    let bundle = Bundle::script("tty; stty size; test -c /dev/console && echo console").with(|spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({"height": 33, "width": 77});
    });
    let listener = UnixListener::bind(bundle.path().join("console")).unwrap();
    let status = bundle
        .command(&["create", "--console-socket", "console", &bundle.id])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let master = receive(&listener.accept().unwrap().0);
    bundle.on("start", &[]).ok();
    assert_eq!(read_all(master), "/dev/pts/0\r\n33 77\r\nconsole\r\n");
}

#[test]
fn exec_gets_one_too() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.run_detached();
    let listener = UnixListener::bind(bundle.path().join("console")).unwrap();
    let words = ["exec", "-d", "-t", "--console-socket", "console", &bundle.id, "tty"];
    let status = bundle.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert_eq!(read_all(receive(&listener.accept().unwrap().0)), "/dev/pts/0\r\n");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let bundle = Bundle::new(&["true"]).with(|spec| spec["process"]["terminal"] = json!(true));
    let text = "cannot allocate tty if runc will detach without setting console socket";
    bundle.on("create", &[]).fails(1, text);
    let bundle = Bundle::new(&["true"]);
    let words = ["create", "--console-socket", "nowhere", &bundle.id];
    bundle.rt(&words).fails(1, "cannot use console socket");
    bundle.assert_clean();
}

/// More than all buffers on the way hold, both ways at once: whoever waited for the one to go on before
/// the other would wait for ever.
#[test]
fn a_terminal_in_the_foreground_carries_both_ways_at_once() {
    const LINES: usize = 10_000;
    let script = "stty -echo; echo ready; cat; echo end";
    let bundle = Bundle::script(script).with(|spec| spec["process"]["terminal"] = json!(true));
    let mut command = bundle.command(&["run", &bundle.id]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut greeting = [0; 6];
    stdout.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"ready\n");
    let line = |number: usize| format!("line {number:06} of a text that takes its time\n");
    let writer = std::thread::spawn(move || {
        let text: String = (0..LINES).map(line).chain(["\u{4}".to_owned()]).collect();
        stdin.write_all(text.as_bytes()).unwrap();
    });
    let mut told = String::new();
    stdout.read_to_string(&mut told).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    let wanted: String = (0..LINES).map(line).chain(["end\n".to_owned()]).collect();
    assert!(told == wanted, "{} bytes came, not {}", told.len(), wanted.len());
    bundle.assert_clean();
}
