//! What an administrator decides: pools, hooks, no firewall, links of the host.

mod world;

use wherry_network::{
    BridgeConfig, ConnectRequest, Direct, Error, IpvlanFlag, IpvlanMode, MacvlanMode, Medium, Network,
    Options, Pool, Protocol, Stack,
};
use world::{BRIDGE, HOST, OUTSIDE, World, port, run, serve, stack, tcp, tcp_fails, world};

fn open(options: Options, bridges: Vec<BridgeConfig>) -> Stack {
    let stack = Stack::open_with("t", options).unwrap();
    stack.restore(bridges.into_iter().map(|bridge| Network { bridge, endpoints: vec![] }).collect()).unwrap();
    stack
}

#[test]
fn subnets_come_from_pools() {
    world(|world| {
        let pools = vec![Pool { base: "10.9.0.0/16".parse().unwrap(), prefix_len: 24 }];
        let stack = open(Options { pools, ..Options::default() }, vec![BridgeConfig::new(BRIDGE)]);
        // The first of them is the host's own.
        assert_eq!(stack.bridge(BRIDGE).unwrap().subnet.unwrap().to_string(), "10.9.1.0/24");
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn what_leaves_has_the_source_that_was_named() {
    world(|world| {
        let named = BridgeConfig { source_v4: Some([10, 9, 0, 77].into()), ..BridgeConfig::new(BRIDGE) };
        let stack = open(Options::default(), vec![named]);
        let rules = run("nft", &["list", "table", "ip", "wherry-t"]);
        assert!(rules.contains("snat to 10.9.0.77 comment \"to the outside\""), "{rules}");
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn a_flushed_firewall_is_put_in_place_again() {
    world(|world| {
        let stack = stack("t");
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
        web.netns.run(|| serve(80)).unwrap();
        assert!(!stack.heal().unwrap());
        for command in [["flush", "ruleset"].as_slice(), &["flush", "table", "ip", "wherry-t"]] {
            run("nft", command);
            assert!(stack.heal().unwrap());
            tcp(HOST, 8080);
        }
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn rules_of_the_administrator_come_first_and_stay() {
    world(|world| {
        let stack = stack("t");
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
        web.netns.run(|| serve(80)).unwrap();
        world.outside.run(|| tcp(HOST, 8080)).unwrap();
        run("nft", &["add", "rule", "ip", "wherry-t", "user", "ip", "saddr", "10.9.0.2", "drop"]);
        world.outside.run(|| tcp_fails(HOST, 8080)).unwrap();
        // Whatever the stack does about its own rules.
        stack.add_bridge(BridgeConfig::new("br-other")).unwrap();
        world.outside.run(|| tcp_fails(HOST, 8080)).unwrap();
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn without_a_firewall_nothing_is_published() {
    world(|world| {
        let stack = open(Options { firewall: false, ..Options::default() }, vec![BridgeConfig::new(BRIDGE)]);
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        let web = world.container(&stack, "web", &[]);
        let refused = stack.publish(&mut web.endpoint.clone(), &[port(Protocol::Tcp, 8080, 80)]).unwrap_err();
        assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
        web.netns.run(|| serve(80)).unwrap();
        tcp(web.address(), 80);
        world.end(&stack, web);
        stack.destroy(None).unwrap();
        world.assert_clean();
    });
}

#[test]
fn containers_may_be_reached_directly() {
    world(|world| {
        let reach = |direct: Direct, is_published: bool, mark: Option<(u32, u32)>| {
            let subnet = "172.30.0.0/24".parse().unwrap();
            let bridge =
                BridgeConfig { direct, accept_mark: mark, subnet: Some(subnet), ..BridgeConfig::new(BRIDGE) };
            let stack = open(Options::default(), vec![bridge]);
            let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
            web.netns.run(|| serve(80)).unwrap();
            world
                .outside
                .run(|| {
                    run("ip", &["route", "replace", "172.30.0.0/24", "via", "10.9.0.1"]);
                    match is_published {
                        true => drop(tcp(web.address(), 80)),
                        false => tcp_fails(web.address(), 80),
                    }
                })
                .unwrap();
            world.end(&stack, web);
            stack.destroy(None).unwrap();
        };
        reach(Direct::Nobody, false, None);
        reach(Direct::Everything, true, None);
        let mark = "table ip m {\n chain c {\n type filter hook prerouting priority -400;\n meta mark set 0x7;\n }\n}\n";
        let file = world.directory.path().join("mark.nft");
        std::fs::write(&file, mark).unwrap();
        run("nft", &["-f", file.to_str().unwrap()]);
        std::fs::remove_file(file).unwrap();
        reach(Direct::Nobody, true, Some((7, 0xff)));
        reach(Direct::Nobody, false, Some((6, 0xff)));
        run("nft", &["delete", "table", "ip", "m"]);
        world.assert_clean();
    });
}

fn on_the_wire(world: &World, medium: Medium, name: &str) {
    let bridge = BridgeConfig {
        medium,
        subnet: Some("10.9.0.0/24".parse().unwrap()),
        gateway: Some(OUTSIDE),
        range: Some("10.9.0.64/26".parse().unwrap()),
        ..BridgeConfig::new(name)
    };
    let stack = open(Options::default(), vec![bridge]);
    let web = world.connect(
        &stack,
        ConnectRequest { ports: vec![port(Protocol::Tcp, 8080, 80)], ..ConnectRequest::new(name, "web") },
    );
    let peer = world.connect(&stack, ConnectRequest::new(name, "peer"));
    assert!(web.endpoint.ports.is_empty() && web.endpoint.host_interface.is_empty());
    web.netns.run(|| serve(80)).unwrap();
    world.outside.run(|| assert_eq!(tcp(web.address(), 80), OUTSIDE)).unwrap();
    peer.netns.run(|| assert_eq!(tcp(web.address(), 80), peer.address())).unwrap();
    stack.delete_link(&peer.netns, &peer.endpoint).unwrap();
    peer.netns.run(|| assert!(!run("ip", &["-o", "link"]).contains("eth0"))).unwrap();
    world.end(&stack, web);
    world.end(&stack, peer);
    stack.remove_bridge(name).unwrap();
    stack.destroy(None).unwrap();
    world.assert_clean();
}

/// Whether links of this type can be made on eth0.
fn kernel_has(kind: &[&str]) -> bool {
    let words = [["link", "add", "link", "eth0", "probe"].as_slice(), kind].concat();
    let probe = std::process::Command::new("ip").args(words).output().unwrap();
    if probe.status.success() {
        run("ip", &["link", "del", "probe"]);
    }
    !String::from_utf8_lossy(&probe.stderr).contains("Unknown device type")
}

#[test]
fn links_of_the_host_are_shared() {
    world(|world| {
        on_the_wire(world, Medium::Macvlan { parent: "eth0".into(), mode: MacvlanMode::Bridge }, "dm-1");
        if !kernel_has(&["type", "ipvlan"]) {
            return;
        }
        let (mode, flag) = (IpvlanMode::L2, IpvlanFlag::Bridge);
        on_the_wire(world, Medium::Ipvlan { parent: "eth0".into(), mode, flag }, "dm-2");
    });
}

#[test]
fn parents_are_made_where_there_is_none() {
    world(|world| {
        for (parent, made) in [("", "dm-3"), ("eth0.10", "eth0.10")] {
            if parent.contains('.') && !kernel_has(&["type", "vlan", "id", "10"]) {
                continue;
            }
            let medium = Medium::Macvlan { parent: parent.into(), mode: MacvlanMode::Bridge };
            let config = BridgeConfig { medium, ..BridgeConfig::new("dm-3") };
            let stack = open(Options::default(), vec![config.clone()]);
            assert!(run("ip", &["-o", "link"]).contains(made));
            let web = world.connect(&stack, ConnectRequest::new("dm-3", "web"));
            world.end(&stack, web);
            stack.remove_bridge("dm-3").unwrap();
            stack.destroy(None).unwrap();
            world.assert_clean();
        }
        let stack = Stack::open("t").unwrap();
        let medium = Medium::Macvlan { parent: "nosuch".into(), mode: MacvlanMode::Bridge };
        assert!(stack.add_bridge(BridgeConfig { medium, ..BridgeConfig::new("dm-4") }).is_err());
        stack.destroy(None).unwrap();
    });
}
