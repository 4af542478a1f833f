//! Lines of a hundred bytes and their ends, written by a container and read back.

use crate::side::{Pair, Side};
use crate::table::{Table, mib, timed};
use std::time::Duration;

/// A file that is written again and again: a program that makes lines would be what is measured.
const LINES_MIB: usize = 16;
const DRIVERS: &[&str] = &["none", "json-file", "local"];

pub fn measure(table: &mut Table, pair: &Pair) {
    let mib = mib();
    let lines = pair.scratch.join("lines");
    let line = format!("{}\n", "0123456789".repeat(10));
    std::fs::write(&lines, line.repeat((LINES_MIB << 20) / line.len())).expect("a file of lines");
    let lines = lines.display().to_string();
    let script = format!("for i in $(seq {}); do cat /lines; done", mib / LINES_MIB);
    let write = |side: &Side, driver: &str| -> Duration {
        let name = format!("talker-{driver}");
        side.call(&["create", "--name", &name, "--log-driver", driver, "busybox", "sh", "-c", &script])
            .expect();
        side.call(&["cp", &lines, &format!("{name}:/lines")]).expect();
        timed(side.call(&["start", &name])) + timed(side.call(&["wait", &name]))
    };
    for driver in DRIVERS {
        let (written, read) = (format!("logs: write, {driver}"), format!("logs: read, {driver}"));
        let tail = format!("logs: tail 10, {driver}");
        if ![&written, &read, &tail].iter().any(|name| table.wants(name)) {
            continue;
        }
        table.rate(&written, 1, mib, pair, |side| write(side, driver));
        if !table.wants(&written) {
            for side in pair.sides() {
                write(side, driver);
            }
        }
        let name = format!("talker-{driver}");
        if *driver != "none" {
            table.rate(&read, 1, mib, pair, |side| timed(side.discarding(&["logs", &name])));
            table.calls(&tail, table.rounds.min(10), pair, &[&["logs", "--tail", "10", &name]]);
        }
        pair.both(&["rm", "-f", &name]);
    }
}
