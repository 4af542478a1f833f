//! The firewall: its text, its neighbours, its life across restarts.

mod world;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use wherry_network::{BridgeConfig, ConnectRequest, Endpoint, Error, Network, PortRequest, Protocol, Stack};
use world::*;

const RULESET: &str = r#"table ip wherry-t {
	map published {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 172.18.0.2 . 80 }
	}

	map published-on {
		type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
		elements = { udp . 127.0.0.1 . 5353 : 172.18.0.2 . 53 }
	}

	map opened {
		type inet_proto . ipv4_addr . inet_service : verdict
	}

	map to-bridge {
		type ifname : verdict
		elements = { "wherry0" : jump to-wherry0 }
	}

	map from-bridge {
		type ifname : verdict
		elements = { "wherry0" : jump from-wherry0 }
	}

	chain raw-prerouting {
		type filter hook prerouting priority raw; policy accept;
		iifname "wherry0" ip daddr 127.0.0.0/8 drop comment "loopback of the host is not for containers"
		iifname != "wherry0" ip daddr != 172.18.0.1 ip daddr 172.18.0.0/16 drop comment "drop direct access"
	}

	chain nat-prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname != "lo" ip daddr 127.0.0.0/8 return
		fib daddr type local jump publish
	}

	chain nat-output {
		type nat hook output priority -100; policy accept;
		fib daddr type local jump publish
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		jump user
		oifname vmap @to-bridge
		iifname vmap @from-bridge
	}

	chain nat-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wherry0" ip saddr 127.0.0.0/8 masquerade comment "host by loopback"
		oifname "wherry0" ip saddr 172.18.0.0/16 ct status dnat masquerade comment "hairpin"
		oifname != "wherry0" ip saddr 172.18.0.0/16 masquerade comment "to the outside"
	}

	chain user {
	}

	chain publish {
		dnat ip to meta l4proto . ip daddr . th dport map @published-on
		dnat ip to meta l4proto . th dport map @published
	}

	chain to-wherry0 {
		ct state established,related accept comment "known connections"
		iifname "wherry0" accept comment "between containers"
		ct status dnat accept comment "published ports"
		drop comment "drop unpublished"
	}

	chain from-wherry0 {
		accept comment "to the outside"
	}
}
"#;

#[test]
fn nft_reads_what_is_written() {
    world(|world| {
        let stack = stack("t");
        let local =
            PortRequest { host_address: Some(Ipv4Addr::LOCALHOST.into()), ..port(Protocol::Udp, 5353, 53) };
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80), local]);
        assert_eq!(run("nft", &["list", "ruleset"]), RULESET);
        world.end(&stack, web);
        assert!(!run("nft", &["list", "ruleset"]).contains("172.18.0.2"));
    });
}

#[test]
fn what_an_earlier_life_left() {
    world(|world| {
        let stack = stack("t");
        let local =
            PortRequest { host_address: Some(Ipv4Addr::LOCALHOST.into()), ..port(Protocol::Udp, 5353, 53) };
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80), local]);
        stack.add_bridge(BridgeConfig::new("br-other")).unwrap();
        let leave =
            |rules: &[&str]| rules.iter().for_each(|rule| drop(run("nft", &[&format!("add {rule}")])));
        // Stale ports, one that led elsewhere, a bridge and a rule of no use any more.
        run("nft", &["delete element ip wherry-t published { tcp . 8080 }"]);
        leave(&[
            "element ip wherry-t published { tcp . 8080 : 172.18.0.99 . 1, udp . 9 : 172.18.0.2 . 9 }",
            "element ip wherry-t published-on { tcp . 127.0.0.1 . 9 : 172.18.0.2 . 9 }",
            "rule ip wherry-t publish drop",
        ]);
        restore(&stack, vec![web.endpoint.clone()]);
        assert_eq!(sorted(&run("nft", &["list", "ruleset"])), sorted(RULESET));
        // Another version's table is replaced.
        run("nft", &["delete table ip wherry-t"]);
        leave(&["table ip wherry-t", "map ip wherry-t published { type ipv4_addr : ipv4_addr; }"]);
        leave(&["chain ip wherry-t forward { type filter hook input priority 7; }"]);
        restore(&stack, vec![web.endpoint.clone()]);
        assert_eq!(run("nft", &["list", "ruleset"]), RULESET);
    });
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort();
    lines
}

#[test]
fn two_stacks_side_by_side() {
    world(|world| {
        let (first, second) = (stack("one"), Stack::open("two").unwrap());
        let taken = second.restore(vec![Network { bridge: BridgeConfig::new(BRIDGE), endpoints: vec![] }]);
        assert!(matches!(taken, Err(Error::ForeignBridge { .. })), "a bridge is one stack's");
        let restored = second
            .restore(vec![Network { bridge: BridgeConfig::new("wherry1"), endpoints: vec![] }])
            .unwrap();
        assert_eq!(restored.bridges[0].subnet.unwrap().to_string(), "172.19.0.0/16");
        let a = world.container(&first, "a", &[port(Protocol::Tcp, 8080, 80)]);
        let b = world.connect(
            &second,
            ConnectRequest {
                ports: vec![port(Protocol::Tcp, 8081, 80)],
                ..ConnectRequest::new("wherry1", "b")
            },
        );
        for container in [&a, &b] {
            container.netns.run(|| serve(80)).unwrap();
        }
        a.netns
            .run(|| {
                tcp_fails(b.address(), 80);
                tcp(HOST, 8081);
            })
            .unwrap();
        b.netns
            .run(|| {
                tcp_fails(a.address(), 80);
                tcp(HOST, 8080);
                tcp(HOST, 8081);
            })
            .unwrap();
        // A port of one is taken for the other, too: the socket is bound.
        let netns = &b.netns;
        let request = ConnectRequest {
            interface: None,
            default_route: false,
            ports: vec![port(Protocol::Tcp, 8080, 80)],
            ..ConnectRequest::new("wherry1", "b")
        };
        assert!(matches!(second.connect(netns, request), Err(Error::PortBind { .. })));
        world.end(&first, a);
        first.destroy(None).unwrap();
        tcp(Ipv4Addr::LOCALHOST, 8081);
        second.destroy(None).unwrap();
        wherry_network::Netns::remove(b.netns.path()).unwrap();
        drop(b);
        world.assert_clean();
    });
}

/// What Debian's dockerd leaves behind, with a rule of the user's.
const DOCKERD: [&str; 9] = [
    "-P FORWARD DROP",
    "-N DOCKER-USER",
    "-N DOCKER",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -o docker0 -j DOCKER",
    "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    "-A DOCKER-USER -s 10.9.0.2 -p tcp --dport 666 -j DROP",
    "-A DOCKER-USER -j RETURN",
];

fn iptables(arguments: &str) -> String {
    run("iptables-nft", &arguments.split(' ').collect::<Vec<_>>())
}

fn load(rules: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    run("nft", &["-f", file.path().to_str().unwrap()]);
}

#[test]
fn beside_a_dockerd_whose_forward_policy_is_drop() {
    world(|world| {
        for rule in DOCKERD {
            iptables(rule);
        }
        let before = iptables("-S");
        run("ip", &["link", "add", "docker0", "type", "bridge"]);
        run("ip", &["addr", "add", "172.17.0.1/16", "dev", "docker0"]);
        run("ip", &["link", "set", "docker0", "up"]);
        let stack = stack("t");
        let web =
            world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80), port(Protocol::Tcp, 8081, 666)]);
        let peer = world.container(&stack, "peer", &[]);
        web.netns.run(|| (serve(80), serve(666))).unwrap();
        world.outside.run(|| serve(82)).unwrap();
        world
            .outside
            .run(|| {
                assert_eq!(tcp(HOST, 8080), OUTSIDE);
                tcp_fails(HOST, 8081); // The user's rule comes first.
            })
            .unwrap();
        let watch = stack.watch().unwrap();
        assert!(!watch.drain().unwrap());
        iptables("-F WHERRY-t");
        assert!(watch.drain().unwrap());
        world.outside.run(|| tcp_fails(HOST, 8080)).unwrap();
        stack.admit().unwrap();
        assert!(watch.drain().unwrap());
        stack.admit().unwrap();
        assert!(!watch.drain().unwrap(), "nothing to do, nothing done");
        peer.netns
            .run(|| {
                assert_eq!(tcp(OUTSIDE, 82), HOST);
                tcp(web.address(), 80);
                tcp(HOST, 8080);
            })
            .unwrap();
        // Their bridge stays theirs to decide about.
        let docker = wherry_network::Netns::create(&world.directory.path().join("docker")).unwrap();
        run(
            "ip",
            &[
                "link",
                "add",
                "vd",
                "master",
                "docker0",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                docker.path().to_str().unwrap(),
            ],
        );
        run("ip", &["link", "set", "vd", "up"]);
        docker
            .run(|| {
                run("ip", &["addr", "add", "172.17.0.2/16", "dev", "eth0"]);
                run("ip", &["link", "set", "eth0", "up"]);
                run("ip", &["route", "add", "default", "via", "172.17.0.1"]);
                serve(80);
            })
            .unwrap();
        tcp(Ipv4Addr::new(172, 17, 0, 2), 80);
        web.netns.run(|| tcp_fails(Ipv4Addr::new(172, 17, 0, 2), 80)).unwrap();

        // dockerd starts again, and puts its jump first again: ours stays behind it, and once.
        iptables("-D FORWARD -j DOCKER-USER");
        stack.admit().unwrap();
        iptables("-I FORWARD -j DOCKER-USER");
        stack.admit().unwrap();
        stack.admit().unwrap();
        let printed = iptables("-S");
        assert!(
            printed.contains("-A FORWARD -j DOCKER-USER\n-A FORWARD -j WHERRY-t\n-A FORWARD -o docker0 "),
            "{printed}"
        );
        for rule in [
            "-o wherry0 -j ACCEPT",
            "-i wherry0 -o docker0 -j RETURN",
            "-i wherry0 -o br-+ -j RETURN",
            "-i wherry0 -j ACCEPT",
        ] {
            assert!(printed.contains(&format!("-A WHERRY-t {rule}\n")), "{printed}");
        }

        for container in [web, peer] {
            world.end(&stack, container);
        }
        stack.destroy(None).unwrap();
        assert_eq!(iptables("-S"), before);
    });
}

#[test]
fn obstacles_are_told() {
    world(|_| {
        load(
            "table inet guard {\n chain through {\n type filter hook forward priority 0; policy drop;\n }\n}\n",
        );
        let stack = Stack::open("t").unwrap();
        let warnings = restore(&stack, vec![]).warnings;
        assert_eq!(
            warnings,
            ["nftables chain inet guard through drops forwarded packets: allow the bridges there"]
        );
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_restart_is_not_noticed() {
    world(|world| {
        let first = stack("t");
        let web =
            world.container(&first, "web", &[port(Protocol::Tcp, 8080, 80), port(Protocol::Udp, 8080, 80)]);
        let gone = world.container(&first, "gone", &[port(Protocol::Tcp, 9090, 80)]);
        web.netns.run(|| serve(80)).unwrap();
        let mut stream = world.outside.run(|| TcpStream::connect((HOST, 8080)).unwrap()).unwrap();
        assert_eq!(ask(&mut stream), OUTSIDE);
        // The daemon dies: its sockets close, its rules stay.
        drop(first);
        assert_eq!(ask(&mut stream), OUTSIDE);
        wherry_network::Netns::remove(gone.netns.path()).unwrap();

        let records = serde_json::to_string(&[&web.endpoint]).unwrap();
        let second = Stack::open("t").unwrap();
        let done = AtomicBool::new(false);
        let connections = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                world
                    .outside
                    .run(|| {
                        let mut connections = 0;
                        while !done.load(Ordering::Relaxed) {
                            assert_eq!(tcp(HOST, 8080), OUTSIDE);
                            connections += 1;
                        }
                        connections
                    })
                    .unwrap()
            });
            // Whatever happens to the assertions, the client ends.
            let _end = End(&done);
            for _ in 0..50 {
                let restored = restore(&second, serde_json::from_str(&records).unwrap());
                assert_eq!(restored.warnings, [""; 0]);
                assert_eq!(restored.bridges[0].subnet.unwrap().to_string(), "172.18.0.0/16");
            }
            done.store(true, Ordering::Relaxed);
            client.join().unwrap()
        });
        assert!(connections > 50, "{connections}");
        assert_eq!(ask(&mut stream), OUTSIDE, "a connection lives through it");
        assert!(!run("nft", &["list", "ruleset"]).contains("9090"), "what nobody claims is gone");
        assert!(TcpListener::bind(("0.0.0.0", 8080)).is_err(), "the port is held again");
        let next = world.container(&second, "next", &[]);
        assert_eq!(next.address(), gone.address());
        world.end(&second, next);
        world.end(&second, web);
        drop(gone);
        second.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn a_port_taken_while_no_daemon_held_it() {
    world(|world| {
        let first = stack("t");
        let web = world.container(&first, "web", &[port(Protocol::Tcp, 8080, 80)]);
        web.netns.run(|| serve(80)).unwrap();
        drop(first);
        let thief = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
        let second = Stack::open("t").unwrap();
        let warnings = restore(&second, vec![web.endpoint.clone()]).warnings;
        assert!(warnings[0].contains("address already in use"), "{warnings:?}");
        let elsewhere = network_endpoint(&web.endpoint, "gone0", "172.18.0.9");
        let outside = network_endpoint(&web.endpoint, BRIDGE, "10.0.0.9");
        let warnings = restore(&second, vec![web.endpoint.clone(), elsewhere, outside]).warnings;
        assert!(warnings[1].contains("bridge gone0") && warnings[2].contains("10.0.0.9"), "{warnings:?}");
        assert_eq!(
            world.outside.run(|| tcp(HOST, 8080)).unwrap(),
            OUTSIDE,
            "it leads to the container as before"
        );
        drop(thief);
    });
}

fn network_endpoint(like: &Endpoint, bridge: &str, address: &str) -> Endpoint {
    let (id, bridge, ports) = (format!("{bridge}{address}"), bridge.to_owned(), vec![]);
    Endpoint { id, bridge, address: address.parse().ok(), ports, ..like.clone() }
}

#[test]
fn a_bridge_that_somebody_deleted() {
    world(|world| {
        let first = stack("t");
        let web = world.container(&first, "web", &[]);
        web.netns.run(|| serve(80)).unwrap();
        run("ip", &["link", "del", BRIDGE]);
        run("nft", &["flush", "ruleset"]);
        assert_eq!(restore(&first, vec![web.endpoint.clone()]).warnings, [""; 0]);
        tcp(web.address(), 80);
        web.netns.run(|| serve(81)).unwrap();
        // Teardown of a stack whose daemon is dead, by another process.
        drop(first);
        Stack::open("t").unwrap().destroy(None).unwrap();
        Stack::open("t").unwrap().destroy(None).unwrap();
        assert!(!run("ip", &["-o", "link"]).contains("veth"));
        wherry_network::Netns::remove(web.netns.path()).unwrap();
        world.assert_clean();
    });
}

#[test]
fn containers_that_may_not_talk_to_each_other() {
    for asks_firewall in ["1", "0"] {
        world(move |world| {
            let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
            if std::fs::write(setting, asks_firewall).is_err() {
                assert!(!std::path::Path::new(setting).exists());
            }
            let stack = Stack::open("t").unwrap();
            stack
                .restore(vec![Network {
                    bridge: BridgeConfig { icc: false, ..BridgeConfig::new(BRIDGE) },
                    endpoints: vec![],
                }])
                .unwrap();
            let (a, b) = (
                world.container(&stack, "a", &[port(Protocol::Tcp, 8080, 80)]),
                world.container(&stack, "b", &[]),
            );
            a.netns.run(|| serve(80)).unwrap();
            world.outside.run(|| serve(82)).unwrap();
            b.netns
                .run(|| {
                    tcp_fails(a.address(), 80);
                    tcp(HOST, 8080);
                    tcp(OUTSIDE, 82);
                })
                .unwrap();
            tcp(a.address(), 80);
        });
    }
}

#[test]
fn an_internal_network_is_an_island() {
    world(|world| {
        let stack = stack("t");
        let config = BridgeConfig {
            internal: true,
            subnet: Some("10.50.0.0/24".parse().unwrap()),
            ..BridgeConfig::new("br-island")
        };
        stack.add_bridge(config.clone()).unwrap();
        let overlapping = BridgeConfig { name: "br-other".to_owned(), ..config };
        assert!(matches!(stack.add_bridge(overlapping), Err(Error::InvalidSubnet { .. })));
        let [a, b] = ["a", "b"].map(|name| world.connect(&stack, ConnectRequest::new("br-island", name)));
        let c = world.container(&stack, "c", &[]);
        b.netns.run(|| serve(80)).unwrap();
        c.netns.run(|| serve(80)).unwrap();
        world.outside.run(|| serve(82)).unwrap();
        a.netns
            .run(|| {
                tcp(b.address(), 80);
                assert_eq!(run("ip", &["route"]).lines().count(), 1, "no way out");
                run("ip", &["route", "add", "default", "via", "10.50.0.1"]);
                tcp_fails(OUTSIDE, 82);
                tcp_fails(c.address(), 80);
            })
            .unwrap();
        c.netns.run(|| tcp_fails(b.address(), 80)).unwrap();
        let ports = vec![port(Protocol::Tcp, 8080, 80)];
        assert!(matches!(
            stack.connect(
                &a.netns,
                ConnectRequest { interface: None, ports, ..ConnectRequest::new("br-island", "a") }
            ),
            Err(Error::Unsupported(_))
        ));
        assert!(matches!(stack.remove_bridge("br-island"), Err(Error::BridgeInUse { endpoints: 2, .. })));
        world.end(&stack, a);
        world.end(&stack, b);
        stack.remove_bridge("br-island").unwrap();
        stack.remove_bridge("br-island").unwrap();
        assert!(
            !run("ip", &["-o", "link"]).contains("br-island")
                && !run("nft", &["list", "ruleset"]).contains("br-island")
        );
        world.end(&stack, c);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn many_ports_at_once() {
    world(|world| {
        let stack = stack("t");
        let ports: Vec<_> = (20000..21500).map(|number| port(Protocol::Tcp, number, number)).collect();
        let web = world.container(&stack, "web", &ports);
        web.netns.run(|| serve(21499)).unwrap();
        tcp(Ipv4Addr::LOCALHOST, 21499);
        assert_eq!(restore(&stack, vec![web.endpoint.clone()]).warnings, [""; 0]);
        tcp(Ipv4Addr::LOCALHOST, 21499);
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn an_administrators_bridge_is_borrowed() {
    world(|world| {
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        run("ip", &["addr", "add", "10.60.0.9/24", "dev", "br0"]);
        let stack = Stack::open("t").unwrap();
        let restored =
            stack.restore(vec![Network { bridge: BridgeConfig::new("br0"), endpoints: vec![] }]).unwrap();
        assert_eq!(
            (restored.bridges[0].subnet.unwrap().to_string().as_str(), restored.bridges[0].gateway.unwrap()),
            ("10.60.0.0/24", Ipv4Addr::new(10, 60, 0, 9))
        );
        let web = world.connect(&stack, ConnectRequest::new("br0", "web"));
        assert_eq!(web.address(), Ipv4Addr::new(10, 60, 0, 1));
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        assert!(run("ip", &["-o", "link"]).contains("br0"));
        let eth0 = stack.restore(vec![Network { bridge: BridgeConfig::new("eth0"), endpoints: vec![] }]);
        assert!(matches!(eth0, Err(Error::NotABridge(_))));
    });
}
