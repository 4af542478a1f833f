//! Questions to the engine itself, with ten containers running.

use crate::http::Connection;
use crate::side::{Pair, Side};
use crate::table::{Table, timing};

const PATHS: &[&str] =
    &["/_ping", "/containers/json", "/containers/q0/json", "/info", "/version", "/images/json"];

pub fn measure(table: &mut Table, pair: &Pair) {
    if !PATHS.iter().any(|path| table.wants(&format!("GET {path}"))) {
        return;
    }
    let names: Vec<String> = (0..10).map(|number| format!("q{number}")).collect();
    for name in &names {
        pair.both(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
    }
    let open = |side: &Side| Connection::open(side.socket()).expect("an engine");
    let (mut ours, mut theirs) = (open(&pair.ours), open(&pair.theirs));
    for path in PATHS {
        table.turns(&format!("GET {path}"), table.rounds.max(20), pair, |side| {
            let connection = if std::ptr::eq(side, &pair.ours) { &mut ours } else { &mut theirs };
            timing(|| drop(connection.get(path).expect("an answer")))
        });
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pair.both(&[&["rm", "-f"], &names[..]].concat());
}
