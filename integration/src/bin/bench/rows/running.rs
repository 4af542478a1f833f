//! What is done to a container that runs.

use crate::side::Pair;
use crate::table::Table;

/// A program that obeys its signal.
const OBEDIENT: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done";

pub fn measure(table: &mut Table, pair: &Pair) {
    let names = ["exec true", "restart -t 0", "stop + start"];
    if !names.iter().any(|name| table.wants(name)) {
        return;
    }
    pair.both(&["run", "-d", "--name", "one", "busybox", "sh", "-c", OBEDIENT]);
    table.calls(names[0], table.rounds, pair, &[&["exec", "one", "true"]]);
    table.calls(names[1], table.rounds, pair, &[&["restart", "-t", "0", "one"]]);
    table.calls(names[2], table.rounds, pair, &[&["stop", "one"], &["start", "one"]]);
    pair.both(&["rm", "-f", "one"]);
}
