//! Containers that end at once.

use crate::side::Pair;
use crate::table::Table;

pub fn measure(table: &mut Table, pair: &Pair) {
    let rounds = table.rounds;
    let run = |name: &str, more: &[&str]| {
        let words = [["run", "--rm"].as_slice(), more, &["busybox", "true"]].concat();
        table.calls(&format!("run --rm {name}"), rounds, pair, &[&words]);
    };
    table.calls("client --version", rounds, pair, &[&["--version"]]);
    run("IMAGE true, bridge", &[]);
    run("--network none", &["--network", "none"]);
    run("--network host", &["--network", "host"]);
    run("-p 127.0.0.1::80", &["-p", "127.0.0.1::80"]);
    run("-m 64m --cpus .5 --pids-limit 64", &["-m", "64m", "--cpus", ".5", "--pids-limit", "64"]);
    table.calls("create + rm", rounds, pair, &[&["create", "--name", "c0", "busybox"], &["rm", "c0"]]);
}
