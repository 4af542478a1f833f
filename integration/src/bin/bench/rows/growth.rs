//! What one more running container costs in memory, everything but its own processes.

use crate::memory;
use crate::side::{Pair, Side};
use crate::table::{Table, Unit};

const COUNT: usize = 20;

pub fn measure(table: &mut Table, pair: &Pair) {
    for (name, more) in [("no port", &[][..]), ("a published port", &["-p", "80"][..])] {
        let name = format!("memory: a running container, {name}, PSS");
        if table.wants(&name) {
            let [ours, theirs] = pair.sides().map(|side| growth(side, more));
            table.row(&name, Unit::Kib, ours, theirs);
        }
    }
    if table.wants("memory: a shim after 1000 execs, private dirty") {
        let [ours, theirs] = pair.sides().map(after_execs);
        table.row("memory: a shim after 1000 execs, private dirty", Unit::Kib, ours, theirs);
    }
}

fn growth(side: &Side, more: &[&str]) -> f64 {
    let before = memory::sum(&memory::all(side), "Pss");
    let names: Vec<String> = (0..COUNT).map(|number| format!("m{number}")).collect();
    for name in &names {
        side.call(&[&["run", "-d", "--name", name], more, &["busybox", "sleep", "1000"]].concat()).expect();
    }
    let after = memory::sum(&memory::all(side), "Pss");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    side.call(&[&["rm", "-f"], &names[..]].concat()).expect();
    (after - before) / COUNT as f64
}

fn after_execs(side: &Side) -> f64 {
    side.call(&["run", "-d", "--name", "worker", "busybox", "sleep", "1000"]).expect();
    for _ in 0..1000 {
        side.call(&["exec", "worker", "true"]).expect();
    }
    // Code that no other shim shares now is no growth.
    let held = memory::sum(&memory::shims(side), "Private_Dirty");
    side.call(&["rm", "-f", "worker"]).expect();
    held
}
