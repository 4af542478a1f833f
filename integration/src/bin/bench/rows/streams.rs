//! Work that is mostly bytes through the engine.

use crate::side::Pair;
use crate::table::{Table, mib, timed};

const TURNS: usize = 3;
const NAMES: &[&str] = &["cp in", "cp out", "exec -i, stdin", "exec, stdout", "export", "commit"];

pub fn measure(table: &mut Table, pair: &Pair) {
    let mib = mib();
    let names: Vec<String> = NAMES.iter().map(|name| format!("{mib} MiB: {name}")).collect();
    if !names.iter().any(|name| table.wants(name)) {
        return;
    }
    let (file, out) = (pair.scratch.join("bytes"), pair.scratch.join("out"));
    let bytes = vec![7u8; mib << 20];
    std::fs::write(&file, &bytes).expect("a file of bytes");
    let (file, out) = (file.display().to_string(), out.display().to_string());
    pair.both(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    table.calls(&names[0], TURNS, pair, &[&["cp", &file, "box:/bytes"]]);
    pair.both(&["cp", &file, "box:/bytes"]);
    table.calls(&names[1], TURNS, pair, &[&["cp", "box:/bytes", &out]]);
    let swallow = ["exec", "-i", "box", "sh", "-c", "cat >/dev/null"];
    table.turns(&names[2], TURNS, pair, |side| timed(side.call(&swallow).input(bytes.clone())));
    let pour = format!("head -c {} /dev/zero", mib << 20);
    table.turns(&names[3], TURNS, pair, |side| timed(side.discarding(&["exec", "box", "sh", "-c", &pour])));
    table.calls(&names[4], TURNS, pair, &[&["export", "-o", &out, "box"]]);
    table.calls(&names[5], TURNS, pair, &[&["commit", "box", "large"]]);
    pair.both(&["rm", "-f", "box"]);
    for side in pair.sides() {
        let _ = side.call(&["rmi", "large"]).run();
    }
    for path in [file, out] {
        let _ = std::fs::remove_file(path);
    }
}
