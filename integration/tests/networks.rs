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

/// The answer 10.20.30.40 to a query for an address.
fn address_answer(query: &[u8]) -> Vec<u8> {
    let end = query[12..].iter().position(|byte| *byte == 0).map_or(query.len(), |at| 12 + at + 5);
    let mut answer = query[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 20, 30, 40]);
    answer
}

/// Answers every query for an address with 10.20.30.40.
fn resolver(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 53)).expect("a port for a name server");
    let server = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut query) {
            let answer = address_answer(&query[..length]);
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

/// Answers queries as [`resolver`] does, but none before the file `gate` is there.
fn slow_resolver(address: &str, gate: std::path::PathBuf) {
    let socket = UdpSocket::bind((address, 53)).expect("a port for a name server");
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20).expect("room for queries");
    socket.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
    std::thread::spawn(move || {
        let (mut query, mut waiting) = ([0; 512], Vec::new());
        loop {
            if let Ok((length, from)) = socket.recv_from(&mut query) {
                waiting.push((address_answer(&query[..length]), from));
            }
            if gate.exists() {
                for (answer, from) in waiting.drain(..) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        }
    });
}

/// Asks a thousand names of others and a thousand times its own name at once. The own must be answered while the
/// server of the others says nothing; then it may speak, and all others must be answered as well.
const ASK_MUCH: &str = r#"
import resource, select, socket, struct, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def query(name, number):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
def burst(names):
    sockets = {}
    for number, name in enumerate(names):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.11", 53))
        sockets[s.fileno()] = (s, number, query(name, number))
    for s, _, message in sockets.values():
        s.send(message)
    return sockets
def take(sockets, patience):
    poll = select.poll()
    for fd in sockets:
        poll.register(fd, select.POLLIN)
    left, taken, end = dict(sockets), [], time.monotonic() + patience
    while left and time.monotonic() < end:
        for fd, _ in poll.poll(100):
            s, number, _ = left.pop(fd)
            poll.unregister(fd)
            answer = s.recv(512)
            assert struct.unpack(">H", answer[:2])[0] == number
            taken.append(socket.inet_ntoa(answer[-4:]) if answer[7] else "none")
    return taken
others = burst([f"n{i}.example" for i in range(1000)])
own = take(burst(["asker"] * 1000), 30)
early = take(others, 0.2)
open("/gate/open", "w").close()
rest = take(others, 30)
print(len(own), len(set(own)), len(early), len(rest), *set(rest))
"#;

#[test]
fn a_thousand_names_are_asked_at_once() {
    let story = Story::new();
    let ctl = story.ctl();
    let gate = story.path("gate");
    std::fs::create_dir(&gate).unwrap();
    slow_resolver("127.0.0.76", gate.join("open"));
    ctl.call(["network", "create", "crowd"]).expect();
    let asked = ctl
        .call(["run", "--rm", "--name", "asker", "--network", "crowd", "--dns", "127.0.0.76"])
        .args(["-v", &format!("{}:/gate", gate.display()), "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro"])
        .args(["-v", "/lib64:/lib64:ro", "busybox", "/usr/bin/python3", "-c", ASK_MUCH])
        .expect();
    assert_eq!(asked, "1000 1 0 1000 10.20.30.40");
    ctl.call(["network", "rm", "crowd"]).expect();
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
    bad.expect_complaint("requested macvlan mode 'x' is not valid");
    story.end();
}

/// Sends every datagram back, and says hello to every caller, on the container's port 80.
const ECHO: &str = r#"
import socket, threading
def datagrams():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", 80))
    while True:
        data, peer = server.recvfrom(2048)
        server.sendto(data, peer)
threading.Thread(target=datagrams, daemon=True).start()
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 80))
server.listen(100)
while True:
    caller, _ = server.accept()
    caller.sendall(b"hello " + caller.recv(100))
    caller.close()
"#;

const PYTHON: [&str; 6] = ["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"];

/// What a server says to `word`, if it answers.
fn say(address: &str, word: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).ok()?;
    std::io::Write::write_all(&mut stream, word.as_bytes()).ok()?;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).ok()?;
    (!said.is_empty()).then_some(said)
}

fn echo(address: &str, word: &str) -> Option<String> {
    let socket = UdpSocket::bind("[::]:0").ok()?;
    socket.set_read_timeout(Some(std::time::Duration::from_millis(300))).ok()?;
    socket.send_to(word.as_bytes(), address).ok()?;
    let mut buffer = [0; 2048];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[test]
fn a_container_of_ipv4_is_reached_by_the_hosts_ipv6() {
    let story = Story::new();
    let ctl = story.ctl();
    let (port, udp, only) = (
        integration::peer::free_port().unwrap(),
        integration::peer::free_port().unwrap(),
        integration::peer::free_port().unwrap(),
    );
    ctl.call(["run", "-d", "--name", "web", "-p", &format!("{port}:80"), "-p", &format!("{udp}:80/udp")])
        .args(["-p", &format!("[::1]:{only}:80")])
        .args(PYTHON)
        .args(["busybox", "/usr/bin/python3", "-c", ECHO])
        .expect();
    let bound = inspect(&ctl, "{{json .NetworkSettings.Ports}}", "web");
    for binding in [("0.0.0.0", port), ("::", port), ("0.0.0.0", udp), ("::", udp), ("::1", only)] {
        let shown = format!(r#"{{"HostIp":"{}","HostPort":"{}"}}"#, binding.0, binding.1);
        assert!(bound.contains(&shown), "{bound}");
    }
    let works = || {
        for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}"), format!("[::1]:{only}")] {
            assert_eq!(until(&address, || say(&address, "you")), "hello you");
        }
        let long = "x".repeat(1500);
        let address = format!("[::1]:{udp}");
        assert_eq!(until("a datagram's echo", || echo(&address, &long)), long);
    };
    works();
    // Many at once, each with its own answer.
    std::thread::scope(|scope| {
        for number in 0..50 {
            scope.spawn(move || {
                let word = number.to_string();
                assert_eq!(say(&format!("[::1]:{port}"), &word).unwrap(), format!("hello {word}"));
            });
        }
    });
    story.stack.daemon("engined").unwrap().kill().unwrap();
    assert_eq!(say(&format!("127.0.0.1:{port}"), "you").unwrap(), "hello you", "while the engine is dead");
    story.stack.start_engined().unwrap();
    works();
    let taken =
        ctl.call(["run", "--rm", "-p", &format!("[::1]:{port}:80"), "busybox", "true"]).run().unwrap();
    taken.expect_code(125).expect_complaint("port is already allocated");
    ctl.call(["stop", "-t", "0", "web"]).expect();
    assert!(say(&format!("[::1]:{port}"), "you").is_none());
    drop(std::net::TcpListener::bind(("::", port)).expect("the port is free"));
    ctl.call(["start", "web"]).expect();
    works();
    ctl.call(["rm", "-f", "web"]).expect();
    story.end();
}

#[test]
fn without_a_firewall_ports_are_relayed() {
    let story = Story::with(&["--iptables=false"]);
    let ctl = story.ctl();
    let port = integration::peer::free_port().unwrap();
    ctl.call(["run", "-d", "--name", "web", "-p", &format!("{port}:80")])
        .args(PYTHON)
        .args(["busybox", "/usr/bin/python3", "-c", ECHO])
        .expect();
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(until(&address, || say(&address, "you")), "hello you");
    }
    ctl.call(["rm", "-f", "web"]).expect();
    story.end();
    let story = Story::with(&["--userland-proxy=false"]);
    let ctl = story.ctl();
    ctl.call(["run", "-d", "--name", "web", "-p", &format!("{port}:80"), "busybox", "sleep", "100"]).expect();
    assert_eq!(ctl.call(["port", "web"]).expect(), format!("80/tcp -> 0.0.0.0:{port}"));
    let refused = ctl.call(["run", "--rm", "-p", "[::1]::80", "busybox", "true"]).run().unwrap();
    refused.expect_code(125).expect_complaint("the container has no IPv6 address");
    ctl.call(["rm", "-f", "web"]).expect();
    story.end();
}

#[test]
fn links_and_long_answers() {
    let story = Story::new();
    for client in story.clients() {
        let (net, web, asker) = (client.own("crew"), client.own("web"), client.own("asker"));
        client.call(["network", "create", "--subnet", "10.233.1.0/24", &net]).expect();
        client
            .call(["run", "-d", "--name", &web, "--network", &net, "--ip", "10.233.1.9", "busybox"])
            .args(["sleep", "100"])
            .expect();
        let asked = client
            .call(["run", "--rm", "--name", &asker, "--network", &net, "--link", &format!("{web}:db")])
            .args(PYTHON)
            .args(["busybox", "/usr/bin/python3", "-c", ASK, "db", &format!("db.{net}"), &web])
            .expect();
        assert_eq!(asked, "10.233.1.9 10.233.1.9 10.233.1.9");
        let others = client
            .call(["run", "--rm", "--network", &net, "--dns", "127.0.0.79"])
            .args(PYTHON)
            .args(["busybox", "/usr/bin/python3", "-c", ASK, "db"])
            .expect();
        assert_eq!(others, "none", "a link is its container's own");
        client.call(["rm", "-f", &web]).expect();
        client.call(["network", "rm", &net]).expect();
    }
    story.end();
}

#[test]
fn a_network_is_made_by_another_ones_configuration() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["network", "create", "--config-only", "--subnet", "10.234.1.0/24", "pattern"])
        .args(["-o", "com.docker.network.driver.mtu=1400", "--label", "sort=pattern"])
        .expect();
    let shown = inspect(&ctl, "{{.ConfigOnly}} {{.Driver}} {{(index .IPAM.Config 0).Subnet}}", "pattern");
    assert_eq!(shown, "true null 10.234.1.0/24");
    ctl.call(["network", "create", "--config-from", "pattern", "made"]).expect();
    let shown = inspect(
        &ctl,
        "{{.ConfigFrom.Network}} {{(index .IPAM.Config 0).Subnet}} {{index .Labels \"sort\"}}",
        "made",
    );
    assert_eq!(shown, "pattern 10.234.1.0/24 pattern");
    let mtu =
        ctl.call(["run", "--rm", "--network", "made", "busybox", "ip", "link", "show", "eth0"]).expect();
    assert!(mtu.contains("mtu 1400"), "{mtu}");
    let refused = |arguments: [&str; 5], complaint: &str| {
        ctl.call(arguments).run().unwrap().expect_complaint(complaint);
    };
    refused(["network", "create", "--config-from", "nothing", "x"], "does not exist");
    refused(
        ["network", "create", "--config-from=pattern", "--ipv6", "x"],
        "not supported if the network depends",
    );
    refused(["run", "--rm", "--network=pattern", "busybox", "true"], "configuration network");
    ctl.call(["network", "rm", "pattern"]).run().unwrap().expect_code(1).expect_complaint("is in use");
    ctl.call(["network", "rm", "made"]).expect();
    ctl.call(["network", "rm", "pattern"]).expect();
    story.end();
}

#[test]
fn a_network_has_ipv6_alone_or_is_routed() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["network", "create", "--ipv4=false", "--ipv6", "--subnet", "fd00:67::/64", "six"]).expect();
    ctl.call(["run", "-d", "--name", "web", "--network", "six", "busybox"])
        .args(["nc", "-ll", "-p", "80", "-e", "echo", "alone"])
        .expect();
    let shown = inspect(
        &ctl,
        "{{range .NetworkSettings.Networks}}<{{.IPAddress}}> {{.GlobalIPv6Address}}{{end}}",
        "web",
    );
    assert_eq!(shown, "<> fd00:67::2");
    assert_eq!(inspect(&ctl, "{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}}", "six"), "false true 1");
    let said = ctl
        .call(["run", "--rm", "--network", "six", "busybox", "sh", "-c"])
        .args(["cat /etc/hosts; ip -o addr show dev eth0; nc -w 3 web 80"])
        .expect();
    assert!(said.contains("fd00:67::3") && !said.contains("inet ") && said.ends_with("alone"), "{said}");
    ctl.call(["rm", "-f", "web"]).expect();
    ctl.call(["network", "rm", "six"]).expect();
    ctl.call(["network", "create", "--ipv4=false", "x"]).run().unwrap().expect_complaint("must be enabled");
    let mode = "com.docker.network.bridge.gateway_mode_ipv4=routed";
    ctl.call(["network", "create", "-o", mode, "--subnet", "10.235.1.0/24", "route"]).expect();
    ctl.call([
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "route",
        "-p",
        "8080:80",
        "busybox",
        "sleep",
        "100",
    ])
    .expect();
    let ports = inspect(&ctl, "{{json .NetworkSettings.Ports}}", "web");
    assert_eq!(ports, r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":""}]}"#);
    ctl.call(["rm", "-f", "web"]).expect();
    let complaint = ctl.call(["network", "rm", "bridge"]).run().unwrap();
    complaint.expect_code(1).expect_complaint("pre-defined network");
    ctl.call(["run", "-d", "--name", "user", "--network", "route", "busybox", "sleep", "100"]).expect();
    let complaint = ctl.call(["network", "rm", "route"]).run().unwrap();
    complaint.expect_code(1).expect_complaint("has active endpoints (name:\"user\" id:\"");
    ctl.call(["rm", "-f", "user"]).expect();
    ctl.call(["network", "rm", "route"]).expect();
    story.end();
}
