//! An endpoint: one container's place on one bridge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::Mutex;

use netlink::{
    Address, BridgePort, Change, Child, ChildKind, Link, Request, Socket, Target, VethPair, add_address,
    add_child, add_default_route, add_link_default_route, add_veth_pair, change_link,
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
    /// Fixed IPv6 address (`--ip6`).
    pub address_v6: Option<Ipv6Addr>,
    /// Further addresses, of the link alone (`--link-local-ip`).
    pub link_local: Vec<IpAddr>,
    /// Fixed link-layer address (`--mac-address`); else the one that belongs to the address.
    pub mac: Option<MacAddress>,
    /// Name of the link inside the namespace; else the first free of `eth0`, `eth1`, ...
    pub interface: Option<String>,
    /// Whether the default route goes through this bridge (the container's gateway network).
    pub default_route: bool,
    /// Ports to publish.
    pub ports: Vec<PortRequest>,
    /// Kernel settings of the link inside the namespace: paths below `/proc/sys/net` with `IFNAME`
    /// for the link's name, and values.
    pub sysctls: Vec<(String, String)>,
}

impl ConnectRequest {
    /// Any address, any link-layer address, `eth0`, the default route, no ports.
    pub fn new(bridge: &str, container: &str) -> ConnectRequest {
        ConnectRequest {
            bridge: bridge.to_owned(),
            container: container.to_owned(),
            address: None,
            address_v6: None,
            link_local: Vec::new(),
            mac: None,
            interface: Some("eth0".to_owned()),
            default_route: true,
            ports: Vec::new(),
            sysctls: Vec::new(),
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
    /// Name of the pair's end on the host; empty where there is none (macvlan, ipvlan).
    pub host_interface: String,
    /// Name of the pair's end inside the namespace.
    pub interface: String,
    /// Address inside the namespace; none on a network without IPv4.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// Bits of the subnet.
    pub prefix_len: u8,
    /// The bridge's address, where it has one.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// Link-layer address inside the namespace.
    pub mac: MacAddress,
    /// Its place in the IPv6 subnet, where the network has one.
    #[serde(default)]
    pub v6: Option<EndpointV6>,
    /// The network routes by itself: the way out needs no router.
    #[serde(default)]
    pub routed: bool,
    /// Published ports, with host ports filled in.
    pub ports: Vec<PortBinding>,
}

/// An endpoint's place in an IPv6 subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointV6 {
    /// Address inside the namespace.
    pub address: Ipv6Addr,
    /// Bits of the subnet.
    pub prefix_len: u8,
    /// The bridge's address.
    pub gateway: Ipv6Addr,
}

/// How an attempt to make the pair ends.
enum Attempt {
    Made,
    /// The random name of the host's end is taken.
    NameTaken,
}

impl Endpoint {
    /// Makes the link and sets up what there is of it. When it fails, nothing is left.
    pub(crate) fn attach(
        &mut self,
        host: &Mutex<Socket>,
        netns: &Netns,
        network: &Standing,
        default_route: bool,
        request: &ConnectRequest,
    ) -> Result<()> {
        match network.config.medium.child() {
            Some((kind, _)) => self.make_child(host, netns, network, kind)?,
            None => {
                while let Attempt::NameTaken = self.make_pair(host, netns, network)? {
                    self.host_interface = host_name()?;
                }
            }
        }
        let set_up = self
            .set_kernel(netns, request)
            .and_then(|()| netns.route(|inside| self.set_up(inside, default_route, &request.link_local)));
        if set_up.is_err() {
            let mut host = host.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let _ = match self.host_interface.is_empty() {
                true => netns.remove_link(&self.interface),
                false => bridge::delete(&mut host, &self.host_interface),
            };
        }
        set_up
    }

    /// Kernel settings of the link inside: IPv6 is off there until the network has it.
    fn set_kernel(&self, netns: &Netns, request: &ConnectRequest) -> Result<()> {
        let sysctls = &request.sysctls;
        let has_v6 = self.v6.is_some() || request.link_local.iter().any(IpAddr::is_ipv6);
        if !has_v6 && sysctls.is_empty() {
            return Ok(());
        }
        let link = &self.interface;
        netns.run(|| {
            if has_v6 {
                sysctl::set(&format!("ipv6/conf/{link}/disable_ipv6"), "0")?;
            }
            sysctls.iter().try_for_each(|(name, value)| sysctl::set(&name.replace("IFNAME", link), value))
        })?
    }

    fn make_child(
        &self,
        host: &Mutex<Socket>,
        netns: &Netns,
        network: &Standing,
        kind: ChildKind,
    ) -> Result<()> {
        let mut request = Request::new();
        add_child(
            &mut request,
            &Child {
                name: &self.interface,
                parent: network.index,
                kind,
                mac: network.config.medium.has_own_mac().then(|| self.mac.octets()),
                mtu: (network.config.mtu != network.bridge.mtu && network.config.mtu < network.bridge.mtu)
                    .then_some(network.config.mtu),
                netns: netns.as_fd(),
            },
        );
        let mut host = host.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        host.exchange(&mut request, |_, _| {}).map_err(Error::netlink(
            "create link",
            format!("{} for {} on {}", self.interface, self.container, self.bridge),
        ))
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

    fn set_up(&self, inside: &mut Socket, default_route: bool, link_local: &[IpAddr]) -> Result<()> {
        let describe = || format!("{} of {}", self.interface, self.container);
        let link = Link::get(inside, Target::Name(&self.interface))
            .map_err(Error::netlink("look up", describe()))?;
        let mut request = Request::new();
        let mut verbs = Vec::new();
        let of_link = link_local.iter().map(|address| (*address, if address.is_ipv4() { 16 } else { 64 }));
        for (address, prefix_len) in self.addresses().chain(of_link) {
            add_address(&mut request, &Address { link: link.index, address, prefix_len });
            verbs.push("add address to");
        }
        change_link(&mut request, Target::Index(link.index), Change { up: Some(true), ..Change::default() });
        verbs.push("set up");
        if default_route {
            verbs.resize(
                verbs.len() + self.add_default_routes(&mut request, link.index),
                "add default route to",
            );
        }
        inside.exchange(&mut request, |_, _| {}).map_err(|error| {
            let verb = verbs[error.message().unwrap_or(1).min(verbs.len() - 1)];
            Error::netlink(verb, describe())(error)
        })
    }

    fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v6 = self.v6.as_ref().map(|v6| (IpAddr::from(v6.address), v6.prefix_len));
        let v4 = self.address.map(|address| (IpAddr::from(address), self.prefix_len));
        v4.into_iter().chain(v6)
    }

    /// Appends the ways out through this endpoint, one for each family; answers how many.
    pub(crate) fn add_default_routes(&self, request: &mut Request, link: u32) -> usize {
        let v6 = self.v6.as_ref().map(|v6| IpAddr::from(v6.gateway));
        let gateways: Vec<IpAddr> = self.gateway.map(IpAddr::from).into_iter().chain(v6).collect();
        for gateway in &gateways {
            match self.routed {
                true => add_link_default_route(request, gateway.is_ipv6(), link),
                false => add_default_route(request, *gateway, link),
            }
        }
        gateways.len()
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
