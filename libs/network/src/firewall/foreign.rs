//! Guest rules in another program's firewall.
//!
//! A packet must pass every table. dockerd and ufw leave `ip filter` with a FORWARD chain that
//! drops what it does not know, so this stack's packets get a chain there, `WHERRY-NAME`, with
//! nothing in it that iptables could not print. It stands behind `DOCKER-USER`, where people put
//! the rules that come first, and before everything else.

use std::fs;

use netlink::Socket;
use netlink::nft::{
    Batch, Chain, Expression, Hook, Policy, Position, Register, Rule, RuleInfo, Table, TableFamily, Verdict,
    meta,
};

use super::IpFamily;
use super::rules::{iif, oif, verdict};
use crate::bridge::Standing;
use crate::{Error, Result};

const FORWARD: &str = "FORWARD";
const DOCKER_USER: &str = "DOCKER-USER";

fn filter(family: IpFamily) -> Table {
    family.table("filter")
}

fn chain_name(stack: &str) -> String {
    format!("WHERRY-{stack}")
}

/// Puts the guest rules in place, where there is a host for them. Answers with what stands in
/// the way and cannot be helped.
pub(super) fn admit(socket: &mut Socket, stack: &str, bridges: &[Standing]) -> Result<Vec<String>> {
    for family in IpFamily::ALL {
        let bridges = family.among(bridges);
        if family == IpFamily::V4 || !bridges.is_empty() {
            admit_in(socket, stack, family, &bridges)?;
        }
    }
    obstacles(socket)
}

fn admit_in(socket: &mut Socket, stack: &str, family: IpFamily, bridges: &[Standing]) -> Result<()> {
    let failed = || Error::netlink("admit bridges in", "nftables table filter");
    let (table, chain) = (filter(family), chain_name(stack));
    let chains = Chain::list(socket, &table).map_err(failed())?;
    if chains.iter().any(|chain| chain.name == FORWARD && chain.base.is_some()) {
        let rules = RuleInfo::list(socket, &table, FORWARD).map_err(failed())?;
        let jumps_to = |name: &str| rules.iter().position(|rule| rule.jumps_to.as_deref() == Some(name));
        let mut batch = Batch::new();
        batch.add_chain(&table, &Chain::regular(&chain)).flush_chain(&table, &chain);
        for rule in guest_rules(&chain, bridges) {
            batch.add_rule(&table, &rule);
        }
        let (user, ours) = (jumps_to(DOCKER_USER), jumps_to(&chain));
        if ours.is_none() || user > ours {
            if let Some(ours) = ours {
                batch.delete_rule(&table, FORWARD, rules[ours].handle);
            }
            let position = user.map_or(Position::First, |user| Position::After(rules[user].handle));
            batch.add_rule(&table, &Rule::new(FORWARD, verdict(Verdict::Jump(chain))).at(position));
        }
        batch.commit(socket).map_err(failed())?;
    }
    Ok(())
}

fn guest_rules(chain: &str, bridges: &[Standing]) -> Vec<Rule> {
    let names = || bridges.iter().map(|standing| standing.bridge.name.as_str());
    let rule = |parts: Vec<Vec<Expression>>| Rule::new(chain, parts.concat());
    let into = names().map(|name| rule(vec![oif(name, true), counted(Verdict::Accept)]));
    // A dockerd's own rules decide about what enters its bridges.
    let docker = names().flat_map(|name| {
        [oif("docker0", true), oif_prefix("br-")]
            .map(|bridge| rule(vec![iif(name, true), bridge, counted(Verdict::Return)]))
    });
    let out_of = names().map(|name| rule(vec![iif(name, true), counted(Verdict::Accept)]));
    into.chain(docker).chain(out_of).collect()
}

fn counted(verdict: Verdict) -> Vec<Expression> {
    vec![Expression::Counter, Expression::Do(verdict)]
}

/// `oifname PREFIX*`: a shorter comparison, as iptables writes it.
fn oif_prefix(prefix: &str) -> Vec<Expression> {
    vec![
        Expression::Meta { key: meta::OIFNAME, to: Register::FIRST },
        Expression::Compare { register: Register::FIRST, equal: true, bytes: prefix.as_bytes().to_vec() },
    ]
}

/// Removes the guest rules. Absent is success.
pub(super) fn withdraw(socket: &mut Socket, stack: &str, family: IpFamily) -> Result<()> {
    let failed = || Error::netlink("withdraw bridges from", "nftables table filter");
    let (table, chain) = (filter(family), chain_name(stack));
    if !Chain::list(socket, &table).map_err(failed())?.iter().any(|other| other.name == chain) {
        return Ok(());
    }
    let mut batch = Batch::new();
    for rule in RuleInfo::list(socket, &table, FORWARD).map_err(failed())? {
        if rule.jumps_to.as_ref() == Some(&chain) {
            batch.delete_rule(&table, FORWARD, rule.handle);
        }
    }
    batch.flush_chain(&table, &chain).delete_chain(&table, &chain);
    batch.commit(socket).map_err(failed())
}

/// Firewalls that drop forwarded packets and in which this stack cannot have a place.
fn obstacles(socket: &mut Socket) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    // Listed only when its modules are in use; the calling thread's namespace.
    let legacy = fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    if legacy.lines().any(|table| table == "filter") {
        warnings.push("the legacy iptables filter table is in use: if its FORWARD policy is DROP, published ports need a rule there".to_owned());
    }
    for name in Table::list(socket, TableFamily::Inet).map_err(Error::netlink("list", "nftables tables"))? {
        let table = Table { family: TableFamily::Inet, name };
        let chains = Chain::list(socket, &table).map_err(Error::netlink("list", "nftables chains"))?;
        let drops = |chain: &&Chain| {
            chain.base.is_some_and(|base| base.hook == Hook::Forward && base.policy == Policy::Drop)
        };
        if let Some(chain) = chains.iter().find(drops) {
            warnings.push(format!(
                "nftables chain inet {} {} drops forwarded packets: allow the bridges there",
                table.name, chain.name
            ));
        }
    }
    Ok(warnings)
}
