//! Ours beside Debian's dockerd, in one run, turn by turn: medians and ratios.
//!
//! `cargo run --release -p integration --bin bench [ROUNDS]`. dockerd runs in a network namespace of its own so
//! that its bridge and rules stay off this host. `ROWS=word,word` measures only groups and rows whose names contain a
//! word; `MIB=1024` sets how many bytes logs, images and streams are made of. `thousand` is measured when asked for.

mod http;
mod memory;
mod rows;
mod side;
mod table;
mod traffic;

use integration::Story;
use integration::image::Image;
use integration::peer::{Dockerd, find};
use side::{Pair, Side};
use std::path::PathBuf;
use table::Table;

/// Fills a part of the table.
type Measure = fn(&mut Table, &Pair);

/// What is measured, a part of the table each, in the order of the table.
const GROUPS: &[(&str, Measure)] = &[
    ("daemons", rows::daemons::measure),
    ("lives", rows::lives::measure),
    ("running", rows::running::measure),
    ("questions", rows::questions::measure),
    ("fifty", rows::fifty::measure),
    ("memory", rows::growth::measure),
    ("logs", rows::logs::measure),
    ("images", rows::images::measure),
    ("streams", rows::streams::measure),
    ("traffic", rows::traffic::measure),
    ("thousand", rows::thousand::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["__send", address, mib] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return traffic::send(address, mib.parse().expect("a number of MiB"));
    }
    let rounds = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(20);
    let Some(docker) = find("dockerd").and(Some(PathBuf::from("/usr/bin/docker"))) else {
        eprintln!("bench: dockerd is not installed: run `deploy/needs test`");
        std::process::exit(1);
    };
    let mut table = Table::new(rounds);
    let story = Story::new().at_length();
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").expect("a scratch directory");
    let dockerd = Dockerd::start_in_own_network(&scratch.path().join("d")).expect("dockerd starts");
    let pair = Pair {
        ours: Side::ours(&story),
        theirs: Side::theirs(docker, &dockerd),
        scratch: scratch.path().to_owned(),
    };
    let archive =
        Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).expect("an image");
    pair.theirs.call(&["load"]).input(archive).expect();
    for (name, measure) in GROUPS {
        if table.begin(name) {
            measure(&mut table, &pair);
        }
    }
    drop(dockerd);
    story.end();
}
