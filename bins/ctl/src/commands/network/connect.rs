//! `network connect`.

use std::collections::BTreeMap;

use engine_api::network::{EndpointIpam, EndpointSettings, NetworkConnect};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::pairs;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["network connect"],
    usage: "NETWORK CONTAINER",
    about: "Connect a container to a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::strings("alias", "Name of the container on the network"),
    Flag::strings("driver-opt", "Option of the driver"),
    Flag::int("gw-priority", "Highest priority gives the default gateway"),
    Flag::text("ip", "IPv4 address of the container"),
    Flag::text("ip6", "IPv6 address of the container"),
    Flag::list("link", "Link to another container"),
    Flag::strings("link-local-ip", "Link-local address of the container"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let some = |name: &str| Some(matches.list(name).to_vec()).filter(|list| !list.is_empty());
    let options: BTreeMap<String, String> = pairs(matches.list("driver-opt"));
    let ipam = EndpointIpam {
        ipv4_address: matches.string("ip"),
        ipv6_address: matches.string("ip6"),
        link_local_ips: matches.list("link-local-ip").to_vec(),
    };
    let endpoint = EndpointSettings {
        ipam_config: Some(ipam),
        links: some("link"),
        aliases: some("alias"),
        driver_opts: Some(options).filter(|options| !options.is_empty()),
        gw_priority: matches.int("gw-priority").unwrap_or(0),
        ..EndpointSettings::default()
    };
    let body = NetworkConnect { container: matches.arg(1).to_owned(), endpoint_config: Some(endpoint) };
    session.engine.post(&format!("/networks/{}/connect", matches.arg(0))).json(&body)?.done().await?;
    Ok(Exit::OK)
}
