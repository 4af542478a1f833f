//! A thousand containers on one host, ours alone: what the first costs, and the last.

use crate::http::Connection;
use crate::memory;
use crate::side::{Pair, Side};
use crate::table::{Table, Unit, middle, millis, timed, timing};
use std::time::Duration;

const COUNT: usize = 1000;
const SAMPLE: usize = 20;

pub fn measure(table: &mut Table, pair: &Pair) {
    let side = &pair.ours;
    let alone =
        |name: &str, unit, figure: f64| table.row(&format!("thousand: {name}"), unit, figure, f64::NAN);
    let name = |number: usize| format!("k{number}");
    let start = |number: usize| {
        timed(side.call(&["run", "-d", "--name", &name(number), "busybox", "sleep", "100000"]))
    };
    let times: Vec<Duration> = (0..COUNT).map(start).collect();
    alone("run -d, the first twenty, each", Unit::Millis, millis(middle(times[..SAMPLE].to_vec())));
    alone("run -d, the last twenty, each", Unit::Millis, millis(middle(times[COUNT - SAMPLE..].to_vec())));
    let calls = |words: &[&str]| millis(middle((0..SAMPLE).map(|_| timed(side.call(words))).collect()));
    alone("ps", Unit::Millis, calls(&["ps"]));
    alone("ps -q", Unit::Millis, calls(&["ps", "-q"]));
    let mut connection = Connection::open(side.socket()).expect("an engine");
    let list = (0..SAMPLE).map(|_| timing(|| drop(connection.get("/containers/json").expect("an answer"))));
    alone("GET /containers/json", Unit::Millis, millis(middle(list.collect())));
    alone("exec true", Unit::Millis, calls(&["exec", "k0", "true"]));
    let more: Vec<String> = (COUNT..COUNT + 2 * SAMPLE).map(name).collect();
    let sequence: Duration = (COUNT..COUNT + SAMPLE).map(start).sum();
    alone("twenty more in sequence, all", Unit::Millis, millis(sequence));
    let at_once = timing(|| {
        std::thread::scope(|scope| {
            for number in COUNT + SAMPLE..COUNT + 2 * SAMPLE {
                scope.spawn(move || start_one(side, number));
            }
        });
    });
    alone("twenty more in parallel, all", Unit::Millis, millis(at_once));
    alone("daemons, RSS", Unit::Kib, memory::sum(&side.daemons, "Rss"));
    alone(
        "daemons and shims, PSS, each container",
        Unit::Kib,
        memory::sum(&memory::all(side), "Pss") / COUNT as f64,
    );
    let names: Vec<String> = (0..COUNT).map(name).chain(more).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let removed = timed(side.call(&[&["rm", "-f"], &names[..]].concat()));
    alone("rm -f, each", Unit::Millis, millis(removed) / names.len() as f64);
}

fn start_one(side: &Side, number: usize) {
    side.call(&["run", "-d", "--name", &format!("k{number}"), "busybox", "sleep", "100000"]).expect();
}
