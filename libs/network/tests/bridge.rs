//! Containers on a bridge: addresses, each other, the outside, published ports.

mod world;

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use wherry_network::{
    BridgeConfig, ConnectRequest, Error, HostPorts, Netns, NetnsPool, Network, PortRequest, Protocol, Stack,
};
use world::*;

#[test]
fn a_container_has_its_place() {
    world(|world| {
        let stack = stack("t");
        let bridge = stack.bridge(BRIDGE).unwrap();
        assert_eq!(bridge.subnet.unwrap().to_string(), "172.18.0.0/16");
        let web = world.container(&stack, "web", &[]);
        assert_eq!(web.address(), Ipv4Addr::new(172, 18, 0, 2));
        let inside = web
            .netns
            .run(|| {
                (
                    run("ip", &["-o", "addr"]),
                    run("ip", &["-o", "link", "show", "eth0"]),
                    run("ip", &["route"]),
                )
            })
            .unwrap();
        assert!(
            inside.0.contains("inet 127.0.0.1/8")
                && inside.0.contains("inet 172.18.0.2/16 brd 172.18.255.255 scope global eth0"),
            "{}",
            inside.0
        );
        assert!(
            !inside.0.lines().any(|line| line.contains("eth0") && line.contains("inet6")),
            "{}",
            inside.0
        );
        assert!(
            inside.1.contains("mtu 1500")
                && inside.1.contains("link/ether 02:42:ac:12:00:02")
                && inside.1.contains("state UP"),
            "{}",
            inside.1
        );
        assert!(inside.2.starts_with("default via 172.18.0.1 dev eth0"), "{}", inside.2);
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn containers_reach_each_other_the_host_and_the_outside() {
    world(|world| {
        let stack = stack("t");
        let (a, b) = (world.container(&stack, "a", &[]), world.container(&stack, "b", &[]));
        b.netns.run(|| serve(80)).unwrap();
        serve(81);
        world.outside.run(|| serve(82)).unwrap();
        a.netns
            .run(|| {
                assert_eq!(tcp(b.address(), 80), a.address());
                assert_eq!(udp(b.address(), 80), Some(a.address()));
                assert_eq!(tcp(a.gateway(), 81), a.address());
                assert_eq!(tcp(HOST, 81), a.address());
                assert_eq!(tcp(OUTSIDE, 82), HOST, "the outside sees the host");
                assert_eq!(udp(OUTSIDE, 82), Some(HOST));
            })
            .unwrap();
        assert_eq!(tcp(b.address(), 80), a.gateway(), "the host reaches containers");
    });
}

#[test]
fn published_ports_are_reached_from_everywhere() {
    // Whether bridged packets pass the IP firewall is the host's choice.
    published_ports("1");
    published_ports("0");
}

fn published_ports(bridged_pass_firewall: &'static str) {
    world(move |world| {
        let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", bridged_pass_firewall);
        // The strictest check of where packets come from.
        run("sysctl", &["-qw", "net.ipv4.conf.all.rp_filter=1"]);
        let stack = stack("t");
        let web =
            world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80), port(Protocol::Udp, 8080, 80)]);
        let other = world.container(&stack, "other", &[]);
        web.netns.run(|| serve(80)).unwrap();
        let gateway = web.gateway();
        world
            .outside
            .run(|| {
                assert_eq!(tcp(HOST, 8080), OUTSIDE, "the caller's address is kept");
                assert_eq!(udp(HOST, 8080), Some(OUTSIDE));
            })
            .unwrap();
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 53), HOST, gateway] {
            tcp(address, 8080);
            assert!(udp(address, 8080).is_some(), "{address}");
        }
        assert_eq!(tcp(HOST, 8080), HOST);
        for container in [&other, &web] {
            container
                .netns
                .run(|| {
                    assert_eq!(tcp(HOST, 8080), gateway, "hairpin");
                    assert_eq!(udp(HOST, 8080), Some(gateway));
                    assert_eq!(tcp(gateway, 8080), gateway);
                })
                .unwrap();
        }
    });
}

#[test]
fn only_what_is_published_is_reached() {
    world(|world| {
        let stack = stack("t");
        let local = PortRequest {
            host_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ..port(Protocol::Tcp, 8081, 80)
        };
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80), local]);
        web.netns.run(|| (serve(80), serve(81))).unwrap();
        tcp(Ipv4Addr::LOCALHOST, 8081);
        tcp_fails(HOST, 8081);
        world
            .outside
            .run(|| {
                tcp_fails(HOST, 8081);
                // A neighbour who makes the host its router.
                run("ip", &["route", "add", "172.18.0.0/16", "via", "10.9.0.1"]);
                tcp_fails(web.address(), 80);
                tcp_fails(web.address(), 81);
                assert_eq!(udp(web.address(), 80), None);
                // And for the host's loopback.
                run("sysctl", &["-qw", "net.ipv4.conf.all.route_localnet=1"]);
                run("ip", &["addr", "del", "127.0.0.1/8", "dev", "lo"]);
                run("ip", &["route", "add", "127.0.0.0/8", "via", "10.9.0.1", "src", "10.9.0.2"]);
                tcp_fails(Ipv4Addr::LOCALHOST, 8081);
                tcp_fails(Ipv4Addr::LOCALHOST, 8080);
            })
            .unwrap();
    });
}

#[test]
fn containers_do_not_reach_the_loopback_of_the_host() {
    world(|world| {
        let stack = stack("t");
        let web = world.container(&stack, "web", &[]);
        let listener = TcpListener::bind("127.0.0.1:99").unwrap();
        let attack = |port| {
            web.netns
                .run(|| {
                    run("sysctl", &["-qw", "net.ipv4.conf.all.route_localnet=1"]);
                    let _ = std::process::Command::new("ip")
                        .args(["addr", "del", "127.0.0.1/8", "dev", "lo"])
                        .output();
                    run("ip", &["route", "replace", "127.0.0.0/8", "via", "172.18.0.1", "src", "172.18.0.2"]);
                    tcp_fails(Ipv4Addr::LOCALHOST, port);
                })
                .unwrap();
        };
        attack(99);
        // The attack is a real one: without the rule it succeeds.
        run("nft", &["flush", "chain", "ip", "wherry-t", "raw-prerouting"]);
        web.netns
            .run(|| {
                std::net::TcpStream::connect_timeout(
                    &"127.0.0.1:99".parse().unwrap(),
                    std::time::Duration::from_secs(2),
                )
                .unwrap()
            })
            .unwrap();
        drop(listener);
    });
}

#[test]
fn what_ended_is_not_reached_and_can_be_had_again() {
    world(|world| {
        let stack = stack("t");
        let ports = [port(Protocol::Tcp, 8080, 80), port(Protocol::Udp, 8080, 80)];
        let first = world.container(&stack, "first", &ports);
        first.netns.run(|| serve(80)).unwrap();
        let client = world.outside.run(|| UdpSocket::bind((OUTSIDE, 0)).unwrap()).unwrap();
        assert_eq!(udp_by(&client, HOST, 8080), Some(OUTSIDE));
        let netns = Netns::create(&world.directory.path().join("refused")).unwrap();
        let refused = stack.connect(
            &netns,
            ConnectRequest { ports: ports.to_vec(), ..ConnectRequest::new(BRIDGE, "refused") },
        );
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated")
        );
        Netns::remove(netns.path()).unwrap();

        let address = first.address();
        world.end(&stack, first);
        assert!(!run("nft", &["list", "table", "ip", "wherry-t"]).contains("8080"));
        tcp_fails(Ipv4Addr::LOCALHOST, 8080);
        let second = world.container(&stack, "second", &ports);
        assert_eq!(second.address(), address, "a released address is free");
        second.netns.run(|| serve(80)).unwrap();
        assert_eq!(udp_by(&client, HOST, 8080), Some(OUTSIDE), "a flow of the past is not in the way");
        world.outside.run(|| assert_eq!(tcp(HOST, 8080), OUTSIDE)).unwrap();
        world.end(&stack, second);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn udp_that_began_before_its_port_was_published() {
    world(|world| {
        let stack = stack("t");
        let client = world.outside.run(|| UdpSocket::bind((OUTSIDE, 0)).unwrap()).unwrap();
        assert_eq!(udp_by(&client, HOST, 53), None);
        let dns = world.container(&stack, "dns", &[port(Protocol::Udp, 53, 53)]);
        dns.netns.run(|| serve(53)).unwrap();
        assert_eq!(udp_by(&client, HOST, 53), Some(OUTSIDE));
    });
}

#[test]
fn requests_for_addresses_and_ports() {
    world(|world| {
        let stack = stack("t");
        let fixed = Ipv4Addr::new(172, 18, 7, 7);
        let web = world.connect(
            &stack,
            ConnectRequest {
                address: Some(fixed),
                mac: Some("0a:00:00:00:00:07".parse().unwrap()),
                ..ConnectRequest::new(BRIDGE, "web")
            },
        );
        assert_eq!(web.address(), fixed);
        assert!(
            web.netns.run(|| run("ip", &["link", "show", "eth0"])).unwrap().contains("0a:00:00:00:00:07")
        );
        let again = |request: ConnectRequest| {
            stack
                .connect(&web.netns, ConnectRequest { interface: None, default_route: false, ..request })
                .unwrap_err()
        };
        assert!(matches!(
            again(ConnectRequest { address: Some(fixed), ..ConnectRequest::new(BRIDGE, "x") }),
            Error::AddressInUse(_)
        ));
        assert!(matches!(
            again(ConnectRequest { address: Some(HOST), ..ConnectRequest::new(BRIDGE, "x") }),
            Error::AddressOutside(_)
        ));
        assert!(matches!(again(ConnectRequest::new("nosuch", "x")), Error::NoSuchBridge(_)));
        // A second interface takes the next name.
        let second = stack
            .connect(
                &web.netns,
                ConnectRequest {
                    interface: None,
                    default_route: false,
                    ..ConnectRequest::new(BRIDGE, "web")
                },
            )
            .unwrap();
        assert_eq!(
            (second.interface.as_str(), second.address.unwrap()),
            ("eth1", Ipv4Addr::new(172, 18, 0, 2))
        );
        stack.delete_link(&web.netns, &second).unwrap();
        stack.disconnect(&second).unwrap();
        stack.disconnect(&second).unwrap();
        assert!(!web.netns.run(|| run("ip", &["-o", "link"])).unwrap().contains("eth1"));
        // A taken name inside the namespace: everything is taken back.
        assert!(matches!(
            stack.connect(
                &web.netns,
                ConnectRequest {
                    ports: vec![port(Protocol::Tcp, 88, 80)],
                    ..ConnectRequest::new(BRIDGE, "x")
                }
            ),
            Err(Error::Netlink { .. })
        ));
        let mut endpoint = web.endpoint.clone();
        let more = stack
            .publish(
                &mut endpoint,
                &[
                    port(Protocol::Tcp, 88, 80),
                    PortRequest { host_ports: HostPorts::Ephemeral, ..port(Protocol::Tcp, 0, 80) },
                ],
            )
            .unwrap();
        assert!(more[1].host_port >= 32768 && endpoint.ports == more);
        web.netns.run(|| serve(80)).unwrap();
        more.iter()
            .for_each(|binding| assert_eq!(tcp(Ipv4Addr::LOCALHOST, binding.host_port), web.gateway()));
        stack.disconnect(&endpoint).unwrap();
        assert_eq!(run("ip", &["-o", "link"]).matches("veth").count(), 1, "only web's");
    });
}

#[test]
fn a_namespace_with_nothing_but_loopback() {
    world(|world| {
        let path = world.directory.path().join("none");
        let netns = Netns::create(&path).unwrap();
        assert!(matches!(Netns::create(&path), Err(Error::NetnsExists(_))));
        netns
            .run(|| {
                serve(80);
                tcp(Ipv4Addr::LOCALHOST, 80);
                assert_eq!(run("ip", &["-o", "link"]).lines().count(), 1);
            })
            .unwrap();
        Netns::remove(&path).unwrap();
        Netns::remove(&path).unwrap();
        assert!(!path.exists());
        assert!(matches!(Stack::open("a/b"), Err(Error::InvalidName { .. })));
    });
}

#[test]
fn namespaces_made_in_advance() {
    world(|world| {
        let stack = stack("t");
        let pool = NetnsPool::new(2);
        pool.fill().unwrap();
        let mut seen = Vec::new();
        // The third is made when it is wanted.
        for name in ["a", "b", "c"] {
            let netns = pool.create(&world.directory.path().join(name)).unwrap();
            let endpoint = stack.connect(&netns, ConnectRequest::new(BRIDGE, name)).unwrap();
            netns.run(|| serve(80)).unwrap();
            tcp(endpoint.address.unwrap(), 80);
            seen.push(netns.run(|| run("readlink", &["/proc/self/ns/net"])).unwrap());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3);
        let taken = pool.create(&world.directory.path().join("a"));
        assert!(matches!(taken, Err(Error::NetnsExists(_))));
        assert!(pool.create(&world.directory.path().join("no/such")).is_err());
    });
}

#[test]
fn twenty_at_once() {
    world(|world| {
        let stack = stack("t");
        let ports = [PortRequest { host_ports: HostPorts::Ephemeral, ..port(Protocol::Tcp, 0, 80) }];
        let host = Netns::open("/proc/thread-self/ns/net".as_ref()).unwrap();
        let (stack, host, ports) = (&stack, &host, &ports);
        let containers: Vec<_> = std::thread::scope(|scope| {
            let connect = |number: usize| {
                move || host.run(|| world.container(stack, &format!("c{number}"), ports)).unwrap()
            };
            let threads: Vec<_> = (0..20).map(|number| scope.spawn(connect(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut addresses: Vec<_> = containers.iter().map(|container| container.address()).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 20);
        for container in &containers {
            container.netns.run(|| serve(80)).unwrap();
            tcp(Ipv4Addr::LOCALHOST, container.endpoint.ports[0].host_port);
        }
        std::thread::scope(|scope| {
            for container in containers {
                scope.spawn(move || world.end(stack, container));
            }
        });
        assert!(!run("nft", &["list", "ruleset"]).contains("elements = { tcp"));
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn an_address_used_again_answers_at_once() {
    world(|world| {
        let stack = stack("t");
        for round in 0..10 {
            let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
            assert_eq!(web.address(), Ipv4Addr::new(172, 18, 0, 2));
            web.netns.run(|| serve(80)).unwrap();
            let start = std::time::Instant::now();
            tcp(Ipv4Addr::LOCALHOST, 8080);
            eprintln!("round {round}: {:?}", start.elapsed());
            world.end(&stack, web);
        }
    });
}

#[test]
fn a_bridge_that_nobody_wrote_down_goes() {
    world(|world| {
        let first = stack("t");
        first.add_bridge(BridgeConfig::new("lost")).unwrap();
        // Its daemon is killed before it has noted the network; the next one knows of no such.
        let second = Stack::open("t").unwrap();
        let known = Network { bridge: BridgeConfig::new(BRIDGE), endpoints: vec![] };
        assert_eq!(second.restore(vec![known]).unwrap().warnings, [""; 0]);
        let links = run("ip", &["-o", "link"]);
        assert!(links.contains(BRIDGE) && !links.contains("lost"), "{links}");
        second.destroy(None).unwrap();
        world.assert_clean();
    });
}
