//! Readiness passed on to systemd, sd_notify(3); and what it passes in, sd_listen_fds(3).

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::bundle::{Bundle, runtime};

/// A socket in the place of systemd's.
fn manager(bundle: &Bundle) -> (UnixDatagram, String) {
    let path = bundle.path().join("manager.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (socket, path.to_str().unwrap().to_owned())
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// busybox has no client of datagram sockets: socket and message come from this test.
fn say_ready(bundle: &Bundle, text: &str) {
    let path = bundle.root().join(&bundle.id).join("notify/notify.sock");
    for _ in 0..500 {
        if UnixDatagram::unbound().unwrap().send_to(text.as_bytes(), &path).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens at {path:?}");
}

#[test]
fn start_waits_for_readiness() {
    let bundle = Bundle::new(&["sleep", "100"]);
    let (socket, path) = manager(&bundle);
    let call = |command: &str| {
        let mut call = bundle.command(&[command, &bundle.id]);
        call.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(Stdio::null());
        call.spawn().unwrap()
    };
    assert!(call("create").wait().unwrap().success());
    let mut start = call("start");
    let pid = bundle.state()["pid"].clone();
    assert_eq!(receive(&socket), format!("MAINPID={pid}"));
    say_ready(&bundle, "MAINPID=1\nREADY=1\n");
    assert_eq!(receive(&socket), "READY=1");
    assert!(start.wait().unwrap().success());
}

#[test]
fn a_foreground_run_passes_what_may_be_passed() {
    let bundle = Bundle::script("test -S \"$NOTIFY_SOCKET\" && sleep 100");
    let (socket, path) = manager(&bundle);
    let mut run = bundle.command(&["run", &bundle.id]);
    let mut run = run.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).spawn().unwrap();
    say_ready(&bundle, "FDSTORE=1\nSTATUS=up\nREADY=1");
    assert_eq!(receive(&socket), "STATUS=up");
    assert_eq!(receive(&socket), "READY=1");
    bundle.on("kill", &["KILL"]).ok();
    assert_eq!(run.wait().unwrap().code(), Some(137));
    bundle.assert_clean();
}

#[test]
fn activated_sockets_arrive() {
    let bundle = Bundle::script("echo $LISTEN_FDS $LISTEN_PID $(readlink /proc/self/fd/3)");
    let path = bundle.path().join("listening");
    std::fs::write(&path, "").unwrap();
    let runtime = runtime().display().to_string();
    let script = format!(
        "exec 3<{}; LISTEN_FDS=1 exec {runtime} --root {} run {}",
        path.display(),
        bundle.root().display(),
        bundle.id
    );
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(bundle.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("1 1 /"), "{output:?}");
}
