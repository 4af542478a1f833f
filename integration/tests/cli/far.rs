//! Engines that are not on a socket here: by TLS, by ssh, by context.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use integration::peer::{Dockerd, free_port, require};
use integration::{Invocation, Programs, Story};

/// `openssl` with these words, in `dir`.
fn openssl(dir: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and certificates for the engine at 127.0.0.1 and for a client.
fn certificates(dir: &Path) {
    openssl(
        dir,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority",
    );
    std::fs::write(
        dir.join("server.ext"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n",
    )
    .unwrap();
    std::fs::write(dir.join("client.ext"), "extendedKeyUsage=clientAuth\n").unwrap();
    for (name, who) in [("server-", "server"), ("", "client")] {
        openssl(
            dir,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}key.pem -out {who}.csr -subj /CN={who}"
            ),
        );
        openssl(
            dir,
            &format!(
                "x509 -req -in {who}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out {name}cert.pem -days 2 -extfile {who}.ext"
            ),
        );
    }
}

#[test]
fn tls_by_flags_by_variables_and_by_context() {
    if !require("dockerd") || !require("openssl") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let dir = scratch.path();
    certificates(dir);
    let port = free_port().unwrap();
    let host = format!("tcp://127.0.0.1:{port}");
    let file = |name: &str| dir.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("server-cert.pem"), file("server-key.pem"));
    let trust = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
    let arguments = [&["-H", &host, "--bridge=none", "--iptables=false"][..], &trust].concat();
    let _dockerd = Dockerd::start(&dir.join("d"), &arguments).unwrap();
    let ctl = |words: &[&str]| {
        Invocation::new(&Programs::find().path("ctl"))
            .env("DOCKER_CONFIG", &file("config"))
            .env("DOCKER_HOST", "")
            .args(words.to_vec())
    };
    let version = ["version", "--format", "{{.Server.Os}}"];

    // Flags, the stock client's variables, and nothing of the two.
    let flags = [
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &file("cert.pem"),
        "--tlskey",
        &file("key.pem"),
        "-H",
        &host,
    ];
    assert_eq!(ctl(&[&flags[..], &version].concat()).expect(), "linux");
    let directory = dir.display().to_string();
    let by_variables = ctl(&version)
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", &directory)
        .env("DOCKER_HOST", &host);
    assert_eq!(by_variables.expect(), "linux");
    ctl(&[&["-H", &host][..], &version].concat()).run().unwrap().expect_code(1);

    // An engine that is not who it says: refused with --tlsverify, taken with --tls.
    let wrong = format!("tcp://127.0.0.2:{port}");
    let other = dir.join("other");
    std::fs::create_dir(&other).unwrap();
    certificates(&other);
    let strange = other.join("ca.pem").display().to_string();
    let distrusting = [
        "--tlsverify",
        "--tlscacert",
        &strange,
        "--tlscert",
        &file("cert.pem"),
        "--tlskey",
        &file("key.pem"),
        "-H",
        &host,
    ];
    ctl(&[&distrusting[..], &["ps"]].concat()).run().unwrap().expect_code(1).expect_complaint("certificate");
    let trusting = ["--tls", "--tlscert", &file("cert.pem"), "--tlskey", &file("key.pem"), "-H", &host];
    assert_eq!(ctl(&[&trusting[..], &version].concat()).expect(), "linux");
    ctl(&["-H", &wrong, "--tlsverify", "ps"]).run().unwrap().expect_code(1).expect_complaint("ca.pem");

    // A context carries its certificates, through an archive too.
    let endpoint = format!("host={host},ca={ca},cert={},key={}", file("cert.pem"), file("key.pem"));
    ctl(&["context", "create", "far", "--docker", &endpoint]).expect();
    assert_eq!(ctl(&[&["-c", "far"][..], &version].concat()).expect(), "linux");
    let archive = file("far.tar");
    ctl(&["context", "export", "far", &archive]).expect();
    ctl(&["context", "import", "back", &archive]).expect();
    assert!(ctl(&["context", "inspect", "back", "-f", "{{json .TLSMaterial}}"]).expect().contains("key.pem"));
    ctl(&["context", "use", "back"]).expect();
    assert_eq!(ctl(&version).expect(), "linux");
    let stored = dir.join("config/contexts/tls");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let keys: Vec<_> = walk(&stored).into_iter().filter(|path| path.ends_with("key.pem")).collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| mode(key) == 0o600), "{keys:?}");
    ctl(&["context", "rm", "-f", "far", "back"]).expect();
    assert!(walk(&stored).is_empty());
}

/// Files below a directory.
fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// ssh is a program; ours here runs the far command on this host.
#[test]
fn ssh_speaks_by_dial_stdio() {
    let story = Story::new();
    let bin = story.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let (log, far) = (story.path("ssh.log"), story.stack.docker_host());
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nDOCKER_HOST={far} exec sh -c \"$*\"\n",
        log.display()
    );
    let put = |name: &str, text: &str| {
        std::fs::write(bin.join(name), text).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    put("ssh", &script);
    std::os::unix::fs::symlink(story.stack.programs().path("ctl"), bin.join("docker")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let ctl = |words: &[&str]| {
        story.ctl().call([]).env("PATH", &path).env("DOCKER_HOST", "ssh://me@far:2222").args(words.to_vec())
    };
    assert_eq!(ctl(&["version", "--format", "{{.Server.Os}}"]).expect(), "linux");
    assert_eq!(
        ctl(&["run", "--rm", "-i", "--network", "none", "busybox", "cat"]).input("through ssh").expect(),
        "through ssh"
    );
    ctl(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 9"]).run().unwrap().expect_code(9);
    let asked = std::fs::read_to_string(&log).unwrap();
    assert!(
        asked.lines().all(|line| line.contains("-p 2222 -- me@far ") && line.contains("system dial-stdio")),
        "{asked}"
    );
    // The stock client speaks to our dial-stdio just as well.
    if let Some(docker) = super::stock_client() {
        let stock = story.stack.client(&docker, ["version", "--format", "{{.Server.Os}}"]);
        assert_eq!(stock.env("PATH", &path).env("DOCKER_HOST", "ssh://me@far:2222").expect(), "linux");
    }
    put("ssh", "#!/bin/sh\necho 'no route to far' >&2\nexit 255\n");
    ctl(&["ps"]).run().unwrap().expect_code(1).expect_complaint("no route to far");
    story.end();
}
