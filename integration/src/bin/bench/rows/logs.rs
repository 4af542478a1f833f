//! Lines of a hundred bytes, written by a container and read back.

use crate::side::{Pair, Side};
use crate::table::{Table, mib, timed};
use std::time::Duration;

const DRIVERS: &[&str] = &["none", "json-file", "local"];

pub fn measure(table: &mut Table, pair: &Pair) {
    let mib = mib();
    let line = "0123456789".repeat(10);
    let script = format!("yes {line} | head -c {}", mib << 20);
    let write = |side: &Side, driver: &str| -> Duration {
        let name = format!("talker-{driver}");
        side.call(&["create", "--name", &name, "--log-driver", driver, "busybox", "sh", "-c", &script])
            .expect();
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
