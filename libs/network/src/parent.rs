//! Networks whose containers share a link of the host: macvlan and ipvlan.

use netlink::{ChildKind, Link, Request, Socket, Target, add_loose_pair, add_parent};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::bridge::alias;
use crate::{Error, Result};

/// What the containers of a network are plugged into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// A bridge of the network's own.
    #[default]
    Bridge,
    /// A link of the host, each container with a link-layer address of its own.
    Macvlan {
        /// The host's link, `NAME` or `NAME.VLAN`; empty makes one that leads nowhere.
        parent: String,
        mode: MacvlanMode,
    },
    /// A link of the host, all containers with its link-layer address.
    Ipvlan {
        /// As above.
        parent: String,
        mode: IpvlanMode,
        flag: IpvlanFlag,
    },
}

/// Who hears whom on a macvlan parent (ip-link(8)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    Private = 1,
    Vepa = 2,
    #[default]
    Bridge = 4,
    Passthru = 8,
}

/// On which layer an ipvlan parent decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    #[default]
    L2 = 0,
    L3 = 1,
    L3s = 2,
}

/// Who hears whom on an ipvlan parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanFlag {
    #[default]
    Bridge = 0,
    Private = 1,
    Vepa = 2,
}

impl Medium {
    /// The kind of a container's link, and its parent; none on a bridge.
    pub(crate) fn child(&self) -> Option<(ChildKind, &str)> {
        match self {
            Medium::Bridge => None,
            Medium::Macvlan { parent, mode } => Some((ChildKind::Macvlan(*mode as u32), parent)),
            Medium::Ipvlan { parent, mode, flag } => {
                Some((ChildKind::Ipvlan(*mode as u16, *flag as u16), parent))
            }
        }
    }

    /// Packets are routed by the parent: containers need no router.
    pub(crate) fn is_routed(&self) -> bool {
        matches!(self, Medium::Ipvlan { mode: IpvlanMode::L3 | IpvlanMode::L3s, .. })
    }

    /// Containers' links have addresses of their own below IP.
    pub(crate) fn has_own_mac(&self) -> bool {
        !matches!(self, Medium::Ipvlan { .. })
    }
}

/// The parent's link: as it stands, or made here and marked as the stack's. `own` names the one
/// that leads nowhere.
///
/// # Errors
/// There is no such link.
pub(crate) fn ensure(socket: &mut Socket, stack: &str, parent: &str, own: &str) -> Result<Link> {
    let name = if parent.is_empty() { own } else { parent };
    match Link::get(socket, Target::Name(name)) {
        Err(error) if error.errno() == Some(Errno::NODEV) => {}
        other => return other.map_err(Error::netlink("look up parent", name)),
    }
    let missing = || {
        Error::InvalidNetwork(format!("invalid subinterface vlan name {name}, example formatting is eth0.10"))
    };
    let vlan = if parent.is_empty() {
        None
    } else {
        let (below, number) = parent.rsplit_once('.').ok_or_else(missing)?;
        let number = number.parse().ok().filter(|number| (1..4095).contains(number)).ok_or_else(missing)?;
        let below =
            Link::get(socket, Target::Name(below)).map_err(Error::netlink("look up parent", below))?;
        Some((below.index, number))
    };
    let mark = alias(stack);
    let mut make = |add: &dyn Fn(&mut Request)| {
        let mut request = Request::new();
        add(&mut request);
        let marked = netlink::Change { alias: Some(&mark), up: Some(true), ..netlink::Change::default() };
        netlink::change_link(&mut request, Target::Name(name), marked);
        socket.exchange(&mut request, |_, _| {})
    };
    let made = match make(&|request| add_parent(request, name, vlan)) {
        // A kernel without such links: the end of a pair of which nobody has the other.
        Err(error) if vlan.is_none() && error.errno() == Some(Errno::OPNOTSUPP) => {
            let peer = format!("dp{}", name.get(2..).unwrap_or_default());
            make(&|request| add_loose_pair(request, name, &peer))
        }
        other => other,
    };
    made.map_err(Error::netlink("create parent", name))?;
    Link::get(socket, Target::Name(name)).map_err(Error::netlink("look up parent", name))
}
