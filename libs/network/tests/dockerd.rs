//! Beside Debian's dockerd, the real one, in the test's private host.

mod world;

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use wherry_network::{Protocol, Stack};
use world::*;

struct Dockerd(Child);

impl Dockerd {
    fn start(directory: &std::path::Path) -> Dockerd {
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let (socket, config) = (path("docker.sock"), path("daemon.json"));
        std::fs::write(&config, "{}").unwrap();
        let child = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args([
                "--host",
                &format!("unix://{socket}"),
                "--storage-driver",
                "vfs",
                "--config-file",
                &config,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let dockerd = Dockerd(child);
        wait("dockerd answers", || {
            Command::new("curl")
                .args(["-fs", "--unix-socket", &socket, "http://d/_ping"])
                .output()
                .unwrap()
                .status
                .success()
        });
        dockerd
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_dockerd_that_starts_later_and_again() {
    world(|world| {
        let directory = tempfile::tempdir().unwrap();
        let stack = stack("t");
        let web = world.container(&stack, "web", &[port(Protocol::Tcp, 8080, 80)]);
        web.netns.run(|| serve(80)).unwrap();
        world.outside.run(|| serve(82)).unwrap();
        let watch = stack.watch().unwrap();
        let works = || {
            world.outside.run(|| assert_eq!(tcp(HOST, 8080), OUTSIDE)).unwrap();
            web.netns.run(|| assert_eq!(tcp(OUTSIDE, 82), HOST)).unwrap();
            tcp(Ipv4Addr::LOCALHOST, 8080);
        };
        works();
        for _ in 0..2 {
            let dockerd = Dockerd::start(directory.path());
            assert!(watch.drain().unwrap());
            stack.admit().unwrap();
            works();
            let bridge = run("ip", &["-o", "-4", "addr", "show", "docker0"]);
            assert!(bridge.contains("172.17.0.1/16"), "{bridge}");
            drop(dockerd);
            works();
        }
        let printed = run("iptables-nft", &["-S"]);
        assert_eq!(printed.matches("-j WHERRY-t\n").count(), 1, "{printed}");
        assert!(printed.find("-j DOCKER-USER\n") < printed.find("-j WHERRY-t\n"), "{printed}");
        world.end(&stack, web);
        // One that finds a dockerd in place chooses another subnet, and leaves with all it brought.
        let second = Stack::open("t").unwrap();
        second.destroy(None).unwrap();
        assert!(!run("iptables-nft", &["-S"]).contains("WHERRY"));
        let bridge = restore(&second, vec![]).bridges.remove(0);
        assert_eq!(bridge.subnet.unwrap().to_string(), "172.18.0.0/16");
        second.destroy(None).unwrap();
    });
}
