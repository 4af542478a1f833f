//! Networks: addresses, neighbours, published ports.

use integration::{Client, Story, peer, until};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// Sends every datagram to port 53 back.
const ECHO_UDP: &str = r#"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 53))
while True:
    data, peer = server.recvfrom(1024)
    server.sendto(data, peer)
"#;

/// What a server on `address` says, once it listens.
fn ask_tcp(address: &str) -> String {
    until(&format!("an answer on {address}"), || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        (!answer.is_empty()).then_some(answer)
    })
}

fn address_of(client: &Client, name: &str) -> String {
    client.call(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).expect()
}

/// An address of the host that is not loopback, if it has one.
fn host_address() -> Option<String> {
    let output = std::process::Command::new("hostname").arg("-I").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().find(|address| address.contains('.')).map(str::to_owned)
}

#[test]
fn containers_have_addresses_and_reach_each_other() {
    let story = Story::new();
    for client in story.clients() {
        let server = client.own("server");
        client
            .call(["run", "-d", "--name", &server, "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"])
            .expect();
        let address = address_of(&client, &server);
        let said = until("the neighbour", || {
            let ran = client.call(["run", "--rm", "busybox", "nc", "-w", "2", &address, "80"]).run().unwrap();
            (ran.stdout.trim() == "hello").then_some(ran.stdout)
        });
        assert_eq!(said.trim(), "hello");
        let own = client
            .call(["run", "--rm", "busybox", "sh", "-c", "ip -4 -o addr show eth0; ip route; cat /etc/hosts"])
            .expect();
        assert!(own.contains("/16") && own.contains("default via"), "{own}");
        client.call(["rm", "-f", &server]).expect();
    }
    story.end();
}

#[test]
fn published_ports_answer_everywhere() {
    let story = Story::new();
    for client in story.clients() {
        let (tcp, udp) = (peer::free_port().unwrap(), peer::free_port().unwrap());
        let name = client.own("published");
        client
            .call(["run", "-d", "--name", &name, "-p", &format!("{tcp}:80"), "-p", &format!("{udp}:53/udp")])
            // Debian's busybox has no server for UDP: the host's Python serves, from the host's files.
            .args([
                "-v",
                "/usr:/usr:ro",
                "-v",
                "/lib:/lib:ro",
                "-v",
                "/lib64:/lib64:ro",
                "busybox",
                "sh",
                "-c",
            ])
            .args([format!("/usr/bin/python3 -c '{ECHO_UDP}' & exec nc -ll -p 80 -e echo ahoy")])
            .expect();
        assert_eq!(ask_tcp(&format!("127.0.0.1:{tcp}")), "ahoy\n");
        if let Some(host) = host_address() {
            assert_eq!(ask_tcp(&format!("{host}:{tcp}")), "ahoy\n");
            // From inside another container by the host's address: out and back in.
            let hairpin =
                client.call(["run", "--rm", "busybox", "nc", "-w", "2", &host, &tcp.to_string()]).expect();
            assert_eq!(hairpin, "ahoy");
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        socket.connect(("127.0.0.1", udp)).unwrap();
        let mut buffer = [0; 16];
        let size = until("the udp echo", || {
            socket.send(b"ping").ok()?;
            socket.recv(&mut buffer).ok()
        });
        assert_eq!(&buffer[..size], b"ping");
        assert!(client.call(["port", &name, "80/tcp"]).expect().contains(&format!("0.0.0.0:{tcp}")));
        let taken =
            client.call(["run", "--rm", "-p", &format!("{tcp}:80"), "busybox", "true"]).run().unwrap();
        taken.expect_code(125).expect_complaint("port is already allocated");
        client.call(["rm", "-f", &name]).expect();
        assert!(TcpStream::connect(("127.0.0.1", tcp)).is_err(), "the port is free again");
    }
    story.end();
}

#[test]
fn ports_survive_the_engine() {
    let story = Story::new();
    let client = story.ctl();
    let port = peer::free_port().unwrap();
    client
        .call([
            "run",
            "-d",
            "-p",
            &format!("127.0.0.1:{port}:80"),
            "busybox",
            "nc",
            "-ll",
            "-p",
            "80",
            "-e",
            "echo",
            "still",
        ])
        .expect();
    assert_eq!(ask_tcp(&format!("127.0.0.1:{port}")), "still\n");
    story.stack.daemon("engined").unwrap().kill().unwrap();
    assert_eq!(ask_tcp(&format!("127.0.0.1:{port}")), "still\n", "while the engine is dead");
    story.stack.start_engined().unwrap();
    assert_eq!(ask_tcp(&format!("127.0.0.1:{port}")), "still\n", "after it came back");
    client
        .call(["run", "--rm", "-p", &format!("{port}:80"), "busybox", "true"])
        .run()
        .unwrap()
        .expect_complaint("port is already allocated");
    story.end();
}

#[test]
fn none_and_host_are_what_they_say() {
    let story = Story::new();
    for client in story.clients() {
        let none = client.call(["run", "--rm", "--network", "none", "busybox", "ip", "-o", "link"]).expect();
        assert_eq!((none.lines().count(), none.contains("lo:")), (1, true), "{none}");
        let host = client
            .call(["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"])
            .expect();
        assert_eq!(host, std::fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy());
        let shared = client.own("shared");
        client.call(["run", "-d", "--name", &shared, "busybox", "sleep", "100"]).expect();
        let theirs = client.call(["exec", &shared, "readlink", "/proc/self/ns/net"]).expect();
        let joined = client
            .call([
                "run",
                "--rm",
                "--network",
                &format!("container:{shared}"),
                "busybox",
                "readlink",
                "/proc/self/ns/net",
            ])
            .expect();
        assert_eq!(theirs, joined);
        client.call(["rm", "-f", &shared]).expect();
        let listed = client.call(["network", "ls", "--format", "{{.Name}} {{.Driver}}"]).expect();
        let mut rows: Vec<&str> = listed.lines().collect();
        rows.sort_unstable();
        assert_eq!(rows, ["bridge bridge", "host host", "none null"]);
    }
    story.end();
}

#[test]
fn two_stacks_live_side_by_side() {
    let (one, two) = (Story::new(), Story::new());
    let mut addresses = Vec::new();
    for story in [&one, &two] {
        let client = story.ctl();
        client
            .call([
                "run",
                "-d",
                "--name",
                "same",
                "busybox",
                "nc",
                "-ll",
                "-p",
                "80",
                "-e",
                "echo",
                &story.stack.name,
            ])
            .expect();
        addresses.push((story.stack.name.clone(), address_of(&client, "same")));
    }
    assert_ne!(addresses[0].1, addresses[1].1, "each has a subnet of its own");
    for (name, address) in &addresses {
        assert_eq!(ask_tcp(&format!("{address}:80")).trim(), name);
    }
    one.end();
    assert_eq!(ask_tcp(&format!("{}:80", addresses[1].1)).trim(), addresses[1].0);
    two.end();
}

#[test]
fn a_client_that_goes_leaves_the_server() {
    let story = Story::new();
    let client = story.ctl();
    let mut run = client
        .call(["run", "-i", "--name", "left", "busybox", "sh", "-c", "echo here; cat; echo gone"])
        .spawn()
        .unwrap();
    run.stdin.as_mut().unwrap().write_all(b"some\n").unwrap();
    until("its line", || client.call(["logs", "left"]).run().unwrap().stdout.contains("some").then_some(()));
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(client.call(["inspect", "-f", "{{.State.Running}}", "left"]).expect(), "true");
    story.end();
}
