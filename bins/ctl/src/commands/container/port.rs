//! `port`.

use crate::commands::container::attached;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container port", "port"],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "Show the published ports of a container",
    flags: &[],
    arity: Arity::Between(1, 2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let container = attached::inspect(session, matches.arg(0)).await?;
    let ports = &container.network_settings.ports;
    let join = |ip: &str, port: &str| {
        if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    };
    let mut lines = Vec::new();
    if let Some(wanted) = matches.args.get(1) {
        let number = wanted.split('/').next().unwrap_or_default();
        if number.parse::<u16>().is_err() {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let what = if digits { "value out of range" } else { "invalid syntax" };
            let reason = format!("strconv.ParseUint: parsing {number:?}: {what}");
            return Err(Failure::new(format!("Error: invalid port ({number}): {reason}")));
        }
        let key = if wanted.contains('/') { wanted.clone() } else { format!("{wanted}/tcp") };
        let Some(bindings) = ports.get(&key).cloned().flatten().filter(|bindings| !bindings.is_empty())
        else {
            return Err(Failure::new(format!(
                "Error: No public port '{wanted}' published for {}",
                matches.arg(0)
            )));
        };
        lines.extend(bindings.iter().map(|binding| join(&binding.host_ip, &binding.host_port)));
    } else {
        for (port, bindings) in ports {
            let bindings = bindings.iter().flatten();
            lines.extend(
                bindings.map(|binding| format!("{port} -> {}", join(&binding.host_ip, &binding.host_port))),
            );
        }
        lines.sort_by_key(|line| line.split('/').next().and_then(|port| port.parse::<u16>().ok()));
    }
    output::print(lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    Ok(Exit::OK)
}
