//! `update`.

use engine_api::host_config::{Resources, UpdateRequest, Updated};

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::{restart, size};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container update", "update"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Change the limits of one or more containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::uint("blkio-weight", "Block I/O weight, 10 to 1000, or 0 for none").value("uint16").default("0"),
    Flag::int("cpu-period", "Period of the CPU quota, in microseconds"),
    Flag::int("cpu-quota", "CPU time a period, in microseconds"),
    Flag::int("cpu-rt-period", "Real-time period, in microseconds"),
    Flag::int("cpu-rt-runtime", "Real-time CPU time a period, in microseconds"),
    Flag::int("cpu-shares", "CPU weight relative to other containers").short('c'),
    Flag::cpus("cpus", "Number of CPUs").since(29),
    Flag::text("cpuset-cpus", "CPUs to run on (0-3, 0,1)"),
    Flag::text("cpuset-mems", "Memory nodes to use (0-3, 0,1)"),
    Flag::bytes("memory", "Limit of memory").short('m'),
    Flag::bytes("memory-reservation", "Memory that is kept for the container"),
    Flag::bytes_or_none("memory-swap", "Limit of memory and swap together, -1 for none"),
    Flag::int("pids-limit", "Limit of processes, -1 for none").since(40),
    Flag::text("restart", "When to restart: no, on-failure[:max], always, unless-stopped"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if !FLAGS.iter().any(|flag| matches.changed(flag.name)) {
        return Err(Failure::new("you must provide one or more flags when using this command"));
    }
    let int = |name: &str| matches.int(name).unwrap_or(0);
    let bytes = |name: &str| matches.bytes(name).unwrap_or(0);
    let resources = Resources {
        blkio_weight: u16::try_from(int("blkio-weight"))
            .map_err(|_| Failure::new("invalid block I/O weight"))?,
        cpu_period: int("cpu-period"),
        cpu_quota: int("cpu-quota"),
        cpu_realtime_period: int("cpu-rt-period"),
        cpu_realtime_runtime: int("cpu-rt-runtime"),
        cpu_shares: int("cpu-shares"),
        nano_cpus: matches.text("cpus").map_or(Ok(0), size::parse_cpus)?,
        cpuset_cpus: matches.string("cpuset-cpus"),
        cpuset_mems: matches.string("cpuset-mems"),
        memory: bytes("memory"),
        memory_reservation: bytes("memory-reservation"),
        memory_swap: bytes("memory-swap"),
        pids_limit: matches.int("pids-limit"),
        ..Resources::default()
    };
    let restart_policy = match matches.text("restart") {
        Some(text) => restart::policy(text)?,
        None => Default::default(),
    };
    let body = UpdateRequest { restart_policy, resources };
    let mut each = Each::default();
    let mut warnings = Vec::new();
    for name in &matches.args {
        let updated =
            session.engine.post(&format!("/containers/{name}/update")).json(&body)?.fetch::<Updated>().await;
        let updated = updated.map(|updated| warnings.extend(updated.warnings.unwrap_or_default()));
        each.done(name, updated)?;
    }
    for warning in warnings {
        output::note(warning);
    }
    each.finish()
}
