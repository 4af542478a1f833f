//! `stats`.

use std::io::{self, IsTerminal};

use engine_api::container::Summary;
use engine_api::stats::{MemoryStats, Stats};
use engine_client::Error;
use futures_util::future::join_all;

use crate::commands::listing::{FORMAT, Listing, NO_RAW, NO_TRUNC, short_id};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, Row, cell, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container stats", "stats"],
    usage: "[CONTAINER...]",
    about: "Show what containers use, as it changes",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Show all containers, not only the running ones").short('a'),
    FORMAT,
    Flag::bool("no-stream", "Show once and end"),
    NO_TRUNC,
];
const TABLE: &str =
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
const COLUMNS: &[(&str, &str)] = &[
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];
const CLEAR: &str = "\x1b[2J\x1b[H";

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let listing = Listing { columns: COLUMNS, table: TABLE, quiet: "", setting: "statsFormat", raw: NO_RAW };
    let redraw = io::stdout().is_terminal() && !matches.flag("no-stream");
    loop {
        let names = names(session, matches).await?;
        let samples = join_all(names.iter().map(|name| sample(session, name))).await;
        let mut rows = Vec::new();
        for (name, sample) in names.iter().zip(samples) {
            match sample {
                Ok(sample) => rows.push(row(name, &sample, matches.flag("no-trunc"))),
                // One that was removed meanwhile is no failure, unless it was asked for.
                Err(error) if error.is_not_found() && matches.args.is_empty() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if redraw {
            output::print(CLEAR)?;
        }
        listing.print(session, matches, &rows)?;
        if matches.flag("no-stream") {
            return Ok(Exit::OK);
        }
        if names.is_empty() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

async fn names(session: &Session, matches: &Matches) -> Result<Vec<String>, Error> {
    if !matches.args.is_empty() {
        return Ok(matches.args.clone());
    }
    let request = session.engine.get("/containers/json").query_flag("all", matches.flag("all"));
    let containers: Vec<Summary> = request.fetch().await?;
    Ok(containers.into_iter().map(|container| container.id).collect())
}

/// The engine takes two samples a second apart.
async fn sample(session: &Session, name: &str) -> Result<Stats, Error> {
    session.engine.get(&format!("/containers/{name}/stats")).query("stream", "0").fetch().await
}

fn row(name: &str, stats: &Stats, whole: bool) -> Row {
    let mut row = Row::new();
    let cells = &mut row;
    cell(cells, "Container", name);
    cell(cells, "ID", if whole { &stats.id } else { short_id(&stats.id) });
    cell(cells, "Name", stats.name.trim_start_matches('/'));
    cell(cells, "CPUPerc", format!("{:.2}%", cpu_percent(stats)));
    let (used, limit) = (memory_used(&stats.memory_stats) as f64, stats.memory_stats.limit as f64);
    cell(cells, "MemUsage", format!("{} / {}", units::bytes_size(used), units::bytes_size(limit)));
    cell(cells, "MemPerc", format!("{:.2}%", if limit > 0.0 { used / limit * 100.0 } else { 0.0 }));
    let (received, sent) =
        stats.networks.values().fold((0, 0), |sum, one| (sum.0 + one.rx_bytes, sum.1 + one.tx_bytes));
    cell(
        cells,
        "NetIO",
        format!("{} / {}", units::human_size_3(received as f64), units::human_size_3(sent as f64)),
    );
    let moved = |op: &str| {
        let rows = stats.blkio_stats.io_service_bytes_recursive.iter().flatten();
        rows.filter(|row| row.op.eq_ignore_ascii_case(op)).map(|row| row.value).sum::<u64>() as f64
    };
    cell(
        cells,
        "BlockIO",
        format!("{} / {}", units::human_size_3(moved("read")), units::human_size_3(moved("write"))),
    );
    cell(cells, "PIDs", stats.pids_stats.current.to_string());
    row
}

/// Share of one CPU, 100 for a whole one.
fn cpu_percent(stats: &Stats) -> f64 {
    let (now, before) = (&stats.cpu_stats, &stats.precpu_stats);
    let used = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
    let system = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
    let cpus = if now.online_cpus > 0 {
        f64::from(now.online_cpus)
    } else {
        now.cpu_usage.percpu_usage.len() as f64
    };
    if used > 0.0 && system > 0.0 { used / system * cpus * 100.0 } else { 0.0 }
}

/// Without the cache that the kernel gives back when asked.
fn memory_used(memory: &MemoryStats) -> u64 {
    let cache = memory
        .stats
        .get("total_inactive_file")
        .or_else(|| memory.stats.get("inactive_file"))
        .copied()
        .unwrap_or(0);
    if cache < memory.usage { memory.usage - cache } else { memory.usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_memory() {
        let json = r#"{"cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":2000,"online_cpus":2},
            "precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},
            "memory_stats":{"usage":100,"stats":{"inactive_file":30}}}"#;
        let stats: Stats = serde_json::from_str(json).unwrap();
        assert!((cpu_percent(&stats) - 40.0).abs() < 1e-9);
        assert_eq!(memory_used(&stats.memory_stats), 70);
    }
}
