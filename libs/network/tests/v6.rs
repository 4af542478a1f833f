//! IPv6 beside IPv4: addresses, ports, translation.

mod world;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use wherry_network::{
    BridgeConfig, ConnectRequest, Error, HostPorts, Network, PortRequest, Protocol, Stack, V6Config,
};
use world::{BRIDGE, World, run, world};

const HOST: &str = "fd99::1";
const PATIENCE: Duration = Duration::from_millis(2500);

/// A stack whose bridge has both families, on a host that has both.
fn dual(world: &World) -> Stack {
    run("ip", &["-6", "addr", "add", "fd99::1/64", "dev", "eth0", "nodad"]);
    world
        .outside
        .run(|| {
            std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0").unwrap();
            run("ip", &["-6", "addr", "add", "fd99::2/64", "dev", "eth0", "nodad"]);
            // As a neighbour would that tries to reach containers by their own addresses.
            run("ip", &["-6", "route", "add", "fd00:7::/64", "via", "fd99::1"]);
        })
        .unwrap();
    let stack = Stack::open("t").unwrap();
    let bridge =
        BridgeConfig { v6: Some(V6Config::new("fd00:7::/64".parse().unwrap())), ..BridgeConfig::new(BRIDGE) };
    stack.restore(vec![Network { bridge, endpoints: vec![] }]).unwrap();
    stack
}

fn publish(port: u16) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        container_port: 80,
        host_address: None,
        host_ports: HostPorts::Range(port, port),
    }
}

/// A server that tells each caller whom it sees, in the calling thread's namespace.
fn serve() {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let peer = stream.peer_addr().unwrap().ip().to_canonical();
            let _ = stream.write_all(peer.to_string().as_bytes());
        }
    });
}

fn ask(address: &str, port: u16) -> Option<String> {
    let address = SocketAddrV6::new(address.parse().unwrap(), port, 0, 0);
    let mut stream = TcpStream::connect_timeout(&address.into(), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

fn refuses(address: &str, port: u16) -> bool {
    let address = SocketAddrV6::new(address.parse().unwrap(), port, 0, 0);
    TcpStream::connect_timeout(&address.into(), Duration::from_millis(250)).is_err()
}

#[test]
fn both_families_work_and_are_taken_back() {
    world(|world| {
        let stack = dual(world);
        let web = world.container(&stack, "web", &[publish(8080)]);
        let peer = world.container(&stack, "peer", &[]);
        let own = web.endpoint.v6.clone().unwrap();
        assert_eq!(
            (own.address.to_string().as_str(), own.gateway.to_string().as_str()),
            ("fd00:7::2", "fd00:7::1")
        );
        let bound: Vec<_> = web.endpoint.ports.iter().map(|port| port.host_address.to_string()).collect();
        assert_eq!(bound, ["0.0.0.0", "::"]);
        web.netns.run(serve).unwrap();
        // Neighbours, the host, the host's own address, another machine.
        peer.netns.run(|| assert_eq!(ask("fd00:7::2", 80).unwrap(), "fd00:7::3")).unwrap();
        assert_eq!(ask("fd00:7::2", 80).unwrap(), "fd00:7::1");
        assert!(ask(HOST, 8080).is_some(), "by the host's own address");
        peer.netns.run(|| assert!(ask(HOST, 8080).is_some(), "out and back in")).unwrap();
        web.netns.run(|| assert!(ask(HOST, 8080).is_some(), "its own port")).unwrap();
        world
            .outside
            .run(|| {
                assert_eq!(ask(HOST, 8080).unwrap(), "fd99::2", "the caller's own address is seen");
                assert!(refuses("fd00:7::2", 80), "by its own address it is not reached");
            })
            .unwrap();
        assert!(refuses("::1", 8080), "on loopback IPv4 answers alone, and nobody waits");
        // On the way out it has the host's address.
        world.outside.run(serve).unwrap();
        peer.netns.run(|| assert_eq!(ask("fd99::2", 80).unwrap(), "fd99::1")).unwrap();
        // The next life knows everything again, and the port is nobody else's.
        let bridge = BridgeConfig {
            v6: Some(V6Config::new("fd00:7::/64".parse().unwrap())),
            ..BridgeConfig::new(BRIDGE)
        };
        let endpoints = vec![web.endpoint.clone(), peer.endpoint.clone()];
        stack.restore(vec![Network { bridge, endpoints }]).unwrap();
        world.outside.run(|| assert!(ask(HOST, 8080).is_some())).unwrap();
        assert!(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 8080)).is_err());
        world.end(&stack, web);
        world.end(&stack, peer);
        assert!(refuses(HOST, 8080));
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn addresses_are_chosen_and_refused() {
    world(|world| {
        let stack = dual(world);
        let wish = |address: &str| ConnectRequest {
            address_v6: Some(address.parse().unwrap()),
            ..ConnectRequest::new(BRIDGE, "web")
        };
        let web = world.connect(&stack, wish("fd00:7::77"));
        assert_eq!(web.endpoint.v6.as_ref().unwrap().address.to_string(), "fd00:7::77");
        let again = |address: &str| {
            stack.connect(&web.netns, ConnectRequest { interface: None, ..wish(address) }).unwrap_err()
        };
        assert!(matches!(again("fd00:7::77"), Error::AddressInUse(_)));
        assert!(matches!(again("fd00:8::7"), Error::AddressOutside(_)));
        let port = PortRequest { host_address: Some("::1".parse().unwrap()), ..publish(9090) };
        let one = world.container(&stack, "one", &[port]);
        assert_eq!(one.endpoint.ports.len(), 1);
        world.end(&stack, web);
        world.end(&stack, one);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn a_container_of_ipv4_has_no_port_on_ipv6() {
    world(|world| {
        let stack = world::stack("t");
        let web = world.container(&stack, "web", &[]);
        let port = PortRequest { host_address: Some("::1".parse().unwrap()), ..publish(9090) };
        let refused = stack.publish(&mut web.endpoint.clone(), &[port]).unwrap_err();
        assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
        let inside = web.netns.run(|| run("ip", &["-6", "addr", "show", "dev", "eth0"])).unwrap();
        assert_eq!(inside, "", "its link has no IPv6 at all");
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}
