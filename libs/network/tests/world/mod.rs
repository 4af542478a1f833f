//! A small world for the tests: a private host, a machine outside of it, and containers.
//!
//! Each test runs on a thread with a network namespace of its own, which plays the host, so the
//! machine's network is not touched. Sockets stay in the namespace that they were opened in.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wherry_network::{
    BridgeConfig, ConnectRequest, Endpoint, HostPorts, Netns, Network, PortRequest, Protocol, Restored, Stack,
};

pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub const BRIDGE: &str = "wherry0";
/// Long enough for a retransmission, so that a lost first packet is no failure.
const PATIENCE: Duration = Duration::from_millis(2500);
/// A packet that is dropped leaves no other trace than time.
const SILENCE: Duration = Duration::from_millis(250);

pub struct World {
    pub directory: TempDir,
    pub outside: Netns,
}

/// A container: its namespace and its place.
pub struct Container {
    pub netns: Netns,
    pub endpoint: Endpoint,
}

impl Container {
    pub fn address(&self) -> Ipv4Addr {
        self.endpoint.address.unwrap()
    }

    pub fn gateway(&self) -> Ipv4Addr {
        self.endpoint.gateway.unwrap()
    }
}

/// Runs a test in its own host.
pub fn world(test: impl FnOnce(&World) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        syscalls::netns::unshare_network().unwrap();
        run("ip", &["link", "set", "lo", "up"]);
        let directory = tempfile::tempdir().unwrap();
        let outside = Netns::create(&directory.path().join("outside")).unwrap();
        let world = World { directory, outside };
        world.plug_outside();
        test(&world);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    fn plug_outside(&self) {
        run(
            "ip",
            &[
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                self.outside.path().to_str().unwrap(),
            ],
        );
        run("ip", &["addr", "add", "10.9.0.1/24", "dev", "eth0"]);
        run("ip", &["link", "set", "eth0", "up"]);
        self.outside
            .run(|| {
                run("ip", &["addr", "add", "10.9.0.2/24", "dev", "eth0"]);
                run("ip", &["link", "set", "eth0", "up"]);
            })
            .unwrap();
    }

    pub fn container(&self, stack: &Stack, name: &str, ports: &[PortRequest]) -> Container {
        self.connect(stack, ConnectRequest { ports: ports.to_vec(), ..ConnectRequest::new(BRIDGE, name) })
    }

    pub fn connect(&self, stack: &Stack, request: ConnectRequest) -> Container {
        let netns = Netns::create(&self.directory.path().join(&request.container)).unwrap();
        let endpoint = stack.connect(&netns, request).unwrap();
        Container { netns, endpoint }
    }

    pub fn end(&self, stack: &Stack, container: Container) {
        Netns::remove(container.netns.path()).unwrap();
        drop(container.netns);
        stack.disconnect(&container.endpoint).unwrap();
    }

    /// Nothing is left in the host but what was there before.
    pub fn assert_clean(&self) {
        wait("links are gone", || {
            run("ip", &["-o", "link"]).lines().all(|line| line.contains(": lo:") || line.contains(": eth0@"))
        });
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        let files: Vec<_> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(files, ["outside"]);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            Netns::remove(&entry.unwrap().path()).unwrap();
        }
    }
}

/// A stack with one bridge.
pub fn stack(name: &str) -> Stack {
    let stack = Stack::open(name).unwrap();
    restore(&stack, vec![]);
    stack
}

pub fn restore(stack: &Stack, endpoints: Vec<Endpoint>) -> Restored {
    stack.restore(vec![Network { bridge: BridgeConfig::new(BRIDGE), endpoints }]).unwrap()
}

pub fn port(protocol: Protocol, host: u16, container: u16) -> PortRequest {
    PortRequest {
        protocol,
        container_port: container,
        host_address: None,
        host_ports: HostPorts::Range(host, host),
    }
}

/// A server in the calling thread's namespace that tells each caller whom it sees.
pub fn serve(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let peer = stream.peer_addr().unwrap();
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let answer = format!("{peer} {}", String::from_utf8_lossy(&buffer[..length]));
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let answer = format!("{peer} {}", String::from_utf8_lossy(&buffer[..length]));
            let _ = socket.send_to(answer.as_bytes(), peer);
        }
    });
}

/// Says hello by TCP from the calling thread's namespace; the answer is whom the server saw.
pub fn tcp(address: Ipv4Addr, port: u16) -> Ipv4Addr {
    let stream = TcpStream::connect_timeout(&SocketAddrV4::new(address, port).into(), PATIENCE);
    ask(&mut stream.unwrap_or_else(|error| panic!("tcp {address}:{port}: {error}")))
}

pub fn ask(stream: &mut TcpStream) -> Ipv4Addr {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap();
    seen(&buffer[..length])
}

pub fn tcp_fails(address: Ipv4Addr, port: u16) {
    let result = TcpStream::connect_timeout(&SocketAddrV4::new(address, port).into(), SILENCE);
    assert!(result.is_err(), "{address}:{port} answers");
}

/// Says hello by UDP; `None` is silence.
pub fn udp(address: Ipv4Addr, port: u16) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    udp_by(&socket, address, port)
}

pub fn udp_by(socket: &UdpSocket, address: Ipv4Addr, port: u16) -> Option<Ipv4Addr> {
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let mut buffer = [0; 64];
    for _ in 0..4 {
        socket.send_to(b"hello", (address, port)).ok()?;
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            assert_eq!(from, SocketAddr::from((address, port)), "the answer comes from whom was asked");
            return Some(seen(&buffer[..length]));
        }
    }
    None
}

fn seen(answer: &[u8]) -> Ipv4Addr {
    let text = String::from_utf8_lossy(answer);
    let (peer, word) = text.split_once(' ').unwrap();
    assert_eq!(word, "hello");
    peer.parse::<SocketAddrV4>().unwrap().ip().to_owned()
}

/// Runs a program in the calling thread's namespace; its standard output.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn wait(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "in ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
