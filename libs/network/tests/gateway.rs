//! What a bridge is to the world: translation, a route, or nothing at all; with one family or both.

mod world;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use wherry_network::{
    BridgeConfig, Error, GatewayMode, Netns, Network, Options, PortRequest, Protocol, Stack, V6Config,
};
use world::{BRIDGE, HOST, OUTSIDE, port, run, serve, tcp, tcp_fails, udp, world};

fn open(options: Options, bridge: BridgeConfig) -> Stack {
    let stack = Stack::open_with("t", options).unwrap();
    stack.restore(vec![Network { bridge, endpoints: vec![] }]).unwrap();
    stack
}

fn bridge() -> BridgeConfig {
    BridgeConfig { subnet: Some("172.30.0.0/24".parse().unwrap()), ..BridgeConfig::new(BRIDGE) }
}

#[test]
fn a_routed_network_is_reached_at_its_own_addresses() {
    world(|world| {
        let config = BridgeConfig { gateway_v4: GatewayMode::Routed, ..bridge() };
        let stack = open(Options { relays: true, ..Options::default() }, config.clone());
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
        let shown: Vec<_> =
            web.endpoint.ports.iter().map(|port| (port.host_address.to_string(), port.host_port)).collect();
        assert_eq!(shown, [("0.0.0.0".to_owned(), 0)], "no port of the host is taken");
        drop(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap());
        web.netns.run(|| [80, 81].map(serve)).unwrap();
        let address = web.address();
        let look = || {
            world
                .outside
                .run(|| {
                    run("ip", &["route", "replace", "172.30.0.0/24", "via", "10.9.0.1"]);
                    assert_eq!(tcp(address, 80), OUTSIDE);
                    tcp_fails(address, 81);
                    assert!(udp(address, 80).is_none(), "of another protocol");
                    tcp_fails(HOST, 8080);
                    run("busybox", &["ping", "-c", "1", "-W", "2", &address.to_string()]);
                })
                .unwrap();
        };
        look();
        // Nothing is translated on the way out.
        world.outside.run(|| serve(90)).unwrap();
        web.netns.run(|| assert_eq!(tcp(OUTSIDE, 90), address)).unwrap();
        // The next life opens the same.
        stack.restore(vec![Network { bridge: config, endpoints: vec![web.endpoint.clone()] }]).unwrap();
        look();
        let next = address;
        world.end(&stack, web);
        // Whoever has the address next has nothing open.
        let other = world.container(&stack, "other", &[]);
        assert_eq!(other.address(), next);
        other.netns.run(|| serve(80)).unwrap();
        world.outside.run(|| tcp_fails(next, 80)).unwrap();
        world.end(&stack, other);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn an_isolated_network_has_no_host_in_it() {
    world(|world| {
        let two = Some("172.30.0.0/31".parse().unwrap());
        let isolated =
            BridgeConfig { gateway_v4: GatewayMode::Isolated, internal: true, subnet: two, ..bridge() };
        let stack = open(Options::default(), isolated.clone());
        assert_eq!(run("ip", &["-4", "addr", "show", "dev", BRIDGE]), "");
        let (one, two) = (world.container(&stack, "one", &[]), world.container(&stack, "two", &[]));
        let addresses = [&one, &two].map(|container| container.address().octets()[3]);
        assert_eq!((addresses, one.endpoint.gateway), ([0, 1], None));
        one.netns.run(|| serve(80)).unwrap();
        let address = one.address();
        two.netns.run(|| assert_eq!(tcp(address, 80), two.address())).unwrap();
        tcp_fails(address, 80);
        let other = BridgeConfig { internal: false, name: "br-other".into(), ..isolated };
        assert!(matches!(stack.add_bridge(other), Err(Error::InvalidNetwork(_))));
        world.end(&stack, one);
        world.end(&stack, two);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

fn connects(address: Ipv6Addr, port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddrV6::new(address, port, 0, 0).into(), Duration::from_secs(2)).is_ok()
}

#[test]
fn a_network_may_have_ipv6_alone() {
    world(|world| {
        let v6 = V6Config::new("fd00:9::/64".parse().unwrap());
        let alone = BridgeConfig { v4: false, v6: Some(v6), ..BridgeConfig::new(BRIDGE) };
        let stack = open(Options { relays: true, ..Options::default() }, alone.clone());
        assert_eq!(stack.bridge(BRIDGE).unwrap().subnet, None);
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
        assert_eq!((web.endpoint.address, web.endpoint.gateway), (None, None));
        let shown: Vec<_> = web.endpoint.ports.iter().map(|port| port.host_address.to_string()).collect();
        assert_eq!(shown, ["::"]);
        let inside = web.netns.run(|| run("ip", &["-o", "addr", "show", "dev", "eth0"])).unwrap();
        assert!(inside.contains("fd00:9::2/64") && !inside.contains("inet "), "{inside}");
        web.netns
            .run(|| {
                let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap();
                std::thread::spawn(move || for _ in listener.incoming() {});
            })
            .unwrap();
        let peer = world.container(&stack, "peer", &[]);
        let own = web.endpoint.v6.as_ref().unwrap().address;
        peer.netns.run(|| assert!(connects(own, 80))).unwrap();
        run("ip", &["-6", "addr", "add", "fd99::1/64", "dev", "eth0", "nodad"]);
        assert!(connects("fd99::1".parse().unwrap(), 8080));
        let v4 = PortRequest { host_address: Some(HOST.into()), ..port(Protocol::Tcp, 9090, 90) };
        assert!(matches!(stack.publish(&mut peer.endpoint.clone(), &[v4]), Err(Error::Unsupported(_))));
        stack
            .restore(vec![Network {
                bridge: alone,
                endpoints: vec![web.endpoint.clone(), peer.endpoint.clone()],
            }])
            .unwrap();
        assert!(connects("fd99::1".parse().unwrap(), 8080));
        let neither = BridgeConfig { v4: false, ..BridgeConfig::new("br-none") };
        assert!(matches!(stack.add_bridge(neither), Err(Error::InvalidNetwork(_))));
        world.end(&stack, web);
        world.end(&stack, peer);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn ports_that_the_kernel_does_not_lead_are_handed_to_a_relay() {
    world(|world| {
        let relayed = Options { relays: true, ..Options::default() };
        for (options, count) in [(relayed.clone(), 1), (Options { firewall: false, ..relayed }, 2)] {
            let stack = open(options, bridge());
            let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
            let shown: Vec<_> = web.endpoint.ports.iter().map(|port| port.host_address.to_string()).collect();
            assert_eq!(shown, ["0.0.0.0", "::"]);
            let mut relays = stack.relays(&web.endpoint).unwrap();
            assert_eq!(relays.len(), count);
            let relay = relays.pop().unwrap();
            assert_eq!(relay.to, (web.address(), 80).into());
            let listener = TcpListener::from(relay.socket);
            let caller = TcpStream::connect((Ipv6Addr::LOCALHOST, 8080)).unwrap();
            world::wait("the call", || listener.accept().is_ok());
            drop((caller, listener, relays));
            world.end(&stack, web);
            drop(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 8080)).unwrap());
            stack.destroy(None).unwrap();
        }
        world.assert_clean();
    });
}

#[test]
fn who_has_left_is_not_heard_any_more() {
    world(|world| {
        let stack = open(Options::default(), bridge());
        let left = world.container(&stack, "left", &[]);
        left.netns.run(|| serve(80)).unwrap();
        let address = left.address();
        tcp(address, 80);
        // Somebody keeps the namespace from ending, as the kernel does for a while.
        let kept = Netns::open(left.netns.path()).unwrap();
        world.end(&stack, left);
        let next = world.container(&stack, "next", &[]);
        assert_eq!(next.address(), address);
        next.netns.run(|| serve(81)).unwrap();
        for _ in 0..20 {
            run("ip", &["neigh", "flush", "dev", BRIDGE]);
            tcp(address, 81);
            tcp_fails(address, 80);
        }
        drop(kept);
        world.end(&stack, next);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}
