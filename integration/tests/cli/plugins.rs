//! The stock plugins of the docker CLI, found and run by ctl, on our engine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use integration::Story;

/// Debian 13's compose and buildx, unpacked by `interop/cli-plugins`.
fn plugins() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/cli-plugins");
    if directory.join("docker-compose").is_file() {
        return directory.canonicalize().ok();
    }
    assert!(
        std::env::var_os("WHERRY_REQUIRE_PEERS").is_none(),
        "{} is empty: run integration/interop/cli-plugins",
        directory.display()
    );
    eprintln!("NOT RUN: {} is empty", directory.display());
    None
}

/// Two services that know each other by name, one waited for until it is healthy, one reached from the host.
const PROJECT: &str = r#"
services:
  db:
    image: busybox
    command: ["sh", "-c", "echo db up; touch /data/ready; while true; do echo stored | nc -l -p 5432; done"]
    volumes: ["kept:/data"]
    networks: [back]
    stop_signal: KILL
    healthcheck: {test: ["CMD", "test", "-e", "/data/ready"], interval: 1s, timeout: 10s, retries: 20}
  web:
    image: busybox
    depends_on: {db: {condition: service_healthy}}
    command: ["sh", "-c", "mkdir -p /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"]
    ports: ["127.0.0.1::80"]
    environment: {MODE: prod}
    stop_signal: KILL
    networks: [front, back]
    configs: [{source: greeting, target: /etc/greeting}]
    deploy: {resources: {limits: {memory: 64M}}}
networks: {front: {}, back: {internal: true}}
volumes: {kept: {}}
configs: {greeting: {file: ./greeting}}
"#;

#[test]
fn compose_brings_a_project_up_and_down() {
    let Some(plugins) = plugins() else { return };
    let story = Story::new();
    let config = story.path("config");
    std::fs::create_dir_all(&config).unwrap();
    std::os::unix::fs::symlink(&plugins, config.join("cli-plugins")).unwrap();
    let file = story.path("compose.yaml").display().to_string();
    std::fs::write(&file, PROJECT).unwrap();
    std::fs::write(story.path("greeting"), "hello\n").unwrap();
    let ctl = |words: &[&str]| {
        story.ctl().call([]).env("DOCKER_CONFIG", &config.display().to_string()).args(words.to_vec())
    };
    let compose = |words: &[&str]| ctl(&[&["compose", "-f", &file, "-p", "sail"][..], words].concat());

    assert!(ctl(&["buildx", "version"]).expect().starts_with("github.com/docker/buildx "));
    compose(&["up", "-d", "--wait"]).expect();
    let states = compose(&["ps", "--format", "{{.Service}} {{.State}} {{.Health}}"]).expect();
    assert_eq!(states.lines().map(str::trim).collect::<Vec<_>>(), ["db running healthy", "web running"]);
    assert_eq!(get(&compose(&["port", "web", "80"]).expect()), "served\n");
    let inside = "echo $MODE; cat /etc/greeting; nc -w 5 db 5432 < /dev/null";
    assert_eq!(compose(&["exec", "-T", "web", "sh", "-c", inside]).expect(), "prod\nhello\nstored");
    let memory = ctl(&["inspect", "-f", "{{.HostConfig.Memory}}", "sail-web-1"]).expect();
    assert_eq!(memory, (64 << 20).to_string());
    assert!(compose(&["logs", "--no-color", "db"]).expect().contains("db up"));
    assert_eq!(compose(&["run", "--rm", "-T", "web", "echo", "once"]).expect(), "once");
    compose(&["up", "-d", "--scale", "web=2"]).expect();
    assert_eq!(compose(&["ps", "-q", "web"]).expect().lines().count(), 2);
    assert!(compose(&["top", "db"]).expect().contains("nc -l -p 5432"));
    compose(&["restart", "-t", "0", "db"]).expect();
    let copied = story.path("index.html").display().to_string();
    compose(&["cp", "web:/www/index.html", &copied]).expect();
    assert_eq!(std::fs::read_to_string(&copied).unwrap(), "served\n");

    compose(&["down", "-v"]).expect();
    assert_eq!(ctl(&["ps", "-aq"]).expect(), "");
    assert_eq!(ctl(&["volume", "ls", "-q"]).expect(), "");
    assert_eq!(ctl(&["network", "ls", "-q", "--filter", "type=custom"]).expect(), "");
    story.end();
}

/// What a server answers to the simplest of requests, without its head.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned())
}
