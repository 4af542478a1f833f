//! `--userns-remap`: root in a container is nobody on the host, and nothing else looks different.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use integration::{Invocation, Story, until};

/// A user that every Debian has, and ranges that nobody else is given here.
const USER: &str = "daemon";
const FIRST: u32 = 1_800_000_000;

/// Lines in subuid(5) and subgid(5) that go when the test does.
struct Ranges(String);

impl Ranges {
    fn given() -> Ranges {
        let line = format!("{USER}:{FIRST}:65536\n");
        for path in ["/etc/subuid", "/etc/subgid"] {
            let before = std::fs::read_to_string(path).unwrap_or_default();
            assert!(!before.lines().any(|line| line.starts_with("daemon:")), "{path} has ranges of {USER}");
            std::fs::write(path, before + &line).unwrap();
        }
        Ranges(line)
    }
}

impl Drop for Ranges {
    fn drop(&mut self) {
        for path in ["/etc/subuid", "/etc/subgid"] {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let _ = std::fs::write(path, text.replace(&self.0, ""));
        }
    }
}

fn owner(path: &Path) -> (u32, u32) {
    let found = std::fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

/// Owner, group and name of each entry.
fn listed(archive: &[u8]) -> Vec<(u64, u64, String)> {
    let mut archive = tar::Archive::new(archive);
    let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let entry = entry.unwrap();
        let header = entry.header();
        let path = entry.path().unwrap().display().to_string();
        (header.uid().unwrap(), header.gid().unwrap(), path.trim_start_matches("./").to_owned())
    };
    archive.entries().unwrap().map(entry).collect()
}

#[test]
fn root_in_a_container_is_nobody_on_the_host() {
    let ranges = Ranges::given();
    let story = Story::with(&[&format!("--userns-remap={USER}")]);
    let client = story.ctl();
    let info = client.call(["info", "--format", "{{.SecurityOptions}}"]).expect();
    assert!(info.contains("name=userns"), "{info}");
    let made = story.path("made");
    let bind = format!("{}:/b", made.display());
    client
        .call(["run", "-d", "--name", "own", "--ipc", "shareable", "-v", "files:/v", "-v", &bind, "busybox"])
        .args([
            "sh",
            "-c",
            "touch /v/f /b/f /w && chown 1:2 /w && echo more >> /etc/hosts && touch /ready; sleep 600",
        ])
        .expect();
    let inside = |script: &str| client.call(["exec", "own", "sh", "-c", script]).expect();
    until("its files", || {
        (client.call(["exec", "own", "ls", "/ready"]).run().unwrap().code == 0).then_some(())
    });
    assert_eq!(
        inside("cat /proc/self/uid_map").split_whitespace().collect::<Vec<_>>(),
        ["0", &FIRST.to_string(), "65536"]
    );
    // Root there, with the image's files its own; somebody else here.
    assert_eq!(inside("id -u; stat -c %u:%g / /bin /w /dev/shm /etc/hosts"), "0\n0:0\n0:0\n1:2\n0:0\n0:0");
    let pid = client.call(["inspect", "-f", "{{.State.Pid}}", "own"]).expect();
    assert_eq!(owner(Path::new(&format!("/proc/{pid}"))).0, FIRST);
    let volume = client.call(["volume", "inspect", "-f", "{{.Mountpoint}}", "files"]).expect();
    for path in [made.clone(), made.join("f"), volume.clone().into(), Path::new(&volume).join("f")] {
        assert_eq!(owner(&path), (FIRST, FIRST), "{}", path.display());
    }
    // Copies tell the container's ids, whether it runs or rests.
    let mut bytes = Vec::new();
    {
        let mut archive = tar::Builder::new(&mut bytes);
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(7);
        header.set_gid(8);
        archive.append_data(&mut header, "given", std::io::empty()).unwrap();
        archive.finish().unwrap();
    }
    let put = |place: &str| client.call(["cp", "-a", "-", place]).input(bytes.clone()).expect();
    let archive = |call: Invocation| call.command().output().unwrap().stdout;
    let got = |path: &str| listed(&archive(client.call(["cp", path, "-"])));
    put("own:/root");
    assert_eq!(inside("stat -c %u:%g /root /root/given"), "0:0\n7:8");
    assert_eq!(got("own:/w"), [(1, 2, "w".to_owned())]);
    // What joins it lives in its user namespace, with a network of its own or with this one's.
    let joined = |arguments: &[&str]| {
        let call = client.call(["run", "--rm", "--pid", "container:own"]).args(arguments.iter().copied());
        call.args(["busybox", "sh", "-c", "readlink /proc/1/ns/user; readlink /proc/self/ns/user"]).expect()
    };
    for arguments in [&[][..], &["--network", "container:own", "--ipc", "container:own"]] {
        let users = joined(arguments);
        let users: Vec<&str> = users.lines().collect();
        assert!(users.len() == 2 && users[0] == users[1], "{users:?}");
    }
    client.call(["stop", "-t", "0", "own"]).expect();
    put("own:/etc");
    put("own:/v");
    assert_eq!(owner(&Path::new(&volume).join("given")), (FIRST + 7, FIRST + 8));
    assert_eq!(got("own:/w"), [(1, 2, "w".to_owned())]);
    assert_eq!(got("own:/v/f"), [(0, 0, "f".to_owned())]);
    let whole = listed(&archive(client.call(["export", "own"])));
    for (uid, gid, path) in [(0, 0, "etc/"), (7, 8, "etc/given"), (1, 2, "w"), (0, 0, ".dockerenv")] {
        assert!(whole.contains(&(uid, gid, path.to_owned())), "{path}");
    }
    assert!(whole.iter().all(|(uid, gid, _)| *uid < 65536 && *gid < 65536));
    // An image of it is one for everybody.
    client.call(["commit", "own", "kept"]).expect();
    for mode in [&[][..], &["--userns", "host"]] {
        let call = client.call(["run", "--rm"]).args(mode.iter().copied());
        let owners = call.args(["kept", "stat", "-c", "%u:%g", "/etc", "/etc/given", "/w"]).expect();
        assert_eq!(owners, "0:0\n7:8\n1:2", "{mode:?}");
    }
    client.call(["start", "own"]).expect();
    assert_eq!(inside("stat -c %u:%g /etc /etc/given /v/given"), "0:0\n7:8\n7:8");
    refusals(&story);
    client.call(["rm", "-f", "own"]).expect();
    assert!(
        std::fs::read_dir(story.stack.dir.join("run/engined/userns"))
            .is_ok_and(|mut left| left.next().is_none())
    );
    story.end();
    drop(ranges);
}

/// What belongs to the host's root is not shared, unless the container's is the host's.
fn refusals(story: &Story) {
    let client = story.ctl();
    for (option, said) in [
        ("--privileged", "incompatible with user namespaces"),
        ("--network=host", "cannot share the host's network namespace"),
        ("--pid=host", "cannot share the host PID namespace"),
    ] {
        let answer = client.call(["run", "--rm", option, "busybox", "true"]).run().unwrap();
        answer.expect_code(125).expect_complaint(said);
        client.call(["run", "--rm", "--userns=host", option, "busybox", "true"]).expect();
    }
    client.call(["run", "-d", "--name", "other", "--userns=host", "busybox", "sleep", "600"]).expect();
    let answer = client.call(["run", "--rm", "--pid=container:other", "busybox", "true"]).run().unwrap();
    answer.expect_complaint("its user namespace has other ids");
    client.call(["rm", "-f", "other"]).expect();
}
