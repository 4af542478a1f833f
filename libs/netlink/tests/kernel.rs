//! Against the running kernel, in a network namespace of the test's own.

use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;
use wherry_netlink::nft::{
    Batch, Chain, ChainKind, DataType, Element, ElementValue, Expression, Hook, Policy, Position, Rule,
    RuleInfo, Set, Table, TableFamily, Value, Verdict, generation, list_elements,
};
use wherry_netlink::{
    Address, Change, Family, Link, Request, Route, Socket, Target, Watch, add_address, add_bridge,
    add_default_route, change_link, delete_address, delete_link,
};

fn private(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        syscalls::netns::unshare_network().unwrap();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn links_addresses_routes() {
    private(|| {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mac = [2, 0x42, 0, 0, 0, 9];
        let mut request = Request::new();
        add_bridge(&mut request, "br0", mac, 1400);
        change_link(
            &mut request,
            Target::Name("br0"),
            Change { up: Some(true), alias: Some("mine"), ..Change::default() },
        );
        socket.exchange(&mut request, |_, _| {}).unwrap();
        let link = Link::get(&mut socket, Target::Name("br0")).unwrap();
        assert_eq!((link.kind.as_deref(), link.alias.as_deref()), (Some("bridge"), Some("mine")));
        assert_eq!((link.mac, link.mtu, link.up), (Some(mac), 1400, true));
        assert!(Link::list(&mut socket).unwrap().contains(&link));

        let own = [
            Address { link: link.index, address: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), prefix_len: 24 },
            Address { link: link.index, address: "fd00::3".parse().unwrap(), prefix_len: 64 },
        ];
        let gateway = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 1));
        let mut request = Request::new();
        own.iter().for_each(|address| add_address(&mut request, address));
        add_default_route(&mut request, gateway, link.index);
        socket.exchange(&mut request, |_, _| {}).unwrap();
        assert_eq!(Address::list(&mut socket, false).unwrap(), own[..1]);
        assert!(Address::list(&mut socket, true).unwrap().contains(&own[1]));
        let default = Route {
            destination: Ipv4Addr::UNSPECIFIED.into(),
            prefix_len: 0,
            gateway: Some(gateway),
            link: Some(link.index),
        };
        assert!(Route::list(&mut socket, false).unwrap().contains(&default));

        let mut request = Request::new();
        delete_address(&mut request, &own[0]);
        delete_link(&mut request, Target::Name("br0"));
        socket.exchange(&mut request, |_, _| {}).unwrap();
        assert_eq!(Link::list(&mut socket).unwrap().len(), 1);
        socket.exchange(&mut Request::new(), |_, _| {}).unwrap();
    });
}

#[test]
fn a_refusal_says_which_message_and_why() {
    private(|| {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut request = Request::new();
        change_link(&mut request, Target::Index(1), Change { up: Some(true), ..Change::default() });
        change_link(&mut request, Target::Index(1), Change { mtu: Some(1 << 31), ..Change::default() });
        delete_link(&mut request, Target::Name("nosuch"));
        let error = socket.exchange(&mut request, |_, _| {}).unwrap_err();
        assert_eq!((error.errno(), error.message()), (Some(Errno::INVAL), Some(1)));
        assert!(error.to_string().contains("mtu"), "{error}");
        // The others were served, and the socket is in step.
        assert!(Link::get(&mut socket, Target::Index(1)).unwrap().up);
    });
}

#[test]
fn a_batch_is_applied_as_a_whole() {
    private(|| {
        let mut socket = Socket::open(Family::Netfilter).unwrap();
        let watch = Watch::nftables().unwrap();
        let table = Table::ip("t");
        let set = |name: &str, key, value| Set { name: name.to_owned(), key, value };
        let element = |last| Element { key: vec![10, 0, 0, last], value: ElementValue::None };
        let before = generation(&mut socket).unwrap();
        let mut batch = Batch::new();
        batch
            .add_table(&table)
            .add_set(&table, &set("s", vec![DataType::Ipv4], Value::None))
            .add_elements(&table, "s", &[element(1), element(2)])
            .add_chain(&table, &Chain::base("c", ChainKind::Filter, Hook::Forward, -5))
            .add_chain(&table, &Chain::regular("d"))
            .add_rule(&table, &Rule::new("c", vec![Expression::Counter]))
            .add_rule(
                &table,
                &Rule::new("c", vec![Expression::Do(Verdict::Jump("d".to_owned()))]).at(Position::First),
            );
        batch.commit(&mut socket).unwrap();
        assert!(watch.drain().unwrap() && !watch.drain().unwrap());
        assert_eq!(generation(&mut socket).unwrap(), before + 1);
        let chains = Chain::list(&mut socket, &table).unwrap();
        let base = chains.iter().find(|chain| chain.name == "c").unwrap().base.unwrap();
        assert_eq!((base.hook, base.priority, base.policy), (Hook::Forward, -5, Policy::Accept));
        let rules = RuleInfo::list(&mut socket, &table, "c").unwrap();
        let jumps: Vec<_> = rules.iter().map(|rule| rule.jumps_to.as_deref()).collect();
        assert_eq!(jumps, [Some("d"), None]);

        let mut batch = Batch::new();
        batch.add_elements(&table, "s", &[element(3)]).delete_elements(&table, "s", &[element(9)]);
        let error = batch.commit(&mut socket).unwrap_err();
        assert_eq!((error.errno(), error.message()), (Some(Errno::NOENT), Some(2)));
        let mut keys: Vec<_> =
            list_elements(&mut socket, &table, "s").unwrap().into_iter().map(|(key, _)| key[3]).collect();
        keys.sort();
        assert_eq!(keys, [1, 2], "nothing of a refused batch happened");

        let mut batch = Batch::new();
        batch.delete_table(&table);
        batch.commit(&mut socket).unwrap();
        assert!(Table::list(&mut socket, TableFamily::Ip).unwrap().is_empty());
        Batch::new().commit(&mut socket).unwrap();
    });
}
