//! Daemons that have nothing to do: how soon they answer, what they hold.

use crate::memory;
use crate::side::Pair;
use crate::table::{Table, Unit, middle, millis, timing};
use integration::Stack;
use integration::peer::Dockerd;
use std::time::{Duration, Instant};

/// How long nothing is asked before they are called idle.
const REST: Duration = Duration::from_secs(15);

pub fn measure(table: &mut Table, pair: &Pair) {
    if table.wants("daemons idle, RSS") {
        std::thread::sleep(REST);
    }
    for field in ["Rss", "Pss"] {
        let name = format!("daemons idle, {}", field.to_uppercase());
        if table.wants(&name) {
            let [ours, theirs] = pair.sides().map(|side| memory::sum(&side.daemons, field));
            table.row(&name, Unit::Kib, ours, theirs);
        }
    }
    if table.wants("daemons start") {
        let rounds = table.rounds.clamp(1, 5);
        let turns = (0..rounds).map(|round| (ours(pair, round), theirs(pair, round)));
        let (ours, theirs): (Vec<_>, Vec<_>) = turns.unzip();
        for (place, name) in ["fresh", "again"].into_iter().enumerate() {
            let of = |turns: &[[Duration; 2]]| millis(middle(turns.iter().map(|turn| turn[place]).collect()));
            table.row(&format!("daemons start, exec to ready, {name}"), Unit::Millis, of(&ours), of(&theirs));
        }
    }
}

/// A stack that never ran, then the same once more.
fn ours(pair: &Pair, round: usize) -> [Duration; 2] {
    let stack = Stack::at(&pair.scratch.join(format!("ours{round}"))).expect("a directory");
    let fresh = timing(|| stack.up().expect("the stack starts"));
    for name in ["engined", "supervisord"] {
        stack.daemon(name).and_then(|daemon| daemon.stop()).expect("a daemon ends");
    }
    let again = timing(|| stack.up().expect("the stack starts"));
    stack.down().expect("the stack goes");
    [fresh, again]
}

fn theirs(pair: &Pair, round: usize) -> [Duration; 2] {
    let dir = pair.scratch.join(format!("theirs{round}"));
    let start = || {
        let began = Instant::now();
        let daemon = Dockerd::start_in_own_network(&dir).expect("dockerd starts");
        let took = began.elapsed();
        drop(daemon);
        took
    };
    [start(), start()]
}
