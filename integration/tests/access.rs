//! Who may talk to the engine: certificates, plugins, sockets of the service manager, dockerd's name.

use integration::{Story, peer, until};
use sha2::Digest;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `ca`, a server's certificate for 127.0.0.1, a client's, and a stranger's of nobody.
fn certificates(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let own = |name: &str, subject: &str| {
        let words = [["req", "-x509", "-days", "2"].as_slice(), &key].concat();
        let (out, keyout) = (format!("{name}.pem"), format!("{name}-key.pem"));
        run(
            directory,
            "openssl",
            &[&words[..], &["-subj", subject, "-out", &out, "-keyout", &keyout]].concat(),
        );
    };
    own("ca", "/CN=authority");
    own("stranger", "/CN=stranger");
    for (name, extension) in [
        ("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
        ("client", "subjectAltName=DNS:ann\nextendedKeyUsage=clientAuth\n"),
    ] {
        std::fs::write(directory.join("extension"), extension).unwrap();
        let (request, keyout) = (format!("{name}.csr"), format!("{name}-key.pem"));
        let subject = format!("/CN={}", if name == "client" { "ann" } else { "engine" });
        let words =
            [["req"].as_slice(), &key, &["-subj", &subject, "-out", &request, "-keyout", &keyout]].concat();
        run(directory, "openssl", &words);
        let out = format!("{name}.pem");
        let sign = ["x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"];
        let files = ["-in", &request, "-out", &out, "-extfile", "extension"];
        run(directory, "openssl", &[sign.as_slice(), &files].concat());
    }
}

/// Says no to whoever asks for the word `forbidden`, and writes down who asked for what.
const PLUGIN: &str = r#"
import base64, json, os, socketserver, sys
from http.server import BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        body = base64.b64decode(asked.get("RequestBody", "")).decode()
        no = "forbidden" in asked.get("RequestUri", "") or "forbidden" in body
        with open(sys.argv[2], "a") as log:
            log.write("%s %s %s\n" % (self.path, asked.get("User", ""), asked.get("RequestUri", "")))
        answer = json.dumps({"Allow": not no, "Msg": "not that word"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def address_string(self): return "plugin"
    def log_message(self, *words): pass
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): pass
Server(sys.argv[1], Handler).serve_forever()
"#;

/// Ends a process that the test started.
struct Ending(std::process::Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tcp_is_for_holders_of_certificates_and_plugins_are_asked() {
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let directory = scratch.path().join("tls");
    certificates(&directory);
    let name = format!("wherry-test-{}", std::process::id());
    let socket = format!("/run/docker/plugins/{name}.sock");
    std::fs::create_dir_all("/run/docker/plugins").unwrap();
    let log = scratch.path().join("asked");
    let python = Command::new("python3").args(["-c", PLUGIN, &socket]).arg(&log).spawn().unwrap();
    let plugin = Ending(python);
    until("the plugin", || Path::new(&socket).exists().then_some(()));
    let port = peer::free_port().unwrap();
    let file = |name: &str| directory.join(name).display().to_string();
    let address = format!("tcp://127.0.0.1:{port}");
    let story = Story::with(&[
        "-H",
        &address,
        "--tlsverify",
        "--tlscacert",
        &file("ca.pem"),
        "--tlscert",
        &file("server.pem"),
        "--tlskey",
        &file("server-key.pem"),
        "--authorization-plugin",
        &name,
    ]);
    let curl = |certificate: &str, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "--cacert", &file("ca.pem")]);
        if !certificate.is_empty() {
            let key = file(&format!("{certificate}-key.pem"));
            command.args(["--cert", &file(&format!("{certificate}.pem")), "--key", &key]);
        }
        let output = command.args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let at = |path: &str| format!("https://127.0.0.1:{port}{path}");
    assert_eq!(curl("client", &[&at("/_ping")]), (true, "OK".into()));
    for stranger in ["", "stranger"] {
        assert!(!curl(stranger, &[&at("/_ping")]).0, "{stranger:?} is let in");
    }
    // Nobody speaks plainly.
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    // The whole way of a container, hijacked streams too, by a stock client.
    if let Some(docker) = peer::find("docker") {
        let run = Command::new(docker)
            .args(["--tlsverify", "--tlscacert", &file("ca.pem"), "--tlscert", &file("client.pem")])
            .args(["--tlskey", &file("client-key.pem"), "-H", &address])
            .args(["run", "--rm", "-i", "busybox", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut run = run;
        run.stdin.take().unwrap().write_all(b"by tls\n").unwrap();
        let output = run.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "by tls\n", "{complaint}");
    }
    // The plugin knows who asked, and says no, to words in the path and in the body.
    let (_, refused) = curl("client", &[&at("/containers/forbidden/json")]);
    assert!(refused.contains(&format!("authorization denied by plugin {name}: not that word")), "{refused}");
    let json = ["-H", "Content-Type: application/json", "-d", r#"{"Name":"forbidden"}"#];
    let (_, refused) = curl("client", &[json.as_slice(), &[&at("/volumes/create")]].concat());
    assert!(refused.contains("authorization denied"), "{refused}");
    let allowed = ["-H", "Content-Type: application/json", "-d", r#"{"Name":"fine"}"#];
    let (_, made) = curl("client", &[allowed.as_slice(), &[&at("/volumes/create")]].concat());
    assert!(made.contains(r#""Name":"fine""#), "what the plugin read is read again: {made}");
    let asked = std::fs::read_to_string(&log).unwrap();
    assert!(asked.contains("/AuthZPlugin.AuthZReq ann /containers/forbidden/json"), "{asked}");
    assert!(asked.contains("/AuthZPlugin.AuthZRes ann /_ping"), "{asked}");
    story.ctl().call(["volume", "rm", "fine"]).expect();
    // A plugin that is gone lets nobody do anything.
    drop(plugin);
    let failed = story.ctl().call(["ps"]).run().unwrap();
    failed.expect_complaint("AuthZPlugin.AuthZReq");
    let _ = std::fs::remove_file(socket);
    story.end();
}

#[test]
fn addresses_without_protection_are_refused() {
    let story = Story::new();
    let engined = story.stack.programs().path("engined");
    let refused = |words: &[&str], complaint: &str| {
        let output = Command::new(&engined).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(complaint), "{words:?}: {said}");
    };
    refused(&["--validate", "-H", "tcp://0.0.0.0:2375"], "without certificates of clients");
    refused(&["--validate", "-H", "tcp://0.0.0.0:2375", "--tls"], "--tlsverify");
    refused(&["--validate", "-H", "npipe://x"], "invalid bind address");
    refused(&["-H", "fd://"], "no sockets were passed");
    story.end();
}

/// A service manager's socket, under dockerd's name, with the words of its unit file.
#[test]
fn dockerd_is_a_name_of_the_engine() {
    let story = Story::new();
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    std::os::unix::fs::symlink(story.stack.programs().path("engined"), path("dockerd")).unwrap();
    std::fs::write(
        path("daemon.json"),
        r#"{"features":{"containerd-snapshotter":true},"log-level":"debug"}"#,
    )
    .unwrap();
    let listener = UnixListener::bind(path("passed.sock")).unwrap();
    let fd = listener.as_raw_fd();
    // A shell puts the socket where a service manager would, and its own number into LISTEN_PID.
    let script = format!("exec 3<&{fd}; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"");
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let child = Command::new("bash")
        .args(["-c", &script, &path("dockerd")])
        .args(["-H", "fd://", "--host", &format!("unix://{}", path("own.sock"))])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
        .args(["--config-file", &path("daemon.json"), "--bridge", "none", "--storage-driver", "overlay2"])
        .args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--containerd-namespace", "other"])
        .args(["--containerd", &story.stack.containerd_address().display().to_string()])
        .stderr(Stdio::from(std::fs::File::create(path("log")).unwrap()))
        .process_group(0)
        .spawn()
        .unwrap();
    let child = Ending(child);
    for socket in ["passed.sock", "own.sock"] {
        let answer = until("an answer", || {
            let mut stream = UnixStream::connect(path(socket)).ok()?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).ok()?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").ok()?;
            let mut said = String::new();
            stream.read_to_string(&mut said).ok()?;
            Some(said).filter(|said| !said.is_empty())
        });
        assert!(answer.contains("200 OK") && answer.ends_with("OK"), "{socket}: {answer}");
    }
    assert_eq!(std::fs::read_to_string(path("pid")).unwrap().trim(), child.0.id().to_string());
    let pid = rustix::process::Pid::from_raw(child.0.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    until("the end", || (!Path::new(&path("own.sock")).exists()).then_some(()));
    drop(child);
    // The table stays for containers that go on; here there are none.
    let digest = sha2::Sha256::digest(path("data").as_bytes());
    network::Stack::open(&hex::encode(&digest[..4])).unwrap().destroy(None).unwrap();
    story.end();
}

#[test]
fn metrics_are_served_where_they_are_asked_for() {
    let address = format!("127.0.0.1:{}", peer::free_port().unwrap());
    let story = Story::with(&["--metrics-addr", &address]);
    let client = story.ctl();
    client.call(["run", "-d", "--name", "runs", "busybox", "sleep", "600"]).expect();
    client.call(["run", "--rm", "busybox", "true"]).expect();
    let get = |path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-i"]).arg(format!("http://{address}{path}"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let text = until("the second one to be removed", || {
        let text = get("/metrics");
        text.contains("engine_daemon_container_actions_seconds_count{action=\"delete\"} 1").then_some(text)
    });
    for line in [
        "content-type: text/plain; version=0.0.4",
        "engine_daemon_container_actions_seconds_count{action=\"start\"} 2",
        "engine_daemon_container_states_containers{state=\"running\"} 1",
        "engine_daemon_network_actions_seconds_count{action=\"allocate\"} 2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(get("/").starts_with("HTTP/1.1 404"));
    client.call(["rm", "-f", "runs"]).expect();
    story.end();
}
