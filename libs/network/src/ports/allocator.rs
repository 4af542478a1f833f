//! Who has which host port, and the sockets that keep others off them.
//!
//! The kernel's translation rules serve a published port; the socket bound here carries no byte.
//! It makes the next process that wants the port fail as it would on any taken port.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, ipproto, listen, shutdown, socket_with,
};

use crate::{Error, HostPorts, PortBinding, PortRequest, Protocol, Result, sysctl};

/// Whom a port is for, in the words of the error texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// Name of the container.
    pub name: &'a str,
    /// Identifier of the endpoint.
    pub id: &'a str,
    /// It has an IPv4 address.
    pub has_v4: bool,
    /// It has an IPv6 address, which ports of IPv6 lead to.
    pub has_v6: bool,
    /// Somebody carries to it what the kernel does not: IPv6 to a container of IPv4.
    pub is_relayed: bool,
    /// Of IPv4, and of IPv6: packets go to its own addresses, and no host port is taken.
    pub is_routed: [bool; 2],
}

impl Owner<'_> {
    /// Ports on IPv6 addresses of the host lead to it, one way or the other.
    fn takes_v6(&self, protocol: Protocol) -> bool {
        // Nobody carries SCTP.
        let is_carried = self.is_relayed && !self.is_routed[0] && protocol != Protocol::Sctp;
        self.has_v6 || (is_carried && host_has_v6())
    }

    fn is_routed(&self, address: IpAddr) -> bool {
        self.is_routed[usize::from(address.is_ipv6())]
    }
}

/// The host has IPv6, if only on its loopback.
fn host_has_v6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// The host ports of one stack.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    taken: HashMap<(Protocol, u16), Vec<Taken>>,
    last_ephemeral: u16,
    /// Ports that were given back, and when.
    released: HashMap<(Protocol, u16), Instant>,
}

#[derive(Debug)]
struct Taken {
    address: IpAddr,
    endpoint: String,
    socket: Option<Held>,
}

/// A bound socket that leaves its port when it is dropped. Closing alone would not: a child that
/// this process is just spawning has a copy of every descriptor until it executes its program.
#[derive(Debug)]
struct Held(OwnedFd);

impl Drop for Held {
    fn drop(&mut self) {
        // From now on the next holder's socket, which allows reuse too, is no conflict.
        let _ = set_socket_reuseaddr(&self.0, true);
        let _ = shutdown(&self.0, Shutdown::Read);
    }
}

/// Connections that wait to be taken by whoever carries them.
const BACKLOG: i32 = 1024;

/// How long a copy of a dropped socket may live in a child.
const SHADOW: Duration = Duration::from_secs(2);

impl Ports {
    /// Takes a host port for each request, or none at all.
    pub fn allocate(&mut self, owner: Owner<'_>, requests: &[PortRequest]) -> Result<Vec<PortBinding>> {
        let mut bindings = Vec::with_capacity(requests.len());
        for request in requests {
            match self.allocate_one(owner, request) {
                Ok(given) => bindings.extend(given),
                Err(error) => {
                    self.release(owner.id, &bindings);
                    return Err(error);
                }
            }
        }
        Ok(bindings)
    }

    /// A port for a request: one binding, or one for each family of addresses.
    fn allocate_one(&mut self, owner: Owner<'_>, request: &PortRequest) -> Result<Vec<PortBinding>> {
        let addresses: Vec<IpAddr> = match request.host_address {
            None => {
                let v4 = owner.has_v4.then_some(Ipv4Addr::UNSPECIFIED.into());
                let v6 = owner.takes_v6(request.protocol).then_some(Ipv6Addr::UNSPECIFIED.into());
                v4.into_iter().chain(v6).collect()
            }
            Some(IpAddr::V4(address)) if !owner.has_v4 => {
                return Err(Error::Unsupported(format!(
                    "cannot publish a port on {address}: the container has no IPv4 address"
                )));
            }
            Some(IpAddr::V6(address)) if !owner.takes_v6(request.protocol) => {
                return Err(Error::Unsupported(format!(
                    "cannot publish a port on [{address}]: the container has no IPv6 address"
                )));
            }
            Some(address) => vec![address],
        };
        let (first, last, start) = match request.host_ports {
            HostPorts::Range(first, last) => (first, last, first),
            HostPorts::Ephemeral => {
                let (first, last) = sysctl::local_port_range();
                let next = self.last_ephemeral.checked_add(1).filter(|next| (first..=last).contains(next));
                (first, last, next.unwrap_or(first))
            }
        };
        for port in (start..=last).chain(first..start) {
            match self.take_all(owner, request, &addresses, port) {
                Ok(bindings) => {
                    if request.host_ports == HostPorts::Ephemeral {
                        self.last_ephemeral = port;
                    }
                    return Ok(bindings);
                }
                Err(error) if first == last || !is_taken(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Err(Error::NoFreePort { name: owner.name.to_owned(), id: owner.id.to_owned() })
    }

    /// Takes a port on every one of the addresses, or on none.
    fn take_all(
        &mut self,
        owner: Owner<'_>,
        request: &PortRequest,
        addresses: &[IpAddr],
        port: u16,
    ) -> Result<Vec<PortBinding>> {
        let mut taken = Vec::with_capacity(addresses.len());
        for address in addresses {
            let is_routed = owner.is_routed(*address);
            let binding = PortBinding {
                protocol: request.protocol,
                host_address: *address,
                host_port: if is_routed { 0 } else { port },
                container_port: request.container_port,
            };
            if is_routed {
                taken.push(binding);
                continue;
            }
            if let Err(error) = self.take(owner, binding) {
                self.release(owner.id, &taken);
                return Err(error);
            }
            taken.push(binding);
        }
        Ok(taken)
    }

    fn take(&mut self, owner: Owner<'_>, binding: PortBinding) -> Result<()> {
        let (address, port) = (binding.host_address, binding.host_port);
        if self.is_allocated(&binding) {
            return Err(Error::PortAllocated {
                name: owner.name.to_owned(),
                id: owner.id.to_owned(),
                address,
                port,
            });
        }
        let released = self.released.get(&(binding.protocol, port));
        let is_shadow = released.is_some_and(|released| released.elapsed() < SHADOW);
        let socket = hold(binding, is_shadow).map_err(|source| Error::PortBind {
            name: owner.name.to_owned(),
            id: owner.id.to_owned(),
            address,
            port,
            protocol: binding.protocol,
            source,
        })?;
        self.insert(owner, binding, socket);
        Ok(())
    }

    /// Takes back what an endpoint had in the daemon's last life. The port is the endpoint's even
    /// when a process took the socket meanwhile, for the rules come first; that is the error.
    /// A socket that `former` still holds for it is kept.
    pub fn restore(&mut self, owner: Owner<'_>, binding: PortBinding, former: &mut Ports) -> Result<()> {
        if binding.is_routed() {
            return Ok(());
        }
        if !self.is_allocated(&binding)
            && let Some(socket) = former.hand_over(owner.id, &binding)
        {
            self.insert(owner, binding, Some(socket));
            return Ok(());
        }
        // Whatever is in the way may be a copy of the former life's socket.
        self.released.insert((binding.protocol, binding.host_port), Instant::now());
        match self.take(owner, binding) {
            Err(error @ Error::PortBind { .. }) => {
                self.insert(owner, binding, None);
                Err(error)
            }
            other => other,
        }
    }

    /// Gives ports back; those of other endpoints stay.
    pub fn release(&mut self, endpoint: &str, bindings: &[PortBinding]) {
        for binding in bindings.iter().filter(|binding| !binding.is_routed()) {
            let key = (binding.protocol, binding.host_port);
            self.released.retain(|_, released| released.elapsed() < SHADOW);
            self.released.insert(key, Instant::now());
            if let Some(taken) = self.taken.get_mut(&key) {
                taken.retain(|taken| taken.address != binding.host_address || taken.endpoint != endpoint);
                if taken.is_empty() {
                    self.taken.remove(&key);
                }
            }
        }
    }

    fn hand_over(&mut self, endpoint: &str, binding: &PortBinding) -> Option<Held> {
        let taken = self.taken.get_mut(&(binding.protocol, binding.host_port))?;
        taken
            .iter_mut()
            .find(|taken| taken.address == binding.host_address && taken.endpoint == endpoint)?
            .socket
            .take()
    }

    /// A copy of the socket that holds a port for an endpoint, listening if it is one that can.
    pub fn listener(&self, endpoint: &str, binding: &PortBinding) -> io::Result<Option<OwnedFd>> {
        let taken = self.taken.get(&(binding.protocol, binding.host_port));
        let own = taken
            .iter()
            .flat_map(|taken| taken.iter())
            .find(|taken| taken.address == binding.host_address && taken.endpoint == endpoint);
        let Some(Held(socket)) = own.and_then(|taken| taken.socket.as_ref()) else { return Ok(None) };
        if binding.protocol == Protocol::Tcp {
            // Connections that ended here are not in the way of whoever binds the port next.
            set_socket_reuseaddr(socket, true)?;
            listen(socket, BACKLOG)?;
        }
        let copy = socket.try_clone()?;
        rustix::io::ioctl_fionbio(&copy, true)?;
        Ok(Some(copy))
    }

    fn is_allocated(&self, binding: &PortBinding) -> bool {
        let wanted = binding.host_address;
        self.taken.get(&(binding.protocol, binding.host_port)).is_some_and(|taken| {
            taken.iter().any(|taken| {
                taken.address.is_ipv4() == wanted.is_ipv4()
                    && (taken.address == wanted || taken.address.is_unspecified() || wanted.is_unspecified())
            })
        })
    }

    fn insert(&mut self, owner: Owner<'_>, binding: PortBinding, socket: Option<Held>) {
        let taken = Taken { address: binding.host_address, endpoint: owner.id.to_owned(), socket };
        self.taken.entry((binding.protocol, binding.host_port)).or_default().push(taken);
    }
}

fn is_taken(error: &Error) -> bool {
    match error {
        Error::PortAllocated { .. } => true,
        Error::PortBind { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
        _ => false,
    }
}

/// The operating system's answer to bind(2) as Docker's clients expect to read it.
pub(crate) fn bind_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Binds the host port. `None` when the kernel has no such protocol for sockets (SCTP as a
/// module that is absent), though it translates it. `is_shadow` says that what is in the way may
/// be a copy of this stack's own former socket.
fn hold(binding: PortBinding, is_shadow: bool) -> io::Result<Option<Held>> {
    let address = SocketAddr::new(binding.host_address, binding.host_port);
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = match binding.protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let open = || {
        let socket = Held(socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?);
        if address.is_ipv6() {
            // The port of the same number on IPv4 is a binding of its own.
            set_ipv6_v6only(&socket.0, true)?;
        }
        Ok(socket)
    };
    let socket = match open() {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if binding.protocol == Protocol::Sctp => {
            return Ok(None);
        }
        other => other?,
    };
    let is_tcp = binding.protocol == Protocol::Tcp;
    match bind(&socket.0, &address) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::ADDRINUSE) if is_tcp || is_shadow => {
            let socket = open()?;
            set_socket_reuseaddr(&socket.0, true)?;
            bind(&socket.0, &address)?;
            if is_tcp {
                // Ended connections in TIME_WAIT look like a taken port, unless reuse is asked
                // for; and then only listening tells them from a live socket.
                listen(&socket.0, 0)?;
            } else {
                set_socket_reuseaddr(&socket.0, false)?;
            }
            Ok(Some(socket))
        }
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const A: Owner<'_> =
        Owner { name: "a", id: "ida", has_v4: true, has_v6: false, is_relayed: false, is_routed: [false; 2] };
    const B: Owner<'_> =
        Owner { name: "b", id: "idb", has_v4: true, has_v6: false, is_relayed: false, is_routed: [false; 2] };

    fn request(host_address: Option<&str>, host_ports: HostPorts) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_address: host_address.map(|a| a.parse().unwrap()),
            host_ports,
        }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_port_has_one_owner_in_dockers_words() {
        let mut ports = Ports::default();
        let port = free_port();
        let bound = ports.allocate(A, &[request(Some("127.0.0.1"), HostPorts::Range(port, port))]).unwrap();
        let error =
            ports.allocate(B, &[request(Some("127.0.0.1"), HostPorts::Range(port, port))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "driver failed programming external connectivity on endpoint b (idb): Bind for 127.0.0.1:{port} failed: port is already allocated"
            )
        );
        // Every address includes this one; another address of the same port is free.
        assert!(matches!(
            ports.allocate(B, &[request(None, HostPorts::Range(port, port))]),
            Err(Error::PortAllocated { .. })
        ));
        ports.allocate(B, &[request(Some("127.0.0.2"), HostPorts::Range(port, port))]).unwrap();
        ports.release("idb", &bound);
        assert!(ports.is_allocated(&bound[0]), "another endpoint cannot give it back");
        ports.release("ida", &bound);
        ports
            .allocate(
                B,
                &bound
                    .iter()
                    .map(|b| request(Some("127.0.0.1"), HostPorts::Range(b.host_port, b.host_port)))
                    .collect::<Vec<_>>(),
            )
            .unwrap();
    }

    #[test]
    fn a_process_of_the_host_keeps_its_port() {
        let mut ports = Ports::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error =
            ports.allocate(A, &[request(Some("127.0.0.1"), HostPorts::Range(port, port))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "driver failed programming external connectivity on endpoint a (ida): failed to bind host port 127.0.0.1:{port}/tcp: address already in use"
            )
        );
        drop(listener);
        ports.allocate(A, &[request(Some("127.0.0.1"), HostPorts::Range(port, port))]).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "the host cannot take a published port");
    }

    #[test]
    fn a_port_in_time_wait_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The side that closes first waits.
        server.shutdown(std::net::Shutdown::Both).unwrap();
        drop((server, client, listener));
        let mut ports = Ports::default();
        ports.allocate(A, &[request(Some("127.0.0.1"), HostPorts::Range(port, port))]).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn a_copy_in_a_child_is_not_in_the_way() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let mut ports = Ports::default();
            let port = free_port();
            let wanted = PortRequest { protocol, ..request(Some("127.0.0.1"), HostPorts::Range(port, port)) };
            // The second time the socket in the way listens, as after a port in TIME_WAIT.
            for _ in 0..3 {
                let bindings = ports.allocate(A, &[wanted]).unwrap();
                let socket = &ports.taken[&(protocol, port)][0].socket;
                let copy = socket.as_ref().unwrap().0.try_clone().unwrap();
                assert!(ports.allocate(B, &[wanted]).is_err());
                ports.release("ida", &bindings);
                let again = ports.allocate(B, &[wanted]).unwrap();
                assert!(hold(again[0], false).is_err(), "it is held");
                drop(copy);
                ports.release("idb", &again);
            }
        }
    }

    #[test]
    fn ranges_and_ephemeral_ports_skip_what_is_taken() {
        let mut ports = Ports::default();
        let first =
            ports.allocate(A, &[request(Some("127.0.0.3"), HostPorts::Ephemeral)]).unwrap()[0].host_port;
        let second =
            ports.allocate(A, &[request(Some("127.0.0.3"), HostPorts::Ephemeral)]).unwrap()[0].host_port;
        assert_ne!(first, second);
        let range = HostPorts::Range(first, first + 2);
        let mut given = Vec::new();
        while let Ok(bindings) = ports.allocate(B, &[request(Some("127.0.0.3"), range)]) {
            given.push(bindings[0].host_port);
        }
        assert!(!given.contains(&first) && given.len() <= 2);
        assert!(matches!(
            ports.allocate(B, &[request(Some("127.0.0.3"), range)]),
            Err(Error::NoFreePort { .. })
        ));
    }

    #[test]
    fn all_or_nothing() {
        let mut ports = Ports::default();
        let port = free_port();
        let wanted = request(Some("127.0.0.1"), HostPorts::Range(port, port));
        assert!(ports.allocate(A, &[wanted, wanted]).is_err());
        ports.allocate(B, &[wanted]).unwrap();
        assert!(matches!(
            ports.allocate(A, &[request(Some("::1"), HostPorts::Ephemeral)]),
            Err(Error::Unsupported(_))
        ));
    }
}
