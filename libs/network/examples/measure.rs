//! Prints what a container's network costs: medians in milliseconds, back to back and 50 ms apart.
//!
//! Works on a thread with a network namespace of its own; needs root.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use wherry_network::{
    BridgeConfig, ConnectRequest, HostPorts, Netns, NetnsPool, Network, PortRequest, Protocol, Stack,
};

const ROUNDS: u16 = 50;

#[derive(Default)]
struct Times(BTreeMap<&'static str, Vec<Duration>>);

impl Times {
    fn of<T>(&mut self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.0.entry(name).or_default().push(start.elapsed());
        result
    }
}

fn rounds(stack: &Stack, directory: &std::path::Path, pause: Duration) -> Times {
    let mut times = Times::default();
    let pool = NetnsPool::new(1);
    for round in 0..ROUNDS {
        std::thread::sleep(pause);
        let path = directory.join(format!("{round}"));
        let port = PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_address: None,
            host_ports: HostPorts::Range(20000 + round, 20000 + round),
        };
        let start = Instant::now();
        let netns = times.of("1 create namespace, lo up", || Netns::create(&path)).unwrap();
        let mut endpoint = times
            .of("2 connect: pair, address, route", || {
                stack.connect(&netns, ConnectRequest::new("wherry0", "c"))
            })
            .unwrap();
        times.0.entry("3 = both").or_default().push(start.elapsed());
        times.of("4 publish a port", || stack.publish(&mut endpoint, &[port])).unwrap();
        times.of("5 look after foreign firewalls", || stack.admit()).unwrap();
        let in_advance = directory.join("in-advance");
        pool.fill().unwrap();
        std::thread::sleep(pause);
        times
            .of("3b namespace of the pool, connect", || {
                stack.connect(&pool.create(&in_advance)?, ConnectRequest::new("wherry0", "p"))
            })
            .and_then(|endpoint| stack.disconnect(&endpoint))
            .unwrap();
        Netns::remove(&in_advance).unwrap();
        std::thread::sleep(pause);
        let start = Instant::now();
        times.of("6 remove namespace", || Netns::remove(&path)).unwrap();
        times.of("7 close its descriptors", || drop(netns));
        times.of("8 disconnect: port, address", || stack.disconnect(&endpoint)).unwrap();
        times.0.entry("9 = teardown").or_default().push(start.elapsed());
    }
    times
}

fn measure() {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::open("measure").unwrap();
    let bridge = BridgeConfig {
        subnet: Some("10.77.0.0/16".parse().unwrap()),
        gateway: Some(Ipv4Addr::new(10, 77, 0, 1)),
        ..BridgeConfig::new("wherry0")
    };
    let mut start = Times::default();
    start
        .of("restore, fresh", || stack.restore(vec![Network { bridge: bridge.clone(), endpoints: vec![] }]))
        .unwrap();
    start.of("restore, again", || stack.restore(vec![Network { bridge, endpoints: vec![] }])).unwrap();
    let together = rounds(&stack, directory.path(), Duration::ZERO);
    let apart = rounds(&stack, directory.path(), Duration::from_millis(50));
    let median = |durations: &[Duration]| {
        let mut sorted = durations.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2].as_secs_f64() * 1000.0
    };
    for (name, durations) in &start.0 {
        println!("{name:34} {:8.3}", median(durations));
    }
    println!("{:34} {:>8} {:>8}", "medians of 50, ms", "together", "apart");
    for (name, durations) in &together.0 {
        println!("{name:34} {:8.3} {:8.3}", median(durations), median(&apart.0[name]));
    }
    stack.destroy(Some(directory.path())).unwrap();
}

fn main() {
    let thread = std::thread::spawn(|| {
        syscalls::netns::unshare_network().unwrap();
        measure();
    });
    thread.join().unwrap();
}
