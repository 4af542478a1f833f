//! Our client and the stock one print the same bytes and end with the same code, line by line, on the same engine.
//!
//! `cli/lines.txt` holds the lines; on dockerd a part of them, all with `WHERRY_CLI_LINES=all`.

#[path = "cli/far.rs"]
mod far;
#[path = "cli/installed.rs"]
mod installed;
#[path = "cli/lines.rs"]
mod lines;
#[path = "cli/normal.rs"]
mod normal;
#[path = "cli/person.rs"]
mod person;
#[path = "cli/plugins.rs"]
mod plugins;

use std::path::{Path, PathBuf};
use std::process::Command;

use integration::image::Image;
use integration::peer::{Dockerd, find, require};
use integration::{Invocation, Outcome, Programs, Story};
use lines::Line;
use normal::normal;

/// Sections that are run on dockerd, too, in every run.
const ON_DOCKERD: &[&str] = &["lists of containers", "the engine"];

/// The stock client whose words these are; Debian 12 has an older one, so that its absence is no failure.
fn stock_client() -> Option<PathBuf> {
    let docker = find("docker")?;
    let output = Command::new(&docker)
        .args(["version", "--format", "{{.Client.Version}}"])
        .env("DOCKER_HOST", "unix:///nonexistent")
        .output()
        .ok()?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if version.starts_with("28.") {
        return Some(docker);
    }
    eprintln!("NOT RUN: the docker CLI first on the path is {version}, not 28");
    None
}

/// The two clients on one engine.
struct Pair {
    ours: PathBuf,
    stock: PathBuf,
    host: String,
    scratch: PathBuf,
}

impl Pair {
    fn run(&self, program: &Path, tag: &str, line: &Line) -> Outcome {
        let directory = self.scratch.display().to_string();
        let words = line.words.iter().map(|word| word.replace("{c}", tag).replace("{t}", &directory));
        Invocation::new(program)
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", &self.scratch.join(format!("config-{tag}")).display().to_string())
            .env("DOCKER_CLI_HINTS", "false")
            .args(words)
            .input(line.input.clone())
            .run()
            .expect("a client can be run")
    }

    /// What is wrong with a line, if anything is.
    fn differ(&self, line: &Line) -> Option<String> {
        let ours = normal(&self.run(&self.ours, "qqmine", line), "qqmine");
        let stock = normal(&self.run(&self.stock, "qqthem", line), "qqthem");
        (ours != stock).then(|| format!("=== {}\n{}", line.text, stock.difference(&ours)))
    }

    fn prepare(&self, lines: &[Line]) {
        std::fs::create_dir_all(&self.scratch).expect("a scratch directory");
        for line in lines.iter().filter(|line| line.prepares) {
            let outcome = self.run(&self.stock, "qqthem", line);
            assert!(matches!(outcome.code, 0 | 3), "{}: {outcome:?}", line.text);
        }
    }

    fn compare<'a>(&self, lines: impl Iterator<Item = &'a Line>) {
        let mut count = 0;
        // Ages are told in whole seconds, so that a line may be asked again: what truly differs differs twice.
        let wrong: Vec<String> = lines
            .filter(|line| !line.prepares)
            .inspect(|_| count += 1)
            .filter_map(|line| {
                self.differ(line)
                    .and_then(|told| if line.is_repeatable() { self.differ(line) } else { Some(told) })
            })
            .collect();
        assert!(wrong.is_empty(), "{} of {count} lines differ:\n{}", wrong.len(), wrong.join("\n"));
        eprintln!("{count} lines agree");
    }
}

#[test]
fn both_clients_agree_on_our_engine() {
    let Some(stock) = stock_client() else { return };
    let story = Story::new();
    let ours = story.stack.programs().path("ctl");
    let pair = Pair { ours, stock, host: story.stack.docker_host(), scratch: story.path("clients") };
    let lines = lines::all();
    pair.prepare(&lines);
    pair.compare(lines.iter());
    story.end();
}

#[test]
fn both_clients_agree_on_dockerd() {
    let Some(stock) = stock_client() else { return };
    if !require("dockerd") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let dockerd = Dockerd::start_in_own_network(&scratch.path().join("d")).unwrap();
    let ours = Programs::find().path("ctl");
    let pair = Pair { ours, stock, host: dockerd.docker_host(), scratch: scratch.path().join("clients") };
    let archive = Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).unwrap();
    Invocation::new(&pair.ours).env("DOCKER_HOST", &pair.host).args(["load"]).input(archive).expect();
    let lines = lines::all();
    pair.prepare(&lines);
    let all = std::env::var("WHERRY_CLI_LINES").is_ok_and(|which| which == "all");
    pair.compare(lines.iter().filter(|line| all || ON_DOCKERD.contains(&line.section)));
    for id in Invocation::new(&pair.ours).env("DOCKER_HOST", &pair.host).args(["ps", "-aq"]).expect().lines()
    {
        Invocation::new(&pair.ours).env("DOCKER_HOST", &pair.host).args(["rm", "-f", id]).expect();
    }
}
