//! Bridges, addresses, NAT and published ports.
//!
//! One [`Stack`] is one daemon's whole container network: its bridges, its addresses, its host
//! ports and its own nftables table, so that several daemons run side by side on one host. A
//! container's part of it is an [`Endpoint`], a plain record that the caller stores with the
//! container and hands back to [`Stack::restore`] after a restart; nothing is kept on disk here.
//!
//! The road of a container:
//!
//! ```no_run
//! # use wherry_network as network;
//! # fn main() -> Result<(), network::Error> {
//! use network::{BridgeConfig, ConnectRequest, Netns, Network, Stack};
//!
//! let stack = Stack::open("default")?;
//! // Once at start, with what the last life left; an empty list the first time.
//! let restored = stack.restore(vec![Network { bridge: BridgeConfig::new("wherry0"), endpoints: vec![] }])?;
//! println!("bridge {:?}", restored.bridges[0].subnet);
//!
//! // Per container: a namespace before it starts, named by path in its spec.
//! let netns = Netns::create("/run/wherry/engined/netns/ID".as_ref())?;
//! let endpoint = stack.connect(&netns, ConnectRequest::new("wherry0", "web"))?;
//!
//! // When it has ended. The kernel removes the veth pair with the namespace.
//! Netns::remove("/run/wherry/engined/netns/ID".as_ref())?;
//! stack.disconnect(&endpoint)?;
//! # Ok(()) }
//! ```
//!
//! Everything is synchronous and short (a container's network takes about 1.5 ms, a port 0.3 ms):
//! an asynchronous daemon calls it on a blocking thread. All types are `Send + Sync`. Every call
//! must come from a thread in the network namespace in which the stack was opened, the host's.

mod bridge;
mod dns;
mod endpoint;
mod error;
mod files;
mod firewall;
mod mac;
mod netns;
mod parent;
mod pool;
mod pool_v6;
mod ports;
mod stack;
mod subnet;
mod sysctl;

pub use bridge::{Bridge, BridgeConfig, DEFAULT_BRIDGE, DEFAULT_MTU, Direct, GatewayMode};
pub use dns::{RESOLVER, Resolver};
pub use endpoint::{ConnectRequest, Endpoint, EndpointV6};
pub use error::{Error, Result};
pub use files::{HostEntry, ResolvConf, hostname_file, hosts_file};
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use mac::MacAddress;
pub use netlink::Watch;
pub use netns::{Netns, NetnsPool};
pub use parent::{IpvlanFlag, IpvlanMode, MacvlanMode, Medium};
pub use pool::AddressPool;
pub use pool_v6::V6Config;
pub use ports::{HostPorts, PortBinding, PortRequest, Protocol, Relay};
pub use stack::{Network, Options, Restored, Stack};
pub use subnet::Pool;
