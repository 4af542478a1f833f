//! One daemon's whole container network.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use netlink::{Change, Family, Link, Request, Socket, Target, change_link};

use crate::bridge::{self, Standing};
use crate::endpoint::{self, free_interface, host_name, identifier};
use crate::firewall::{Firewall, Published};
use crate::ports::{Owner, Ports};
use crate::{AddressPool, Bridge, BridgeConfig, ConnectRequest, Endpoint, Error, MacAddress, Netns, PortBinding, PortRequest, Result};

/// A network to bring back, with the endpoints of the containers that still run on it.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its bridge.
    pub bridge: BridgeConfig,
    /// Connections whose containers are alive, or whose addresses must stay taken.
    pub endpoints: Vec<Endpoint>,
}

/// What [`Stack::restore`] found.
#[derive(Debug)]
pub struct Restored {
    /// The bridges, in the order they were asked for.
    pub bridges: Vec<Bridge>,
    /// What works but not as it should, for the log: a host port that another process took while
    /// no daemon held it, a foreign firewall that cannot be told about this stack.
    pub warnings: Vec<String>,
}

/// One daemon's container network: bridges, addresses, host ports, firewall table.
#[derive(Debug)]
pub struct Stack {
    name: String,
    route: Mutex<Socket>,
    firewall: Firewall,
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
    addresses: AddressPool,
    endpoints: HashSet<String>,
    published: Vec<(String, Published)>,
}

impl State {
    fn bridge(&mut self, name: &str) -> Result<&mut Attached> {
        self.bridges.iter_mut().find(|attached| attached.standing.bridge.name == name).ok_or_else(|| Error::NoSuchBridge(name.to_owned()))
    }

    fn standing(&self) -> Vec<Standing> {
        self.bridges.iter().map(|attached| attached.standing.clone()).collect()
    }

    fn published(&self) -> Vec<Published> {
        self.bridges.iter().flat_map(|attached| attached.published.iter().map(|(_, published)| *published)).collect()
    }
}

impl Stack {
    /// Opens the netlink sockets for a stack called `name` (letters, digits, `-`, at most 20:
    /// it names the firewall table `wherry-NAME`). Nothing is made yet.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn open(name: &str) -> Result<Stack> {
        if name.is_empty() || name.len() > 20 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Error::InvalidName { name: name.to_owned(), reason: "a stack's name has 1 to 20 letters, digits and dashes" });
        }
        let route = Socket::open(Family::Route).map_err(Error::netlink("open", "a route socket"))?;
        Ok(Stack { name: name.to_owned(), route: Mutex::new(route), firewall: Firewall::open(name)?, state: Mutex::default() })
    }

    /// Makes everything stand as `networks` says: bridges made or adopted, addresses and host
    /// ports taken, the whole firewall table put in place in one transaction, without a gap for
    /// connections that live. To be called once before anything else, and safe to repeat.
    pub fn restore(&self, networks: Vec<Network>) -> Result<Restored> {
        let mut state = self.state();
        // Drops the sockets of a former call, so that they can be bound again.
        *state = State::default();
        let mut warnings = Vec::new();
        for network in &networks {
            self.attach_bridge(&mut state, &network.bridge)?;
        }
        for network in networks {
            for endpoint in network.endpoints {
                self.adopt(&mut state, &endpoint, &mut warnings)?;
            }
        }
        warnings.extend(self.firewall.install(&state.standing(), &state.published())?);
        Ok(Restored { bridges: state.bridges.iter().map(|attached| attached.standing.bridge.clone()).collect(), warnings })
    }

    /// Takes into the books what an endpoint has.
    fn adopt(&self, state: &mut State, endpoint: &Endpoint, warnings: &mut Vec<String>) -> Result<()> {
        let owner = Owner { name: &endpoint.container, id: &endpoint.id };
        let State { bridges, ports } = state;
        let Some(attached) = bridges.iter_mut().find(|attached| attached.standing.bridge.name == endpoint.bridge) else {
            return Err(Error::NoSuchBridge(endpoint.bridge.clone()));
        };
        if let Err(error) = attached.addresses.reserve(endpoint.address) {
            warnings.push(format!("endpoint {} of {} at {}: {error}", endpoint.id, endpoint.container, endpoint.address));
            return Ok(());
        }
        attached.endpoints.insert(endpoint.id.clone());
        for binding in &endpoint.ports {
            match ports.restore(owner, *binding) {
                Err(error @ Error::PortAllocated { .. }) => warnings.push(error.to_string()),
                other => {
                    warnings.extend(other.err().map(|error| error.to_string()));
                    attached.published.push((endpoint.id.clone(), (*binding, endpoint.address)));
                }
            }
        }
        if attached.standing.made {
            self.enslave(&attached.standing, endpoint, warnings);
        }
        Ok(())
    }

    /// Plugs the host's end into a bridge that was made anew.
    fn enslave(&self, standing: &Standing, endpoint: &Endpoint, warnings: &mut Vec<String>) {
        let mut request = Request::new();
        let target = Target::Name(&endpoint.host_interface);
        change_link(&mut request, target, Change { up: Some(true), master: Some(standing.index), ..Change::default() });
        change_link(&mut request, target, Change { port: Some(endpoint::port(&standing.config)), ..Change::default() });
        if let Err(error) = self.route().exchange(&mut request, |_, _| {}) {
            warnings.push(format!("cannot plug {} of {} into {}: {error}", endpoint.host_interface, endpoint.container, endpoint.bridge));
        }
    }

    /// Makes one more bridge (a user-defined network). One of the same name that this stack has
    /// is answered as it stands.
    pub fn add_bridge(&self, config: BridgeConfig) -> Result<Bridge> {
        let mut state = self.state();
        if let Ok(attached) = state.bridge(&config.name) {
            return Ok(attached.standing.bridge.clone());
        }
        let bridge = self.attach_bridge(&mut state, &config)?;
        match self.firewall.install(&state.standing(), &state.published()) {
            Ok(_) => Ok(bridge),
            Err(error) => {
                state.bridges.pop();
                let _ = bridge::delete(&mut self.route(), &config.name);
                Err(error)
            }
        }
    }

    fn attach_bridge(&self, state: &mut State, config: &BridgeConfig) -> Result<Bridge> {
        let reserved: Vec<_> = state.bridges.iter().map(|attached| attached.standing.bridge.subnet).collect();
        let standing = bridge::ensure(&mut self.route(), &self.name, config, &reserved)?;
        let mut addresses = AddressPool::new(standing.bridge.subnet, config.range)?;
        addresses.reserve(standing.bridge.gateway)?;
        let bridge = standing.bridge.clone();
        state.bridges.push(Attached { standing, addresses, endpoints: HashSet::new(), published: Vec::new() });
        Ok(bridge)
    }

    /// Removes a bridge that nobody is connected to. Absent is success.
    ///
    /// # Errors
    /// [`Error::BridgeInUse`].
    pub fn remove_bridge(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        if let Ok(attached) = state.bridge(name) {
            if !attached.endpoints.is_empty() {
                return Err(Error::BridgeInUse { bridge: name.to_owned(), endpoints: attached.endpoints.len() });
            }
            state.bridges.retain(|attached| attached.standing.bridge.name != name);
            self.firewall.install(&state.standing(), &state.published())?;
        }
        self.delete_own_bridge(name)
    }

    fn delete_own_bridge(&self, name: &str) -> Result<()> {
        let mut route = self.route();
        match Link::get(&mut route, Target::Name(name)) {
            // An administrator's bridge was only borrowed.
            Ok(link) if link.alias != Some(bridge::alias(&self.name)) => Ok(()),
            _ => bridge::delete(&mut route, name),
        }
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
        let connected = endpoint.attach(&self.route, netns, &standing, default_route).and_then(|()| {
            self.firewall.publish(&published(&endpoint)).inspect_err(|_| {
                let _ = self.delete_link(&endpoint);
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
        let Some(attached) = bridges.iter_mut().find(|attached| attached.standing.bridge.name == request.bridge) else {
            return Err(Error::NoSuchBridge(request.bridge.clone()));
        };
        if attached.standing.config.internal && !request.ports.is_empty() {
            return Err(Error::Unsupported(format!("ports cannot be published on the internal network of bridge {}", request.bridge)));
        }
        let address = match request.address {
            Some(address) => attached.addresses.reserve(address).map(|()| address)?,
            None => attached.addresses.allocate()?,
        };
        let bridge = &attached.standing.bridge;
        let endpoint = identifier().and_then(|id| {
            let ports = ports.allocate(Owner { name: &request.container, id: &id }, &request.ports)?;
            Ok(Endpoint {
                id,
                container: request.container.clone(),
                bridge: bridge.name.clone(),
                host_interface: host_name()?,
                interface,
                address,
                prefix_len: bridge.subnet.prefix_len(),
                gateway: bridge.gateway,
                mac: request.mac.unwrap_or(MacAddress::of(address)),
                ports,
            })
        });
        let endpoint = endpoint.inspect_err(|_| attached.addresses.release(address))?;
        attached.endpoints.insert(endpoint.id.clone());
        attached.published.extend(published(&endpoint).into_iter().map(|published| (endpoint.id.clone(), published)));
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
        // Only then are they free for others: they do not lead here any more.
        let withdrawn = self.firewall.withdraw(&published(endpoint));
        let mut state = self.state();
        state.ports.release(&endpoint.id, &endpoint.ports);
        if let Ok(attached) = state.bridge(&endpoint.bridge) {
            attached.addresses.release(endpoint.address);
        }
        withdrawn
    }

    /// Deletes the pair by hand (14 to 31 ms): for a live `network disconnect`, or a namespace
    /// that somebody else keeps alive. Absent is success.
    pub fn delete_link(&self, endpoint: &Endpoint) -> Result<()> {
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
            return Err(Error::Unsupported(format!("ports cannot be published on the internal network of bridge {}", endpoint.bridge)));
        }
        let bindings = state.ports.allocate(Owner { name: &endpoint.container, id: &endpoint.id }, ports)?;
        let added: Vec<Published> = bindings.iter().map(|binding| (*binding, endpoint.address)).collect();
        if let Err(error) = self.firewall.publish(&added) {
            state.ports.release(&endpoint.id, &bindings);
            return Err(error);
        }
        state.bridge(&endpoint.bridge)?.published.extend(added.into_iter().map(|published| (endpoint.id.clone(), published)));
        endpoint.ports.extend(&bindings);
        Ok(bindings)
    }

    /// Sees to it that firewalls of other programs, which may have started or reloaded since,
    /// still let this stack's packets through. Answers with warnings. About 0.2 ms.
    pub fn admit(&self) -> Result<Vec<String>> {
        let standing = self.state().standing();
        self.firewall.admit(&standing)
    }

    /// Removes every trace of the stack: the namespaces whose files are in `netns_directory`, the
    /// links on its bridges, the bridges that it made, the firewall table and the rules in foreign
    /// tables. Needs no [`Stack::restore`] before. Failures are collected; the rest still goes.
    pub fn destroy(&self, netns_directory: Option<&Path>) -> std::result::Result<(), Vec<Error>> {
        *self.state() = State::default();
        let mut failures = Vec::new();
        if let Some(directory) = netns_directory {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                failures.extend(Netns::remove(&entry.path()).err());
            }
        }
        match self.own_links() {
            Ok(links) => failures.extend(links.iter().filter_map(|link| bridge::delete(&mut self.route(), link).err())),
            Err(error) => failures.push(error),
        }
        failures.extend(self.firewall.remove().err());
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// The links with this stack's mark: ends of pairs first, then bridges.
    fn own_links(&self) -> Result<Vec<String>> {
        let links = Link::list(&mut self.route()).map_err(Error::netlink("list links of stack", &self.name))?;
        let mark = Some(bridge::alias(&self.name));
        let (bridges, ends): (Vec<Link>, Vec<Link>) = links.into_iter().filter(|link| link.alias == mark).partition(|link| link.kind.as_deref() == Some("bridge"));
        Ok(ends.into_iter().chain(bridges).map(|link| link.name).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn route(&self) -> MutexGuard<'_, Socket> {
        self.route.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn published(endpoint: &Endpoint) -> Vec<Published> {
    endpoint.ports.iter().map(|binding| (*binding, endpoint.address)).collect()
}
