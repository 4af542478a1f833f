//! What makes a command line a person's: plugins, completion, credentials, a terminal that is given back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use integration::peer::{Registry, require};
use integration::{Invocation, Story};

fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// ctl with a configuration of its own.
fn ctl(story: &Story, words: &[&str]) -> Invocation {
    let config = story.path("config").display().to_string();
    story.ctl().call([]).env("DOCKER_CONFIG", &config).args(words.to_vec())
}

#[test]
fn plugins_and_completion() {
    let story = Story::new();
    ctl(&story, &["build", "."]).run().unwrap().expect_code(1).expect_complaint("buildx");
    let plugin = "#!/bin/sh\ncase \"$1\" in\ndocker-cli-plugin-metadata)\n  echo '{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"Nobody\",\
                  \"Version\":\"v9\",\"ShortDescription\":\"Composes\"}' ;;\n*) echo \"$@ $DOCKER_HOST\"; exit 7 ;;\nesac\n";
    for name in ["compose", "buildx"] {
        program(&story.path(&format!("config/cli-plugins/docker-{name}")), plugin);
    }
    program(&story.path("config/cli-plugins/docker-broken"), "#!/bin/sh\nexit 1\n");
    let host = story.stack.docker_host();
    let ran = ctl(&story, &["-D", "compose", "up", "--bogus", "-d"]).run().unwrap().expect_code(7);
    assert_eq!(ran.stdout.trim(), format!("-D compose up --bogus -d {host}"));
    let built = ctl(&story, &["build", "-t", "x", "."]).run().unwrap().expect_code(7);
    assert_eq!(built.stdout.trim(), format!("buildx build -t x . {host}"));
    assert!(ctl(&story, &["--help"]).expect().contains("compose*    Composes\n"));
    let info = ctl(&story, &["info"]).run().unwrap().expect_code(0).expect_complaint("docker-broken");
    assert!(info.stdout.contains("  compose: Composes (Nobody)\n    Version:  v9\n"), "{}", info.stdout);

    ctl(&story, &["run", "-d", "--name", "sails", "--network", "none", "busybox", "sleep", "100"]).expect();
    ctl(&story, &["create", "--name", "rests", "--network", "none", "busybox", "true"]).expect();
    let asked = |words: &[&str]| ctl(&story, &[&["__completeNoDesc"][..], words].concat()).expect();
    assert_eq!(asked(&["stop", ""]), "sails\n:4");
    assert_eq!(asked(&["start", ""]), "rests\n:4");
    assert_eq!(asked(&["rm", "-f", "re"]), "rests\n:4");
    assert_eq!(asked(&["run", "--rm", "busy"]), "busybox\nbusybox:latest\n:4");
    assert_eq!(asked(&["compo"]), "compose\n:4");
    assert!(asked(&["inspect", ""]).contains("none\n"));
    // Through bash itself.
    let typed = "source <(ctl completion bash); compopt() { :; }; COMP_WORDS=(ctl stop sa); COMP_CWORD=2; _ctl_complete; echo \"${COMPREPLY[@]}\"";
    let bin = story.stack.programs().path("ctl");
    let path = format!("{}:{}", bin.parent().unwrap().display(), std::env::var("PATH").unwrap());
    assert_eq!(story.stack.client("bash", ["-c", typed]).env("PATH", &path).expect(), "sails");
    ctl(&story, &["rm", "-f", "sails", "rests"]).expect();
    story.end();
}

/// A credential helper is spoken to by its protocol; no password lands in the file.
#[test]
fn credential_helpers_keep_the_passwords() {
    if !require("docker-registry") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let store = story.path("store").display().to_string();
    let helper = format!(
        "#!/bin/sh\ncase \"$1\" in\nstore) cat > {store} ;;\nget) if [ -e {store} ]; then cat {store}; else echo 'credentials not found in native keychain'; exit 1; fi ;;\n\
         erase) cat > /dev/null; rm -f {store} ;;\nesac\n"
    );
    program(&story.path("bin/docker-credential-chest"), &helper);
    std::fs::create_dir_all(story.path("config")).unwrap();
    let config = story.path("config/config.json");
    std::fs::write(&config, "{\"credsStore\":\"chest\",\"psFormat\":\"{{.Names}} by config\"}").unwrap();
    let path = format!("{}:{}", story.path("bin").display(), std::env::var("PATH").unwrap());
    let ctl = |words: &[&str]| ctl(&story, words).env("PATH", &path);
    let login =
        ctl(&["login", "-u", "me", "--password-stdin", &registry.host]).input("secret\n").run().unwrap();
    // An engine that tries no credentials is the only other answer.
    if login.code == 0 {
        assert!(login.stdout.contains("Login Succeeded"), "{login:?}");
        assert!(std::fs::read_to_string(story.path("store")).unwrap().contains("\"Secret\":\"secret\""));
        assert!(!std::fs::read_to_string(&config).unwrap().contains("secret"));
        ctl(&["tag", "busybox", &format!("{}/kept:1", registry.host)]).expect();
        ctl(&["push", "-q", &format!("{}/kept:1", registry.host)]).expect();
        ctl(&["logout", &registry.host]).expect();
        assert!(!story.path("store").exists());
    } else {
        login.expect_complaint("Error response from daemon");
    }
    ctl(&["create", "--name", "listed", "--network", "none", "busybox"]).expect();
    assert_eq!(ctl(&["ps", "-a"]).expect(), "listed by config");
    story.end();
}

/// However ctl ends, the terminal is as it was; a window's size reaches the container.
#[test]
fn the_terminal_is_given_back() {
    let story = Story::new();
    let script = format!("{}/clients/terminal.py", env!("CARGO_MANIFEST_DIR"));
    let program = story.stack.programs().path("ctl").display().to_string();
    story.stack.client("/usr/bin/python3", [&script, &program]).expect();
    // Nobody reads: no words, and the code that SIGPIPE gives.
    let line =
        format!("{program} run --rm --network none busybox seq 100000 | head -1; echo ${{PIPESTATUS[0]}}");
    let piped = story.stack.client("bash", ["-c", &line]).run().unwrap();
    assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("1\n141\n", ""));
    story.end();
}
