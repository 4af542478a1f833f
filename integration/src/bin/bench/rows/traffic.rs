//! Bytes between containers, and from the host through a published port.

use crate::side::{Pair, Side};
use crate::table::{Table, mib, timed};
use integration::until;
use std::path::Path;
use std::time::Duration;

const TURNS: usize = 3;

pub fn measure(table: &mut Table, pair: &Pair) {
    let mib = 2 * mib();
    let names = [
        "container to container",
        "host to published port by 127.0.0.1",
        "host to published port by the bridge",
    ]
    .map(|name| format!("TCP {name}"));
    if !names.iter().any(|name| table.wants(name)) {
        return;
    }
    // Its input stays open: a server whose input ends says so to its client.
    let server = "while :; do sleep 10000 | nc -l -p 5000 >/dev/null; done";
    pair.both(&[
        "run",
        "-d",
        "--init",
        "--name",
        "server",
        "-p",
        "127.0.0.1::5000",
        "-p",
        "5000",
        "busybox",
        "sh",
        "-c",
        server,
    ]);
    pair.both(&["run", "-d", "--name", "client", "busybox", "sleep", "1000"]);
    table.rate(&names[0], TURNS, mib, pair, |side| {
        let send = format!(
            "dd if=/dev/zero bs=1M count={mib} 2>/dev/null | nc {} 5000",
            inspect(side, "{{.NetworkSettings.IPAddress}}")
        );
        listening(side);
        timed(side.call(&["exec", "client", "sh", "-c", &send]))
    });
    let by_port = |side: &Side, ip: &str| -> Duration {
        let ports = side.call(&["port", "server", "5000"]).expect();
        let find = |prefix: &str| {
            ports.lines().find_map(|line| line.strip_prefix(prefix)).expect("a port").to_owned()
        };
        let port = if ip == "127.0.0.1" { find("127.0.0.1:") } else { find("0.0.0.0:") };
        let program = std::env::current_exe().expect("this program");
        listening(side);
        timed(side.in_network(Path::new(&program), &["__send", &format!("{ip}:{port}"), &mib.to_string()]))
    };
    table.rate(&names[1], TURNS, mib, pair, |side| by_port(side, "127.0.0.1"));
    table.rate(&names[2], TURNS, mib, pair, |side| {
        by_port(side, &inspect(side, "{{.NetworkSettings.Gateway}}"))
    });
    pair.both(&["rm", "-f", "server", "client"]);
}

fn inspect(side: &Side, template: &str) -> String {
    side.call(&["inspect", "-f", template, "server"]).expect()
}

/// Waits until the server takes connections again; a connection would be a turn of its own.
fn listening(side: &Side) {
    until("the server listens", || {
        let table = side.call(&["exec", "server", "cat", "/proc/net/tcp", "/proc/net/tcp6"]).expect();
        table.lines().any(|line| line.contains(":1388 ") && line.contains(" 0A ")).then_some(())
    });
}
