//! What the runtime sends over sockets: listeners of seccomp, descriptors of processes, log lines.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};

use crate::bundle::{Bundle, runtime};

/// One message and the descriptor with it.
fn accept(listener: &UnixListener) -> (Vec<u8>, OwnedFd) {
    assert!(is_ready(listener, 20), "nobody connects");
    let (socket, _) = listener.accept().unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .unwrap()
        .bytes;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    bytes.truncate(length);
    (bytes, fd.expect("a descriptor"))
}

fn is_ready(fd: impl AsFd, seconds: i64) -> bool {
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap() > 0
}

#[test]
fn a_seccomp_agent_gets_its_listeners() {
    let bundle = Bundle::script("mkdir /tmp/made; sleep 100");
    let path = bundle.path().join("agent.sock");
    let bundle = bundle.with(|spec| {
        spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "listenerMetadata": "a note",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]
        });
    });
    bundle.run().fails(1, "failed to connect with seccomp agent");
    bundle.assert_clean();
    let listener = UnixListener::bind(&path).unwrap();
    bundle.run_detached();
    let told = |bytes: &[u8]| {
        let state: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "a note");
        assert_eq!(state["state"]["id"], json!(bundle.id));
        state
    };
    let (bytes, fd) = accept(&listener);
    assert_eq!(told(&bytes)["pid"], bundle.state()["pid"]);
    // The first question has come; with nobody to answer the call does not exist.
    assert!(is_ready(&fd, 20));
    drop(fd);
    let mut exec = bundle.command(&["exec", &bundle.id, "mkdir", "/tmp/other"]);
    let exec = exec.stderr(Stdio::piped()).spawn().unwrap();
    let (bytes, fd) = accept(&listener);
    assert_eq!(told(&bytes)["state"]["status"], "running");
    drop(fd);
    let output = exec.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("not implemented"), "{output:?}");
}

#[test]
fn a_pidfd_goes_to_who_wants_it() {
    let bundle = Bundle::new(&["sleep", "100"]);
    let path = bundle.path().join("pidfd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let words = ["run", "--detach", "--pidfd-socket", path.to_str().unwrap(), &bundle.id];
    let mut run = bundle.command(&words);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (_, fd) = accept(&listener);
    assert!(run.wait().unwrap().success());
    assert!(!is_ready(&fd, 0));
    bundle.on("kill", &["KILL"]).ok();
    assert!(is_ready(&fd, 20), "the process lives on");
}

#[test]
fn log_lines_reach_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A /dev of this test's own.
    let script = format!(
        "mount -t tmpfs tmpfs /dev && touch /dev/log && mount --bind {} /dev/log && mknod /dev/null c 1 3 && \
         exec {} --root {} --log journald:pod --log-level error state nobody",
        path.display(),
        runtime().display(),
        directory.path().join("state").display()
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let mut line = [0; 256];
    let length = journal.recv(&mut line).unwrap();
    assert_eq!(String::from_utf8_lossy(&line[..length]), "<27>pod: container does not exist");
}
