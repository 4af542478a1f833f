//! Fifty containers that run, and twenty at once.

use crate::memory;
use crate::side::{Pair, Side};
use crate::table::{Table, Unit, millis, timed, timing};

const COUNT: usize = 50;
const AT_ONCE: usize = 20;

pub fn measure(table: &mut Table, pair: &Pair) {
    if table.wants("fifty") {
        sequence(table, pair);
    }
    if table.wants("in parallel") {
        parallel(table, pair);
    }
}

fn sequence(table: &Table, pair: &Pair) {
    let start = |side: &Side| {
        let start = |number| {
            timed(side.call(&["run", "-d", "--name", &format!("b{number}"), "busybox", "sleep", "1000"]))
        };
        millis((0..COUNT).map(start).sum()) / COUNT as f64
    };
    let [ours, theirs] = pair.sides().map(start);
    table.row("fifty: run -d in sequence, each", Unit::Millis, ours, theirs);
    table.calls("fifty: exec true", table.rounds, pair, &[&["exec", "b0", "true"]]);
    table.calls("fifty: ps", table.rounds, pair, &[&["ps", "-q"]]);
    table.calls("fifty: stats --no-stream", 1, pair, &[&["stats", "--no-stream"]]);
    for field in ["Rss", "Pss"] {
        let [ours, theirs] = pair.sides().map(|side| memory::sum(&side.daemons, field));
        table.row(&format!("fifty: daemons, {}", field.to_uppercase()), Unit::Kib, ours, theirs);
    }
    let shim = |name: &str, fields: &[&str]| {
        let [ours, theirs] = pair.sides().map(|side| {
            let shims = memory::shims(side);
            fields.iter().map(|field| memory::sum(&shims, field)).sum::<f64>() / shims.len() as f64
        });
        table.row(name, Unit::Kib, ours, theirs);
    };
    shim("fifty: a shim, PSS", &["Pss"]);
    shim("fifty: a shim, private", &["Private_Clean", "Private_Dirty"]);
    let names: Vec<String> = (0..COUNT).map(|number| format!("b{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let remove = [&["rm", "-f"], &names[..]].concat();
    let [ours, theirs] = pair.sides().map(|side| millis(timed(side.call(&remove))));
    table.row("fifty: rm -f of all in one command", Unit::Millis, ours, theirs);
}

/// Clients of their own, at once.
fn parallel(table: &Table, pair: &Pair) {
    let at_once = |side: &Side, words: &(dyn Fn(&str) -> Vec<String> + Sync)| {
        millis(timing(|| {
            std::thread::scope(|scope| {
                for number in 0..AT_ONCE {
                    scope.spawn(move || {
                        let words = words(&format!("p{number}"));
                        side.call(&words.iter().map(String::as_str).collect::<Vec<_>>()).expect();
                    });
                }
            });
        }))
    };
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let run = move |name: &str| words(format!("run -d --name {name} busybox sleep 1000"));
    let [ours, theirs] = pair.sides().map(|side| at_once(side, &run));
    table.row(&format!("run -d x {AT_ONCE} in parallel, all"), Unit::Millis, ours, theirs);
    let remove = move |name: &str| words(format!("rm -f {name}"));
    let [ours, theirs] = pair.sides().map(|side| at_once(side, &remove));
    table.row(&format!("rm -f x {AT_ONCE} in parallel, all"), Unit::Millis, ours, theirs);
}
