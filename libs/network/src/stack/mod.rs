//! One daemon's whole container network.

mod remove;
mod restore;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard};

use netlink::{Change, Family, Request, Socket, Target, Watch, change_link};

use crate::bridge::{self, Standing};
use crate::endpoint::{free_interface, host_name, identifier};
use crate::firewall::{Firewall, Published};
use crate::pool_v6::PoolV6;
use crate::ports::{Owner, Ports};
use crate::{
    AddressPool, Bridge, BridgeConfig, ConnectRequest, Endpoint, EndpointV6, Error, GatewayMode, MacAddress,
    Medium, Netns, Pool, PortBinding, PortRequest, Protocol, Relay, Result,
};

pub use restore::{Network, Restored};

/// What holds for a whole stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether there are firewall rules (dockerd's `--iptables`); without them nothing is
    /// translated, and published ports are relayed or refused.
    pub firewall: bool,
    /// Whether the caller carries what comes to [`Stack::relays`] (dockerd's `--userland-proxy`).
    pub relays: bool,
    /// Where subnets that nobody names come from; empty means Docker's.
    pub pools: Vec<Pool>,
}

impl Default for Options {
    fn default() -> Options {
        Options { firewall: true, relays: false, pools: Vec::new() }
    }
}

/// One daemon's container network: bridges, addresses, host ports, firewall table.
#[derive(Debug)]
pub struct Stack {
    name: String,
    pools: Vec<Pool>,
    route: Mutex<Socket>,
    firewall: Firewall,
    has_firewall: bool,
    has_relays: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bridges: Vec<Attached>,
    ports: Ports,
}

/// A bridge with what is on it.
#[derive(Debug)]
struct Attached {
    standing: Standing,
    addresses: Option<AddressPool>,
    addresses_v6: Option<PoolV6>,
    endpoints: HashSet<String>,
    published: Vec<(String, Published)>,
}

impl State {
    fn bridge(&mut self, name: &str) -> Result<&mut Attached> {
        self.bridges
            .iter_mut()
            .find(|attached| attached.standing.bridge.name == name)
            .ok_or_else(|| Error::NoSuchBridge(name.to_owned()))
    }

    fn standing(&self) -> Vec<Standing> {
        self.bridges.iter().map(|attached| attached.standing.clone()).collect()
    }

    fn published(&self) -> Vec<Published> {
        self.bridges
            .iter()
            .flat_map(|attached| attached.published.iter().map(|(_, published)| *published))
            .collect()
    }
}

impl Stack {
    /// Opens the netlink sockets for a stack called `name` (letters, digits, `-`, at most 20:
    /// it names the firewall table `wherry-NAME`). Nothing is made yet.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn open(name: &str) -> Result<Stack> {
        Stack::open_with(name, Options::default())
    }

    /// As [`Stack::open`], with other options than the usual ones.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn open_with(name: &str, options: Options) -> Result<Stack> {
        if name.is_empty()
            || name.len() > 20
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Err(Error::InvalidName {
                name: name.to_owned(),
                reason: "a stack's name has 1 to 20 letters, digits and dashes",
            });
        }
        let route = Socket::open(Family::Route).map_err(Error::netlink("open", "a route socket"))?;
        Ok(Stack {
            name: name.to_owned(),
            route: Mutex::new(route),
            firewall: Firewall::open(name, options.firewall, options.relays)?,
            has_firewall: options.firewall,
            has_relays: options.relays,
            pools: options.pools,
            state: Mutex::default(),
        })
    }

    /// A bridge as it stands.
    pub fn bridge(&self, name: &str) -> Option<Bridge> {
        self.state().bridge(name).ok().map(|attached| attached.standing.bridge.clone())
    }

    /// Gives a namespace its place on a bridge and publishes its ports. When anything fails,
    /// everything is taken back.
    ///
    /// # Errors
    /// [`Error::AddressInUse`], [`Error::PortAllocated`] and the others that a request deserves;
    /// [`Error::Netlink`] when the kernel refuses.
    pub fn connect(&self, netns: &Netns, request: ConnectRequest) -> Result<Endpoint> {
        let interface = match &request.interface {
            Some(name) => name.clone(),
            None => free_interface(netns)?,
        };
        let (mut endpoint, standing) = self.reserve(&request, interface)?;
        let default_route = request.default_route && !standing.config.internal;
        let connected =
            endpoint.attach(&self.route, netns, &standing, default_route, &request).and_then(|()| {
                let open = self.admit().and_then(|_| self.firewall.publish(&published(&endpoint)));
                open.inspect_err(|_| {
                    let _ = self.delete_link(netns, &endpoint);
                })
            });
        match connected {
            Ok(()) => Ok(endpoint),
            Err(error) => {
                let _ = self.disconnect(&endpoint);
                Err(error)
            }
        }
    }

    /// Takes an address and host ports into the books.
    fn reserve(&self, request: &ConnectRequest, interface: String) -> Result<(Endpoint, Standing)> {
        let mut state = self.state();
        let State { bridges, ports } = &mut *state;
        let Some(attached) =
            bridges.iter_mut().find(|attached| attached.standing.bridge.name == request.bridge)
        else {
            return Err(Error::NoSuchBridge(request.bridge.clone()));
        };
        if attached.standing.config.internal && !request.ports.is_empty() {
            return Err(Error::Unsupported(format!(
                "ports cannot be published on the internal network of bridge {}",
                request.bridge
            )));
        }
        let address = attached.place_v4(request)?;
        let v6 = attached.place_v6(request).inspect_err(|_| attached.release(address, &None))?;
        let relays = self.has_relays;
        let endpoint = endpoint(ports, attached, request, interface, (address, v6.clone()), relays);
        let endpoint = endpoint.inspect_err(|_| attached.release(address, &v6))?;
        attached.endpoints.insert(endpoint.id.clone());
        attached
            .published
            .extend(published(&endpoint).into_iter().map(|published| (endpoint.id.clone(), published)));
        Ok((endpoint, attached.standing.clone()))
    }

    /// Gives back an endpoint's ports and address. The link itself ends with its namespace: call
    /// [`Netns::remove`] first. Repeating it, or an endpoint never restored, is success.
    pub fn disconnect(&self, endpoint: &Endpoint) -> Result<()> {
        if let Ok(attached) = self.state().bridge(&endpoint.bridge)
            && attached.endpoints.remove(&endpoint.id)
        {
            // Whoever puts the table in place anew from now on leaves these ports out.
            attached.published.retain(|(id, _)| *id != endpoint.id);
        } else {
            return Ok(());
        }
        self.silence(endpoint);
        // Only then are they free for others: they do not lead here any more.
        let withdrawn = self.firewall.withdraw(&published(endpoint));
        let mut state = self.state();
        state.ports.release(&endpoint.id, &endpoint.ports);
        if let Ok(attached) = state.bridge(&endpoint.bridge) {
            attached.release(endpoint.address, &endpoint.v6);
        }
        withdrawn
    }

    /// The kernel takes its time to end a namespace, which until then answers for its addresses to
    /// whoever asks on the bridge: it is not heard any more. A link that is gone says nothing.
    fn silence(&self, endpoint: &Endpoint) {
        if endpoint.host_interface.is_empty() {
            return;
        }
        let mut request = Request::new();
        let silenced = Change { silenced: true, ..Change::default() };
        change_link(&mut request, Target::Name(&endpoint.host_interface), silenced);
        let _ = self.route().exchange(&mut request, |_, _| {});
    }

    /// Deletes the link by hand (14 to 31 ms): for a live `network disconnect`, or a namespace
    /// that somebody else keeps alive. Absent is success.
    pub fn delete_link(&self, netns: &Netns, endpoint: &Endpoint) -> Result<()> {
        if endpoint.host_interface.is_empty() {
            return netns.remove_link(&endpoint.interface);
        }
        bridge::delete(&mut self.route(), &endpoint.host_interface)
    }

    /// Publishes more ports of a connected endpoint.
    ///
    /// # Errors
    /// As [`Stack::connect`]; nothing has changed then.
    pub fn publish(&self, endpoint: &mut Endpoint, ports: &[PortRequest]) -> Result<Vec<PortBinding>> {
        let mut state = self.state();
        let attached = state.bridge(&endpoint.bridge)?;
        if attached.standing.config.internal {
            return Err(Error::Unsupported(format!(
                "ports cannot be published on the internal network of bridge {}",
                endpoint.bridge
            )));
        }
        let owner = self.owner(endpoint, &attached.standing.config);
        let bindings = state.ports.allocate(owner, ports)?;
        let added: Vec<Published> =
            bindings.iter().filter_map(|binding| behind(endpoint, *binding)).collect();
        if let Err(error) = self.firewall.publish(&added) {
            state.ports.release(&endpoint.id, &bindings);
            return Err(error);
        }
        state
            .bridge(&endpoint.bridge)?
            .published
            .extend(added.into_iter().map(|published| (endpoint.id.clone(), published)));
        endpoint.ports.extend(&bindings);
        Ok(bindings)
    }

    fn owner<'a>(&self, endpoint: &'a Endpoint, config: &BridgeConfig) -> Owner<'a> {
        Owner {
            name: &endpoint.container,
            id: &endpoint.id,
            has_v4: endpoint.address.is_some(),
            has_v6: endpoint.v6.is_some(),
            is_relayed: self.has_relays,
            is_routed: routed(config),
        }
    }

    /// The ports of a connected endpoint that the caller has to carry. Their sockets end with the
    /// endpoint's ports; the caller drops its own first.
    ///
    /// # Errors
    /// The kernel refuses to listen.
    pub fn relays(&self, endpoint: &Endpoint) -> Result<Vec<Relay>> {
        if !self.has_relays {
            return Ok(Vec::new());
        }
        let state = self.state();
        let mut relays = Vec::new();
        for binding in endpoint.ports.iter().filter(|binding| self.is_relayed(endpoint, binding)) {
            let to = match (binding.host_address, &endpoint.v6) {
                (IpAddr::V6(_), Some(v6)) => Some(v6.address.into()),
                _ => endpoint.address.map(IpAddr::from),
            };
            let Some(to) = to else { continue };
            let socket = state.ports.listener(&endpoint.id, binding).map_err(|source| Error::PortBind {
                name: endpoint.container.clone(),
                id: endpoint.id.clone(),
                address: binding.host_address,
                port: binding.host_port,
                protocol: binding.protocol,
                source,
            })?;
            let to = SocketAddr::new(to, binding.container_port);
            relays.extend(socket.map(|socket| Relay { protocol: binding.protocol, socket, to }));
        }
        Ok(relays)
    }

    fn is_relayed(&self, endpoint: &Endpoint, binding: &PortBinding) -> bool {
        let host = binding.host_address;
        // The kernel lets no packet for ::1 leave the host.
        let is_for_v6 =
            host.is_ipv6() && (endpoint.v6.is_none() || host.is_unspecified() || host.is_loopback());
        binding.protocol != Protocol::Sctp && (is_for_v6 || !self.has_firewall)
    }

    /// Withdraws all ports of a connected endpoint; others may have them at once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unpublish(&self, endpoint: &mut Endpoint) -> Result<()> {
        if let Ok(attached) = self.state().bridge(&endpoint.bridge) {
            attached.published.retain(|(id, _)| *id != endpoint.id);
        }
        let withdrawn = self.firewall.withdraw(&published(endpoint));
        self.state().ports.release(&endpoint.id, &endpoint.ports);
        endpoint.ports.clear();
        withdrawn
    }

    /// Sees to it that firewalls of other programs, which may have started or reloaded since,
    /// still let this stack's packets through. Answers with warnings. Cheap when nobody changed a
    /// rule; [`Stack::connect`] does it, and a daemon should whenever [`Stack::watch`] tells it.
    pub fn admit(&self) -> Result<Vec<String>> {
        let standing = self.state().standing();
        self.firewall.admit(&standing)
    }

    /// Puts this stack's own rules in place again if somebody flushed them; whether that was so.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn heal(&self) -> Result<bool> {
        // Held to the end: nobody's port may come or go between looking and mending.
        let state = self.state();
        let standing = state.standing();
        if standing.is_empty() || self.firewall.is_whole(&standing)? {
            return Ok(false);
        }
        self.firewall.install(&standing, &state.published())?;
        Ok(true)
    }

    /// A descriptor that is readable when somebody, this stack included, changed a firewall rule:
    /// [`Watch::drain`] it, then [`Stack::admit`].
    pub fn watch(&self) -> Result<Watch> {
        Watch::nftables().map_err(Error::netlink("watch", "the ruleset"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn route(&self) -> MutexGuard<'_, Socket> {
        self.route.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Attached {
    /// An IPv4 address, where the network has IPv4.
    fn place_v4(&mut self, request: &ConnectRequest) -> Result<Option<Ipv4Addr>> {
        match (&mut self.addresses, request.address) {
            (Some(pool), Some(address)) => pool.reserve(address).map(|()| Some(address)),
            (Some(pool), None) => pool.allocate().map(Some),
            (None, Some(address)) => Err(Error::AddressOutside(address.into())),
            (None, None) => Ok(None),
        }
    }

    /// An IPv6 address, where the network has IPv6.
    fn place_v6(&mut self, request: &ConnectRequest) -> Result<Option<EndpointV6>> {
        let Some((pool, config)) = self.addresses_v6.as_mut().zip(self.standing.config.v6.as_ref()) else {
            return match request.address_v6 {
                Some(address) => Err(Error::AddressOutside(address.into())),
                None => Ok(None),
            };
        };
        let address = match request.address_v6 {
            Some(address) => pool.reserve(address).map(|()| address)?,
            None => pool.allocate()?,
        };
        Ok(Some(EndpointV6 { address, prefix_len: config.subnet.prefix_len(), gateway: config.gateway }))
    }

    fn release(&mut self, address: Option<Ipv4Addr>, v6: &Option<EndpointV6>) {
        if let (Some(pool), Some(address)) = (&mut self.addresses, address) {
            pool.release(address);
        }
        if let (Some(pool), Some(v6)) = (&mut self.addresses_v6, v6) {
            pool.release(v6.address);
        }
    }
}

/// An endpoint with its addresses, which are in the books already, and its ports.
fn endpoint(
    ports: &mut Ports,
    attached: &Attached,
    request: &ConnectRequest,
    interface: String,
    (address, v6): (Option<Ipv4Addr>, Option<EndpointV6>),
    is_relayed: bool,
) -> Result<Endpoint> {
    let Standing { bridge, config, .. } = &attached.standing;
    let id = identifier()?;
    let owner = Owner {
        name: &request.container,
        id: &id,
        has_v4: address.is_some(),
        has_v6: v6.is_some(),
        is_relayed,
        is_routed: routed(config),
    };
    let is_bridge = config.medium.child().is_none();
    // On a link of the host containers are reached by their own addresses: nothing is published.
    let ports = if is_bridge { ports.allocate(owner, &request.ports)? } else { Vec::new() };
    let own_mac = match config.medium {
        Medium::Bridge => match (request.mac, address) {
            (Some(mac), _) => mac,
            (None, Some(address)) => MacAddress::of(address),
            (None, None) => MacAddress::random()?,
        },
        // On a shared link an address is taken until its former holder's namespace is quite gone.
        Medium::Macvlan { .. } => request.mac.map_or_else(MacAddress::random, Ok)?,
        Medium::Ipvlan { .. } => bridge.mac,
    };
    Ok(Endpoint {
        id,
        container: request.container.clone(),
        bridge: bridge.name.clone(),
        host_interface: if is_bridge { host_name()? } else { String::new() },
        interface,
        address,
        prefix_len: bridge.subnet.filter(|_| address.is_some()).map_or(0, |subnet| subnet.prefix_len()),
        gateway: config.router.or(bridge.gateway).filter(|_| address.is_some()),
        mac: own_mac,
        v6,
        routed: config.medium.is_routed(),
        ports,
    })
}

/// The families whose packets go to containers' own addresses.
fn routed(config: &BridgeConfig) -> [bool; 2] {
    [config.gateway_v4, config.gateway_v6].map(|mode| mode == GatewayMode::Routed)
}

fn published(endpoint: &Endpoint) -> Vec<Published> {
    endpoint.ports.iter().filter_map(|binding| behind(endpoint, *binding)).collect()
}

/// The address of the endpoint that a host port leads to: that of its own family.
fn behind(endpoint: &Endpoint, binding: PortBinding) -> Option<Published> {
    match binding.host_address {
        IpAddr::V4(_) => Some((binding, endpoint.address?.into())),
        IpAddr::V6(_) => Some((binding, endpoint.v6.as_ref()?.address.into())),
    }
}
