//! Networks of one's own: both families, names from elsewhere, the way out, firewalls that others flush.

use integration::{Client, Story, until};
use sha2::Digest;
use std::net::UdpSocket;
use std::process::Command;

fn inspect(client: &Client, format: &str, name: &str) -> String {
    client.call(["inspect", "-f", format, name]).expect()
}

#[test]
fn a_network_has_both_families() {
    let story = Story::new();
    for client in story.clients() {
        let (net, web) = (client.own("six"), client.own("web"));
        client.call(["network", "create", "--ipv6", "--subnet", "fd00:66::/64", &net]).expect();
        let port = integration::peer::free_port().unwrap();
        client
            .call(["run", "-d", "--name", &web, "--network", &net, "--ip6", "fd00:66::80"])
            .args(["-p", &format!("{port}:80"), "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"])
            .expect();
        let shown = inspect(
            &client,
            "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}}{{end}}",
            &web,
        );
        assert_eq!(shown, "fd00:66::80/64 fd00:66::1");
        let ports = client.call(["port", &web]).expect();
        assert!(ports.contains(&format!("0.0.0.0:{port}")), "{ports}");
        // As Debian's client writes it, or as newer ones do.
        assert!(
            ports.contains(&format!("-> :::{port}")) || ports.contains(&format!("[::]:{port}")),
            "{ports}"
        );
        let inside = client
            .call(["run", "--rm", "--network", &net, "busybox", "sh", "-c"])
            .args(["ip -6 route; cat /etc/hosts; nc -w 3 fd00:66::80 80"])
            .expect();
        assert!(inside.contains("default via fd00:66::1") && inside.contains("fd00:66::2"), "{inside}");
        assert!(inside.ends_with("hello"), "{inside}");
        client.call(["rm", "-f", &web]).expect();
        client.call(["network", "rm", &net]).expect();
    }
    story.end();
}

/// Answers every query for an address with 10.20.30.40.
fn resolver(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 53)).expect("a port for a name server");
    let server = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut query) {
            let end = query[12..length].iter().position(|byte| *byte == 0).map_or(length, |at| 12 + at + 5);
            let mut answer = query[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 20, 30, 40]);
            let _ = server.send_to(&answer, from);
        }
    });
    socket
}

/// Asks the resolver of the calling namespace for an address; Debian's busybox may have no nslookup.
const ASK: &str = r#"
import socket, struct, sys
def ask(name):
    query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
    query += b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0" + struct.pack(">HH", 1, 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(8)
    s.sendto(query, ("127.0.0.11", 53))
    answer = s.recv(512)
    return socket.inet_ntoa(answer[-4:]) if answer[7] else "none"
print(*[ask(name) for name in sys.argv[1:]])
"#;

#[test]
fn names_from_elsewhere_come_by_the_hosts_loopback() {
    let story = Story::new();
    let ctl = story.ctl();
    let _server = resolver("127.0.0.77");
    ctl.call(["network", "create", "crew"]).expect();
    let asked = ctl
        .call([
            "run",
            "--rm",
            "--name",
            "asker",
            "--network",
            "crew",
            "--dns",
            "127.0.0.78",
            "--dns",
            "127.0.0.77",
        ])
        .args(["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro", "busybox"])
        .args(["/usr/bin/python3", "-c", ASK, "somewhere.example", "asker"])
        .expect();
    let (elsewhere, own) = asked.split_once(' ').expect("two answers");
    assert_eq!(elsewhere, "10.20.30.40", "the second server answers when nobody listens on the first");
    assert!(own.starts_with("172.") || own.starts_with("192.168."), "{asked}");
    ctl.call(["network", "rm", "crew"]).expect();
    story.end();
}

#[test]
fn the_way_out_moves_and_rules_come_back() {
    let story = Story::new();
    let ctl = story.ctl();
    for (name, subnet) in [("one", "10.231.1.0/24"), ("two", "10.231.2.0/24")] {
        ctl.call(["network", "create", "--subnet", subnet, name]).expect();
    }
    let port = integration::peer::free_port().unwrap();
    let publish = format!("127.0.0.1:{port}:80");
    ctl.call(["run", "-d", "--name", "web", "--network", "one", "-p", &publish, "busybox"])
        .args(["nc", "-ll", "-p", "80", "-e", "echo", "here"])
        .expect();
    let answers = || {
        let mut said = String::new();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).ok()?;
        std::io::Read::read_to_string(&mut stream, &mut said).ok()?;
        (said == "here\n").then_some(())
    };
    until("the port", answers);
    let route = || ctl.call(["exec", "web", "ip", "route"]).expect();
    assert!(route().contains("default via 10.231.1.1"));
    ctl.call(["network", "connect", "--gw-priority", "5", "two", "web"]).expect();
    assert!(route().contains("default via 10.231.2.1"), "{}", route());
    until("the port by the other network", answers);
    ctl.call(["network", "disconnect", "two", "web"]).expect();
    assert!(route().contains("default via 10.231.1.1"), "{}", route());
    until("the port as before", answers);
    // Somebody reloads the firewall; only our own table here, for the host is not ours.
    let tables = Command::new("nft").args(["list", "tables", "ip"]).output().unwrap();
    let tables = String::from_utf8_lossy(&tables.stdout).into_owned();
    let digest = sha2::Sha256::digest(story.stack.dir.join("data/engined").as_os_str().as_encoded_bytes());
    let own = format!("wherry-{}", hex::encode(&digest[..4]));
    assert!(tables.contains(&own), "{tables}");
    assert!(Command::new("nft").args(["delete", "table", "ip", &own]).status().unwrap().success());
    until("the rules again", answers);
    ctl.call(["rm", "-f", "web"]).expect();
    ctl.call(["network", "prune", "-f"]).expect();
    assert_eq!(ctl.call(["network", "ls", "-q", "--filter", "type=custom"]).expect(), "");
    story.end();
}

#[test]
fn containers_share_a_link_of_the_host() {
    let story = Story::new();
    let ctl = story.ctl();
    let made =
        ctl.call(["network", "create", "-d", "macvlan", "--subnet", "10.232.0.0/24", "wire"]).run().unwrap();
    made.expect_code(0);
    ctl.call([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "wire",
        "--ip",
        "10.232.0.9",
        "busybox",
        "nc",
        "-ll",
        "-p",
        "80",
    ])
    .args(["-e", "echo", "wired"])
    .expect();
    let inside = ctl.call(["exec", "box", "ip", "-4", "-o", "addr", "show", "eth0"]).expect();
    assert!(inside.contains("10.232.0.9/24"), "{inside}");
    assert_eq!(ctl.call(["network", "inspect", "-f", "{{.Driver}}", "wire"]).expect(), "macvlan");
    ctl.call(["network", "disconnect", "wire", "box"]).expect();
    assert!(!ctl.call(["exec", "box", "ip", "-o", "link"]).expect().contains("eth0"));
    ctl.call(["rm", "-f", "box"]).expect();
    ctl.call(["network", "rm", "wire"]).expect();
    let bad = ctl.call(["network", "create", "-d", "macvlan", "-o", "macvlan_mode=x", "bad"]).run().unwrap();
    bad.expect_complaint("unknown macvlan option");
    story.end();
}
