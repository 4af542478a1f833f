//! One daemon's whole container network.

use crate::{Bridge, BridgeConfig, ConnectRequest, Endpoint, Netns, PortBinding, PortRequest, Result};

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
pub struct Stack {
    name: String,
}

impl Stack {
    /// Opens the netlink sockets for a stack called `name` (letters, digits, `-`, at most 20:
    /// it names the firewall table `wherry-NAME`). Nothing is made yet.
    pub fn open(name: &str) -> Result<Stack> {
        todo!("{name}")
    }

    /// Makes everything stand as `networks` says: bridges made or adopted, addresses and host
    /// ports taken, the whole firewall table put in place in one transaction, without a gap for
    /// connections that live. To be called once before anything else, and safe to repeat.
    pub fn restore(&self, networks: Vec<Network>) -> Result<Restored> {
        todo!("{} {}", self.name, networks.len())
    }

    /// Makes one more bridge (a user-defined network).
    pub fn add_bridge(&self, config: BridgeConfig) -> Result<Bridge> {
        todo!("{config:?}")
    }

    /// Removes a bridge that nobody is connected to. Absent is success.
    pub fn remove_bridge(&self, name: &str) -> Result<()> {
        todo!("{name}")
    }

    /// A bridge as it stands.
    pub fn bridge(&self, name: &str) -> Option<Bridge> {
        todo!("{name}")
    }

    /// Gives a namespace its place on a bridge and publishes its ports. When anything fails,
    /// everything is taken back.
    pub fn connect(&self, netns: &Netns, request: ConnectRequest) -> Result<Endpoint> {
        todo!("{netns:?} {request:?}")
    }

    /// Gives back an endpoint's ports and address. The link itself ends with its namespace: call
    /// [`Netns::remove`] first. Repeating it, or an endpoint never restored, is success.
    pub fn disconnect(&self, endpoint: &Endpoint) -> Result<()> {
        todo!("{endpoint:?}")
    }

    /// Deletes the pair by hand (14 to 31 ms): for a live `network disconnect`, or a namespace
    /// that somebody else keeps alive.
    pub fn delete_link(&self, endpoint: &Endpoint) -> Result<()> {
        todo!("{endpoint:?}")
    }

    /// Publishes more ports of a connected endpoint.
    pub fn publish(&self, endpoint: &mut Endpoint, ports: &[PortRequest]) -> Result<Vec<PortBinding>> {
        todo!("{endpoint:?} {ports:?}")
    }

    /// Removes every trace of the stack: endpoints' links, bridges, firewall table and the rules
    /// in foreign tables. Failures are collected; the rest is still removed.
    pub fn destroy(&self) -> std::result::Result<(), Vec<crate::Error>> {
        todo!()
    }
}
