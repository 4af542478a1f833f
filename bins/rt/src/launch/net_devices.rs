//! Network devices of the host given to a container (config-linux.md#network-devices).

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink::{Address, Change, Family, Link, Request, Socket, Target, add_address, change_link};
use runtime_spec::NetDevice;
use rustix::process::Pid;

use crate::failure::Failure;

const RTM_NEWLINK: u16 = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_PID: u16 = 19;
/// Family, padding, type, index, flags, mask.
const HEADER: usize = 16;

/// One device: what it is on the host and what it has to be inside.
#[derive(Debug)]
pub struct Moving {
    link: u32,
    name: String,
    /// Lost with the change of namespace, and given again.
    addresses: Vec<Address>,
}

fn failed(name: &str) -> impl FnOnce(netlink::Error) -> Failure {
    let name = name.to_owned();
    move |error| Failure::new(format!("cannot move network device {name:?}: {error}"))
}

/// Finds the devices in the runtime's namespace.
pub fn find(devices: &BTreeMap<String, NetDevice>) -> Result<Vec<Moving>, Failure> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let mut socket = Socket::open(Family::Route).map_err(failed("any"))?;
    let mut all = Vec::new();
    for (host_name, device) in devices {
        let link = Link::get(&mut socket, Target::Name(host_name)).map_err(failed(host_name))?;
        let mut addresses = Vec::new();
        for v6 in [false, true] {
            let found = Address::list(&mut socket, v6).map_err(failed(host_name))?;
            addresses
                .extend(found.into_iter().filter(|one| one.link == link.index && !is_local(one.address)));
        }
        let name = if device.name.is_empty() { host_name } else { &device.name }.clone();
        all.push(Moving { link: link.index, name, addresses });
    }
    Ok(all)
}

/// Link-local addresses come by themselves.
fn is_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80)
}

/// Moves the devices to the namespace of a process, under their new names.
pub fn give(devices: &[Moving], pid: Pid) -> Result<(), Failure> {
    let mut socket = Socket::open(Family::Route).map_err(failed("any"))?;
    for device in devices {
        let mut header = [0; HEADER];
        header[4..8].copy_from_slice(&device.link.to_ne_bytes());
        let mut request = Request::new();
        request
            .message(RTM_NEWLINK, netlink::flags::ACK, &header)
            .u32(IFLA_NET_NS_PID, pid.as_raw_nonzero().get() as u32)
            .string(IFLA_IFNAME, &device.name);
        socket.transact(&mut request).map_err(failed(&device.name))?;
    }
    Ok(())
}

/// Gives the devices their addresses again and sets them up, in their new namespace.
pub fn take(devices: &[Moving]) -> Result<(), Failure> {
    let mut socket = Socket::open(Family::Route).map_err(failed("any"))?;
    for device in devices {
        let link = Link::get(&mut socket, Target::Name(&device.name)).map_err(failed(&device.name))?;
        let mut request = Request::new();
        for address in &device.addresses {
            add_address(&mut request, &Address { link: link.index, ..*address });
        }
        change_link(&mut request, Target::Index(link.index), Change { up: Some(true), ..Change::default() });
        socket.transact(&mut request).map_err(failed(&device.name))?;
    }
    Ok(())
}
