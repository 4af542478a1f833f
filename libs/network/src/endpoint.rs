//! An endpoint: one container's place on one bridge.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Mutex;

use netlink::{
    Address, BridgePort, Change, Link, Request, Socket, Target, VethPair, add_address, add_default_route,
    add_veth_pair, change_link,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::bridge::{self, Standing};
use crate::{BridgeConfig, Error, MacAddress, Netns, PortBinding, PortRequest, Result, sysctl};

/// What a container asks of a network.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    /// The bridge to join.
    pub bridge: String,
    /// Name of the container, for error texts only.
    pub container: String,
    /// Fixed address (`--ip`).
    pub address: Option<Ipv4Addr>,
    /// Fixed link-layer address (`--mac-address`); else the one that belongs to the address.
    pub mac: Option<MacAddress>,
    /// Name of the link inside the namespace; else the first free of `eth0`, `eth1`, ...
    pub interface: Option<String>,
    /// Whether the default route goes through this bridge (the container's gateway network).
    pub default_route: bool,
    /// Ports to publish.
    pub ports: Vec<PortRequest>,
}

impl ConnectRequest {
    /// Any address, any link-layer address, `eth0`, the default route, no ports.
    pub fn new(bridge: &str, container: &str) -> ConnectRequest {
        ConnectRequest {
            bridge: bridge.to_owned(),
            container: container.to_owned(),
            address: None,
            mac: None,
            interface: Some("eth0".to_owned()),
            default_route: true,
            ports: Vec::new(),
        }
    }
}

/// A made connection. The caller stores it with the container; [`crate::Stack::restore`] and
/// [`crate::Stack::disconnect`] need nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Name of the container.
    pub container: String,
    /// The bridge.
    pub bridge: String,
    /// Name of the pair's end on the host.
    pub host_interface: String,
    /// Name of the pair's end inside the namespace.
    pub interface: String,
    /// Address inside the namespace.
    pub address: Ipv4Addr,
    /// Bits of the subnet.
    pub prefix_len: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// Link-layer address inside the namespace.
    pub mac: MacAddress,
    /// Published ports, with host ports filled in.
    pub ports: Vec<PortBinding>,
}

/// How an attempt to make the pair ends.
enum Attempt {
    Made,
    /// The random name of the host's end is taken.
    NameTaken,
}

impl Endpoint {
    /// Makes the pair and sets up both ends. When it fails, nothing is left.
    pub(crate) fn attach(
        &mut self,
        host: &Mutex<Socket>,
        netns: &Netns,
        bridge: &Standing,
        default_route: bool,
    ) -> Result<()> {
        while let Attempt::NameTaken = self.make_pair(host, netns, bridge)? {
            self.host_interface = host_name()?;
        }
        let set_up = netns.route(|inside| self.set_up(inside, default_route));
        if set_up.is_err() {
            let mut host = host.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let _ = bridge::delete(&mut host, &self.host_interface);
        }
        set_up
    }

    fn make_pair(&self, host: &Mutex<Socket>, netns: &Netns, bridge: &Standing) -> Result<Attempt> {
        let mut request = Request::new();
        add_veth_pair(
            &mut request,
            &VethPair {
                host: &self.host_interface,
                master: bridge.index,
                mtu: bridge.bridge.mtu,
                peer: &self.interface,
                peer_mac: self.mac.octets(),
                peer_netns: netns.as_fd(),
            },
        );
        let settings =
            Change { alias: Some(&bridge.mark), port: Some(port(&bridge.config)), ..Change::default() };
        change_link(&mut request, Target::Name(&self.host_interface), settings);
        let mut host = host.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match host.exchange(&mut request, |_, _| {}) {
            Ok(()) => Ok(Attempt::Made),
            Err(error)
                if error.errno() == Some(Errno::EXIST)
                    && Link::get(&mut host, Target::Name(&self.host_interface)).is_ok() =>
            {
                Ok(Attempt::NameTaken)
            }
            Err(error) => {
                if error.message() != Some(0) {
                    let _ = bridge::delete(&mut host, &self.host_interface);
                }
                Err(Error::netlink(
                    "create veth pair",
                    format!("{} for {} on {}", self.host_interface, self.container, self.bridge),
                )(error))
            }
        }
    }

    fn set_up(&self, inside: &mut Socket, default_route: bool) -> Result<()> {
        let describe = || format!("{} of {}", self.interface, self.container);
        let link = Link::get(inside, Target::Name(&self.interface))
            .map_err(Error::netlink("look up", describe()))?;
        let mut request = Request::new();
        add_address(
            &mut request,
            &Address { link: link.index, address: self.address.into(), prefix_len: self.prefix_len },
        );
        change_link(&mut request, Target::Index(link.index), Change { up: Some(true), ..Change::default() });
        if default_route {
            add_default_route(&mut request, self.gateway.into(), link.index);
        }
        inside.exchange(&mut request, |_, _| {}).map_err(|error| {
            let verb =
                ["add address to", "set up", "add default route to"][error.message().unwrap_or(1).min(2)];
            Error::netlink(verb, describe())(error)
        })
    }
}

/// How a container's port on the bridge behaves. Hairpin: a container that calls its own
/// published port gets the packet back through the port that it came by. Isolation is for
/// kernels whose bridges do not ask the IP firewall; where they do, the firewall decides.
pub(crate) fn port(config: &BridgeConfig) -> BridgePort {
    let asks_firewall = sysctl::is_on("bridge/bridge-nf-call-iptables");
    BridgePort { hairpin: true, isolated: !config.icc && !asks_firewall }
}

/// A random name as Docker's: `veth` and seven hexadecimal digits.
pub(crate) fn host_name() -> Result<String> {
    let mut bytes = [0; 4];
    bridge::random(&mut bytes)?;
    Ok(format!("veth{:07x}", u32::from_ne_bytes(bytes) >> 4))
}

/// A random identifier: 64 hexadecimal digits.
pub(crate) fn identifier() -> Result<String> {
    let mut bytes = [0; 32];
    bridge::random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first of `eth0`, `eth1`, ... that the namespace does not have.
pub(crate) fn free_interface(netns: &Netns) -> Result<String> {
    let links = netns.route(|inside| {
        Link::list(inside).map_err(Error::netlink("list links of", netns.path().display().to_string()))
    })?;
    let free = |name: &String| !links.iter().any(|link| link.name == *name);
    Ok((0..).map(|number| format!("eth{number}")).find(free).unwrap_or_default())
}
