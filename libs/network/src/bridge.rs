//! A bridge: the link that the containers of one network share with the host.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink::{
    Address, Change, Link, Request, Route, Socket, Target, add_address, add_bridge, change_link,
    delete_address, delete_link,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Error, MacAddress, Medium, Result, V6Config, parent, subnet, sysctl};

/// Name of the default network's bridge.
pub const DEFAULT_BRIDGE: &str = "wherry0";
/// Bytes of the largest packet on a bridge unless the caller says otherwise.
pub const DEFAULT_MTU: u32 = 1500;

/// What the caller wants of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeConfig {
    /// Link name, at most 15 bytes: dockerd's `--bridge`, or `br-` and 12 hex digits.
    pub name: String,
    /// Subnet; `None` keeps the one that the bridge has or picks one that nothing on the host
    /// overlaps with.
    pub subnet: Option<Ipv4Net>,
    /// Address of the bridge itself in `subnet`; `None` is the first usable one.
    pub gateway: Option<Ipv4Addr>,
    /// Part of the subnet that addresses are handed out from (dockerd's `--fixed-cidr`).
    pub range: Option<Ipv4Net>,
    /// Addresses that no container gets unless it asks for one of them by number.
    #[serde(default)]
    pub reserved: Vec<Ipv4Addr>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Whether containers on the bridge may talk to each other (dockerd's `--icc`).
    pub icc: bool,
    /// No gateway, no masquerade, no published ports: the bridge is an island.
    pub internal: bool,
    /// Whether packets that leave the host carry the host's address (dockerd's `--ip-masq`).
    pub masquerade: bool,
    /// Source address of IPv4 packets that leave the host, in place of that of the link which they leave by.
    #[serde(default)]
    pub source_v4: Option<Ipv4Addr>,
    /// Whether there is IPv4 at all; without it there must be IPv6.
    #[serde(default = "yes")]
    pub v4: bool,
    /// IPv6 beside IPv4 or in its place; `None` switches it off on the bridge and in its containers.
    #[serde(default)]
    pub v6: Option<V6Config>,
    /// What the bridge is to packets of IPv4 that come from elsewhere or go there.
    #[serde(default)]
    pub gateway_v4: GatewayMode,
    /// The same of IPv6.
    #[serde(default)]
    pub gateway_v6: GatewayMode,
    /// The bridge has no IPv4 address itself: somebody else on it is the gateway.
    #[serde(default)]
    pub inhibit_v4: bool,
    /// Router of the containers, where it is not the bridge (dockerd's `--default-gateway`).
    #[serde(default)]
    pub router: Option<Ipv4Addr>,
    /// Whether other hosts may send to containers' own addresses: not at all, to published ports
    /// (dockerd's `--allow-direct-routing`), or to every port of either family.
    #[serde(default)]
    pub direct: Direct,
    /// Packets with this mark (of these bits) pass to containers.
    #[serde(default)]
    pub accept_mark: Option<(u32, u32)>,
    /// Whether forwarding is switched on for the host (dockerd's `--ip-forward`).
    #[serde(default = "yes")]
    pub forward: bool,
    /// What containers are plugged into; anything but a bridge leaves most of the above aside.
    #[serde(default)]
    pub medium: Medium,
}

fn yes() -> bool {
    true
}

/// What a bridge is to packets between its containers and the world, by family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Addresses are translated; from elsewhere containers are reached by published ports.
    #[default]
    Nat,
    /// The same, and other hosts may send to every port of the containers' own addresses.
    NatUnprotected,
    /// Nothing is translated: other hosts have a route to the containers' own addresses, and
    /// reach the published ports there.
    Routed,
    /// The host itself has no address on the bridge; the network must be internal.
    Isolated,
}

/// Who may send to containers' own addresses from other hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direct {
    #[default]
    Nobody,
    Published,
    Everything,
}

impl BridgeConfig {
    /// A bridge with Docker's defaults.
    pub fn new(name: &str) -> BridgeConfig {
        BridgeConfig {
            name: name.to_owned(),
            subnet: None,
            gateway: None,
            range: None,
            reserved: Vec::new(),
            mtu: DEFAULT_MTU,
            icc: true,
            internal: false,
            masquerade: true,
            v4: true,
            v6: None,
            gateway_v4: GatewayMode::Nat,
            gateway_v6: GatewayMode::Nat,
            inhibit_v4: false,
            source_v4: None,
            router: None,
            direct: Direct::Nobody,
            accept_mark: None,
            forward: true,
            medium: Medium::Bridge,
        }
    }

    /// The bridge itself has an address of IPv4.
    fn has_own_v4(&self) -> bool {
        self.v4 && !self.inhibit_v4 && self.gateway_v4 != GatewayMode::Isolated
    }

    /// The same from dockerd's `--bip`: the bridge's own address with its prefix length.
    pub fn with_bip(mut self, bip: Ipv4Net) -> BridgeConfig {
        self.subnet = Some(bip.trunc());
        self.gateway = Some(bip.addr());
        self
    }
}

/// A bridge as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Link name.
    pub name: String,
    /// Its subnet, host bits zero; none without IPv4.
    pub subnet: Option<Ipv4Net>,
    /// The bridge's own address, the containers' default gateway; none where it has none.
    pub gateway: Option<Ipv4Addr>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Its link-layer address.
    pub mac: MacAddress,
    /// What it has of IPv6.
    #[serde(default)]
    pub v6: Option<V6Config>,
}

/// A bridge with what only this crate needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub bridge: Bridge,
    pub config: BridgeConfig,
    /// The mark of its stack's links.
    pub mark: String,
    /// Number of the link.
    pub index: u32,
    /// It was made just now: ports of its former life have no master.
    pub made: bool,
}

/// The mark by which the links of a stack are known, and told from an administrator's.
pub(crate) fn alias(stack: &str) -> String {
    format!("wherry-{stack}")
}

/// Makes the bridge stand as `config` says, whatever of it stands already. `reserved` are subnets
/// of the stack that may not show on the host yet.
pub(crate) fn ensure(
    socket: &mut Socket,
    stack: &str,
    config: &BridgeConfig,
    pools: &[subnet::Pool],
    reserved: &[Ipv4Net],
) -> Result<Standing> {
    check_name(&config.name)?;
    if let Some(v6) = &config.v6 {
        v6.check()?;
    }
    check_modes(config)?;
    if let Some((_, parent)) = config.medium.child() {
        return ensure_parent(socket, stack, config, parent, pools, reserved);
    }
    let (link, made) = ensure_link(socket, stack, config)?;
    let (subnet, gateway) = match config.has_own_v4() {
        true => {
            let (subnet, gateway) = ensure_address(socket, config, link.index, pools, reserved)?;
            (Some(subnet), Some(gateway))
        }
        false => {
            let (own, _) = used(socket, &config.name, link.index)?;
            set_address(socket, &config.name, link.index, &own, None)?;
            plan_address(socket, config, link.index, pools, reserved)?
        }
    };
    configure(config)?;
    if let Some(v6) = &config.v6 {
        let own = (config.gateway_v6 != GatewayMode::Isolated).then_some(v6);
        set_address_v6(socket, &config.name, link.index, own)?;
    }
    let mut request = Request::new();
    let mtu = (link.mtu != config.mtu).then_some(config.mtu);
    change_link(&mut request, Target::Index(link.index), Change { up: Some(true), mtu, ..Change::default() });
    socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("set up bridge", &config.name))?;
    let mac = MacAddress::new(link.mac.unwrap_or_default())?;
    let v6 = config.v6.clone();
    let bridge = Bridge { name: config.name.clone(), subnet, gateway, mtu: config.mtu, mac, v6 };
    Ok(Standing { bridge, config: config.clone(), mark: alias(stack), index: link.index, made })
}

/// A network on a link of the host: nothing is done to the link's addresses.
fn ensure_parent(
    socket: &mut Socket,
    stack: &str,
    config: &BridgeConfig,
    parent: &str,
    pools: &[subnet::Pool],
    reserved: &[Ipv4Net],
) -> Result<Standing> {
    let (subnet, gateway) = plan_address(socket, config, 0, pools, reserved)?;
    let link = parent::ensure(socket, stack, parent, &config.name)?;
    let mac = MacAddress::new(link.mac.unwrap_or_default()).or_else(|_| MacAddress::random())?;
    let v6 = config.v6.clone();
    let bridge = Bridge { name: config.name.clone(), subnet, gateway, mtu: link.mtu, mac, v6 };
    Ok(Standing { bridge, config: config.clone(), mark: alias(stack), index: link.index, made: false })
}

/// The subnet and the gateway of a network whose bridge, if it has one, has no address.
fn plan_address(
    socket: &mut Socket,
    config: &BridgeConfig,
    index: u32,
    pools: &[subnet::Pool],
    reserved: &[Ipv4Net],
) -> Result<(Option<Ipv4Net>, Option<Ipv4Addr>)> {
    if !config.v4 {
        return Ok((None, None));
    }
    let subnet = match config.subnet {
        Some(subnet) => subnet,
        None => {
            let (_, others) = used(socket, &config.name, index)?;
            subnet::choose(
                pools,
                &[others.into_iter().map(|(net, _)| net).collect(), reserved.to_vec()].concat(),
            )?
        }
    };
    // Between two neighbours there is nobody else.
    let has_gateway = config.gateway_v4 != GatewayMode::Isolated && subnet.prefix_len() <= 30;
    let gateway = has_gateway.then(|| config.gateway.or_else(|| subnet.hosts().next())).flatten();
    subnet::check(subnet, gateway)?;
    Ok((Some(subnet), gateway))
}

fn check_modes(config: &BridgeConfig) -> Result<()> {
    if !config.v4 && config.v6.is_none() {
        return Err(Error::InvalidNetwork("IPv4 or IPv6 must be enabled".to_owned()));
    }
    let is_isolated = [config.gateway_v4, config.gateway_v6].contains(&GatewayMode::Isolated);
    if is_isolated && !config.internal {
        return Err(Error::InvalidNetwork(
            "gateway mode 'isolated' can only be used for an internal network".to_owned(),
        ));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let reason = match name {
        "" | "." | ".." => "it is empty or a directory",
        _ if name.len() > 15 => "a link's name has at most 15 bytes",
        _ if name
            .bytes()
            .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'/' | b':' | b'%' | b'"')) =>
        {
            "a link's name has no space, slash, colon, percent sign, quote or byte that is not ASCII"
        }
        _ => return Ok(()),
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

fn ensure_link(socket: &mut Socket, stack: &str, config: &BridgeConfig) -> Result<(Link, bool)> {
    let name = config.name.as_str();
    let look = |socket: &mut Socket| Link::get(socket, Target::Name(name));
    match look(socket) {
        Ok(link) if link.kind.as_deref() != Some("bridge") => return Err(Error::NotABridge(name.to_owned())),
        Ok(link)
            if link
                .alias
                .as_ref()
                .is_some_and(|owner| owner.starts_with("wherry-") && *owner != alias(stack)) =>
        {
            return Err(Error::ForeignBridge {
                bridge: name.to_owned(),
                owner: link.alias.unwrap_or_default(),
            });
        }
        Ok(link) => return Ok((link, false)),
        Err(error) if error.errno() == Some(Errno::NODEV) => {}
        Err(error) => return Err(Error::netlink("look up bridge", name)(error)),
    }
    let mut mac = [0x02, 0x42, 0, 0, 0, 0];
    random(&mut mac[2..])?;
    let mut request = Request::new();
    add_bridge(&mut request, name, mac, config.mtu);
    // A link is not made with its alias, only changed to have it.
    change_link(&mut request, Target::Name(name), Change { alias: Some(&alias(stack)), ..Change::default() });
    socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("create bridge", name))?;
    Ok((look(socket).map_err(Error::netlink("look up bridge", name))?, true))
}

fn ensure_address(
    socket: &mut Socket,
    config: &BridgeConfig,
    index: u32,
    pools: &[subnet::Pool],
    reserved: &[Ipv4Net],
) -> Result<(Ipv4Net, Ipv4Addr)> {
    let name = config.name.as_str();
    let mut avoid = reserved.to_vec();
    loop {
        let (own, others) = used(socket, name, index)?;
        let subnet = match (config.subnet, own.first()) {
            (Some(subnet), _) => subnet,
            (None, Some(own)) => own.trunc(),
            (None, None) => subnet::choose(
                pools,
                &[others.iter().map(|(net, _)| *net).collect(), avoid.clone()].concat(),
            )?,
        };
        let kept = own.iter().find(|own| own.trunc() == subnet).map(Ipv4Net::addr);
        let gateway = config.gateway.or(kept).or_else(|| subnet.hosts().next()).unwrap_or(subnet.addr());
        subnet::check(subnet, Some(gateway))?;
        if let Some(other) = reserved.iter().find(|other| subnet::overlap(other, &subnet)) {
            return Err(Error::InvalidSubnet {
                subnet,
                reason: format!("Pool overlaps with other one on this address space ({other})"),
            });
        }
        set_address(socket, name, index, &own, Some(Ipv4Net::new_assert(gateway, subnet.prefix_len())))?;
        // Two daemons that start at the same moment may choose the same: the older link keeps it.
        let lost = |(net, link): &(Ipv4Net, Option<u32>)| {
            subnet::overlap(net, &subnet) && link.is_some_and(|link| link < index)
        };
        if config.subnet.is_some() || !own.is_empty() || !used(socket, name, index)?.1.iter().any(lost) {
            return Ok((subnet, gateway));
        }
        let mine = Address { link: index, address: gateway.into(), prefix_len: subnet.prefix_len() };
        let mut request = Request::new();
        delete_address(&mut request, &mine);
        socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("remove address of bridge", name))?;
        avoid.push(subnet);
    }
}

/// The addresses of the bridge, and what everything else on the host uses: by link or by route.
#[allow(clippy::type_complexity)]
fn used(socket: &mut Socket, name: &str, index: u32) -> Result<(Vec<Ipv4Net>, Vec<(Ipv4Net, Option<u32>)>)> {
    let net = |address: IpAddr, prefix_len: u8| match address {
        IpAddr::V4(address) => Ipv4Net::new(address, prefix_len).ok(),
        IpAddr::V6(_) => None,
    };
    let addresses =
        Address::list(socket, false).map_err(Error::netlink("list addresses for bridge", name))?;
    let routes = Route::list(socket, false).map_err(Error::netlink("list routes for bridge", name))?;
    let own = addresses
        .iter()
        .filter(|address| address.link == index)
        .filter_map(|a| net(a.address, a.prefix_len))
        .collect();
    let by_link = addresses
        .iter()
        .filter(|address| address.link != index)
        .filter_map(|a| Some((net(a.address, a.prefix_len)?, Some(a.link))));
    let by_route = routes
        .iter()
        .filter(|route| route.link != Some(index))
        .filter_map(|r| Some((net(r.destination, r.prefix_len)?, r.link)));
    Ok((own, by_link.chain(by_route).filter(|(net, _)| net.prefix_len() > 0).collect()))
}

/// Leaves the bridge with exactly this IPv4 address, or none.
fn set_address(
    socket: &mut Socket,
    name: &str,
    index: u32,
    own: &[Ipv4Net],
    wanted: Option<Ipv4Net>,
) -> Result<()> {
    let address =
        |net: &Ipv4Net| Address { link: index, address: net.addr().into(), prefix_len: net.prefix_len() };
    let mut request = Request::new();
    for other in own.iter().filter(|own| Some(**own) != wanted) {
        delete_address(&mut request, &address(other));
    }
    if let Some(wanted) = wanted.filter(|wanted| !own.contains(wanted)) {
        add_address(&mut request, &address(&wanted));
    }
    socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("set address of bridge", name))
}

/// Leaves the bridge with this IPv6 address or none, and with none of a former subnet.
fn set_address_v6(socket: &mut Socket, name: &str, index: u32, v6: Option<&V6Config>) -> Result<()> {
    let all = Address::list(socket, true).map_err(Error::netlink("list addresses for bridge", name))?;
    let wanted =
        v6.map(|v6| Address { link: index, address: v6.gateway.into(), prefix_len: v6.subnet.prefix_len() });
    let is_link_local =
        |address: &Address| matches!(address.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mut request = Request::new();
    let own = || all.iter().filter(|address| address.link == index && !is_link_local(address));
    for other in own().filter(|address| Some(*address) != wanted.as_ref()) {
        delete_address(&mut request, other);
    }
    if let Some(wanted) = wanted.filter(|wanted| !own().any(|address| address == wanted)) {
        add_address(&mut request, &wanted);
    }
    socket.exchange(&mut request, |_, _| {}).map_err(Error::netlink("set IPv6 address of bridge", name))
}

fn configure(config: &BridgeConfig) -> Result<()> {
    let name = &config.name;
    if config.v6.is_some() {
        // Before a link-local address has passed its check for duplicates, a second or two, the host asks for no
        // neighbour on behalf of others: the first packets from outside to a published port would go nowhere.
        sysctl::set(&format!("ipv6/conf/{name}/accept_dad"), "0")?;
        sysctl::set(&format!("ipv6/conf/{name}/disable_ipv6"), "0")?;
        sysctl::set(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
    } else {
        sysctl::set_if_present(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
    }
    if config.internal {
        return Ok(());
    }
    // Connections from 127.0.0.1 are translated on their way to a container and back: without
    // this the kernel takes their answers for forgeries. The firewall drops real forgeries.
    if config.v4 {
        sysctl::set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
    }
    if config.forward && config.v4 {
        sysctl::set("ipv4/ip_forward", "1")?;
    }
    if config.forward && config.v6.is_some() {
        sysctl::set("ipv6/conf/default/forwarding", "1")?;
        sysctl::set("ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

/// Deletes a link by name. Absent is success.
pub(crate) fn delete(socket: &mut Socket, name: &str) -> Result<()> {
    let mut request = Request::new();
    delete_link(&mut request, Target::Name(name));
    match socket.exchange(&mut request, |_, _| {}) {
        Err(error) if error.errno() != Some(Errno::NODEV) => Err(Error::netlink("delete link", name)(error)),
        _ => Ok(()),
    }
}

/// Fills with random bytes.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    rustix::rand::getrandom(bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(Error::io("get", "random bytes"))?;
    Ok(())
}
