//! ctl drives a stock dockerd: one daemon, one story a section.

mod engine;

use std::process::Stdio;

use engine::{Engine, is_available};

#[test]
fn ctl_drives_a_stock_dockerd() {
    if !is_available() {
        return;
    }
    let engine = Engine::start();
    runs_and_exit_codes(&engine);
    streams(&engine);
    a_life(&engine);
    lists_and_templates(&engine);
    files(&engine);
    images(&engine);
    signals_reach_the_container(&engine);
    errors_in_dockers_words(&engine);
    the_stock_cli_prints_the_same(&engine);
}

const RUN: &[&str] = &["run", "--rm", "--network", "none"];

fn run(engine: &Engine, words: &[&str]) -> engine::Ran {
    engine.ctl(&[RUN, words].concat())
}

fn runs_and_exit_codes(engine: &Engine) {
    assert_eq!(run(engine, &["busybox", "echo", "hi"]).out, "hi\n");
    for (words, code) in [
        (&["busybox", "sh", "-c", "exit 7"][..], 7),
        (&["busybox", "nosuchcommand"], 127),
        (&["busybox", "/bin"], 126),
        (&["--pull", "never", "nosuchimage"], 125),
        (&["--nosuchflag", "busybox"], 125),
        (&["busybox", "sh", "-c", "sleep 9 & kill -9 $!; wait $!"], 137),
    ] {
        let ran = run(engine, words);
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
    }
    assert_eq!(
        run(
            engine,
            &["-e", "A=1", "-w", "/tmp", "-u", "5:6", "busybox", "sh", "-c", "echo $A; pwd; id -u; id -g"]
        )
        .out,
        "1\n/tmp\n5\n6\n"
    );
    assert_eq!(engine.ok(&["ps", "-aq"]), "", "--rm leaves nothing");
}

fn streams(engine: &Engine) {
    let ran = run(engine, &["busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
    let fed = engine.ctl_fed(&[RUN, &["-i", "busybox", "cat"]].concat(), "through\n");
    assert_eq!((fed.code, fed.out.as_str()), (0, "through\n"), "{fed:?}");
    let long = run(engine, &["busybox", "seq", "200000"]);
    assert_eq!(long.out.lines().count(), 200_000);
    assert!(long.out.ends_with("\n200000\n"));
}

fn a_life(engine: &Engine) {
    let id = engine.ok(&[
        "create",
        "--name",
        "life",
        "--network",
        "none",
        "-l",
        "a=b",
        "busybox",
        "sh",
        "-c",
        "echo begun; sleep 1000",
    ]);
    assert_eq!(id.trim().len(), 64);
    assert_eq!(engine.ok(&["start", "life"]), "life\n");
    let seen = |what: &str| engine.ok(&["inspect", "-f", what, "life"]).trim().to_owned();
    assert_eq!(seen("{{.State.Status}} {{.Config.Labels.a}}"), "running b");
    assert_eq!(engine.ok(&["exec", "life", "echo", "x"]), "x\n");
    assert_eq!(engine.ctl(&["exec", "life", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(engine.ctl_fed(&["exec", "-i", "life", "cat"], "fed").out, "fed");
    assert!(engine.ok(&["logs", "-t", "life"]).ends_with("Z begun\n"));
    assert!(engine.ok(&["top", "life"]).starts_with("UID "));
    engine.ok(&["pause", "life"]);
    assert_eq!(seen("{{.State.Paused}}"), "true");
    engine.ok(&["unpause", "life"]);
    engine.ok(&["rename", "life", "other"]);
    engine.ok(&["restart", "-t", "0", "other"]);
    assert_eq!(engine.ok(&["stop", "-t", "0", "other"]), "other\n");
    assert_eq!(engine.ok(&["wait", "other"]), "137\n");
    let events = engine.ok(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=rename",
        "--format",
        "{{.Actor.Attributes.name}}",
    ]);
    assert_eq!(events, "other\n");
    assert_eq!(engine.ok(&["rm", "other"]), "other\n");
}

fn lists_and_templates(engine: &Engine) {
    engine.ok(&["run", "-d", "--name", "listed", "--network", "none", "busybox", "sleep", "1000"]);
    let table = engine.ok(&["ps"]);
    assert!(table.starts_with("CONTAINER ID   IMAGE     COMMAND "), "{table}");
    assert_eq!(engine.ok(&["ps", "--format", "{{.Names}} {{.State | upper}}"]), "listed RUNNING\n");
    assert_eq!(
        engine.ok(&["ps", "--format", "table {{.Names}}\\t{{.Image}}"]),
        "NAMES     IMAGE\nlisted    busybox\n"
    );
    assert_eq!(engine.ok(&["ps", "-q", "--filter", "name=nosuch"]), "");
    let state = engine.ok(&["inspect", "-f", "{{json .State}}", "listed"]);
    assert!(state.starts_with("{\"Status\":\"running\",\"Running\":true,"), "{state}");
    assert!(engine.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}"]).starts_with("listed 1"));
    engine.ok(&["rm", "-f", "listed"]);
}

fn files(engine: &Engine) {
    engine.ok(&["run", "-d", "--name", "files", "--network", "none", "busybox", "sleep", "1000"]);
    let local = engine.path("local");
    std::fs::create_dir_all(local.join("sub")).unwrap();
    std::fs::write(local.join("sub/file"), "content").unwrap();
    let local = local.to_str().unwrap();
    engine.ok(&["cp", local, "files:/new"]);
    engine.ok(&["cp", &format!("{local}/."), "files:/tmp"]);
    engine.ok(&["cp", &format!("{local}/sub/file"), "files:/tmp/renamed"]);
    assert_eq!(
        engine.ok(&["exec", "files", "cat", "/new/sub/file", "/tmp/sub/file", "/tmp/renamed"]),
        "content".repeat(3)
    );
    engine.ok(&["cp", "files:/new", &format!("{local}/back")]);
    engine.ok(&["cp", "files:/new/.", &format!("{local}/sub")]);
    engine.ok(&["cp", "files:/tmp/renamed", &format!("{local}/one")]);
    for file in ["back/sub/file", "sub/sub/file", "one"] {
        assert_eq!(std::fs::read_to_string(format!("{local}/{file}")).unwrap(), "content", "{file}");
    }
    assert_eq!(engine.ctl(&["cp", "files:/nosuch", local]).code, 1);
    assert!(engine.ok(&["diff", "files"]).contains("A /tmp/renamed\n"));
    engine.ok(&["rm", "-f", "files"]);
}

fn images(engine: &Engine) {
    engine.ok(&["tag", "busybox", "localhost:1/named:1"]);
    assert_eq!(
        engine.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}", "localhost:1/named"]),
        "localhost:1/named:1\n"
    );
    let archive = engine.path("saved.tar");
    let archive = archive.to_str().unwrap();
    engine.ok(&["save", "-o", archive, "localhost:1/named:1"]);
    assert_eq!(engine.ok(&["rmi", "localhost:1/named:1"]), "Untagged: localhost:1/named:1\n");
    assert_eq!(engine.ok(&["load", "-i", archive]), "Loaded image: localhost:1/named:1\n");
    engine.ok(&["rmi", "localhost:1/named:1"]);
    assert_eq!(engine.ok(&["history", "-q", "busybox"]).lines().count(), 1);
}

fn signals_reach_the_container(engine: &Engine) {
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while true; do sleep 0.1; done";
    let mut child = engine
        .command(env!("CARGO_BIN_EXE_ctl"))
        .args([RUN, &["busybox", "sh", "-c", script]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    std::io::Read::read_to_string(&mut output, &mut line).unwrap();
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("ready\ncaught\n", Some(3)));
}

fn errors_in_dockers_words(engine: &Engine) {
    for (words, error) in [
        (&["rm", "nosuch"][..], "Error response from daemon: No such container: nosuch\n"),
        (&["inspect", "nosuch"], "Error: No such object: nosuch\n"),
        (&["cp", "a", "b"], "must specify at least one container source\n"),
    ] {
        assert_eq!(engine.ctl(words).err, error);
    }
    let typo = engine.ctl(&["rnu"]);
    assert!(typo.code == 1 && typo.err.ends_with("hint: Did you mean 'ctl run'?\n"), "{typo:?}");
    let swarm = engine.ctl(&["swarm", "init"]);
    assert!(swarm.code == 1 && swarm.err.starts_with("ctl: 'swarm' is not implemented here\n"), "{swarm:?}");
    let gone = engine.ctl(&["-H", "unix:///nonexistent.sock", "ps"]);
    assert_eq!(
        gone.err,
        "Cannot connect to the Docker daemon at unix:///nonexistent.sock. Is the docker daemon running?\n\
         hint: Is this the engine that is meant? It is named by -H, DOCKER_HOST or the context ('context ls').\n"
    );
}

/// Where the stock client is installed, both print the same bytes.
fn the_stock_cli_prints_the_same(engine: &Engine) {
    let version = engine.command("docker").args(["version", "--format", "{{.Client.Version}}"]).output();
    let Ok(version) = version else {
        eprintln!("SKIPPED: no docker CLI to compare with");
        return;
    };
    engine.ok(&[
        "run",
        "-d",
        "--name",
        "same",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo out; sleep 1000",
    ]);
    for words in [
        &["images", "--no-trunc"][..],
        &["images", "--format", "{{json .}}"],
        &["ps", "--no-trunc", "--format", "{{json .ID}} {{.Command}} {{.Names}}"],
        &["inspect", "same"],
        &[
            "inspect",
            "-f",
            "{{json .Config.Cmd}} {{.State.Pid}} {{.Config.Env}} {{.HostConfig.Binds}}",
            "same",
            "busybox",
        ],
        &["logs", "-t", "same"],
        &["top", "same", "-o", "pid,args"],
        &["network", "ls"],
        &["network", "inspect", "none"],
        &["history", "--no-trunc", "busybox"],
        &["exec", "same", "nosuch"],
        &["rm", "same"],
        &["wait", "nosuch"],
        &["volume", "ls"],
        &["system", "df"],
    ] {
        let theirs = || engine::Ran::from(engine.command("docker").args(words).output().unwrap());
        // Ages are told in seconds, and one may pass between the two: they agree when asked again at once.
        if (0..3).any(|_| engine.ctl(words) == theirs()) {
            continue;
        }
        assert_eq!(
            engine.ctl(words),
            theirs(),
            "{words:?} of docker {}",
            String::from_utf8_lossy(&version.stdout)
        );
    }
    engine.ok(&["rm", "-f", "same"]);
}
