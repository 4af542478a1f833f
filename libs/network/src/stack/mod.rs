//! One daemon's whole container network.

mod remove;
mod restore;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use netlink::{Family, Socket, Watch};

use crate::bridge::{self, Standing};
use crate::endpoint::{free_interface, host_name, identifier};
use crate::firewall::{Firewall, Published};
use crate::ports::{Owner, Ports};
use crate::{
    AddressPool, Bridge, ConnectRequest, Endpoint, Error, MacAddress, Netns, PortBinding, PortRequest, Result,
};

pub use restore::{Network, Restored};

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
            firewall: Firewall::open(name)?,
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
        let connected = endpoint.attach(&self.route, netns, &standing, default_route).and_then(|()| {
            let open = self.admit().and_then(|_| self.firewall.publish(&published(&endpoint)));
            open.inspect_err(|_| {
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
            return Err(Error::Unsupported(format!(
                "ports cannot be published on the internal network of bridge {}",
                endpoint.bridge
            )));
        }
        let bindings = state.ports.allocate(Owner { name: &endpoint.container, id: &endpoint.id }, ports)?;
        let added: Vec<Published> = bindings.iter().map(|binding| (*binding, endpoint.address)).collect();
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

    /// Sees to it that firewalls of other programs, which may have started or reloaded since,
    /// still let this stack's packets through. Answers with warnings. Cheap when nobody changed a
    /// rule; [`Stack::connect`] does it, and a daemon should whenever [`Stack::watch`] tells it.
    pub fn admit(&self) -> Result<Vec<String>> {
        let standing = self.state().standing();
        self.firewall.admit(&standing)
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

fn published(endpoint: &Endpoint) -> Vec<Published> {
    endpoint.ports.iter().map(|binding| (*binding, endpoint.address)).collect()
}
