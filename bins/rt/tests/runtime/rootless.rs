//! Containers of an unprivileged user.

use std::os::unix::fs::{chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bundle::{Answer, Bundle};

/// An id that nobody has.
const USER: u32 = 43_210;

/// A bundle of [`USER`]'s whose ids are mapped as given.
fn bundle(script: &str, uids: Value, gids: Value) -> Bundle {
    let bundle = Bundle::script(script).with(|spec| {
        let linux = spec["linux"].as_object_mut().unwrap();
        linux["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        linux.insert("uidMappings".into(), uids);
        linux.insert("gidMappings".into(), gids);
        linux.remove("resources");
        let mounts = spec["mounts"].as_array_mut().unwrap();
        for mount in mounts.iter_mut() {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    });
    give(bundle.path());
    bundle
}

fn give(path: &Path) {
    if path.is_symlink() {
        return lchown(path, Some(USER), Some(USER)).unwrap();
    }
    chown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

/// A copy of the runtime that the user can reach.
fn runtime(bundle: &Bundle) -> std::path::PathBuf {
    let path = bundle.path().join("rt");
    if !path.exists() {
        crate::bundle::copy_program(crate::bundle::runtime(), &path);
    }
    path
}

fn command(bundle: &Bundle, words: &[&str]) -> Command {
    let mut command = Command::new(runtime(bundle));
    command.arg("--root").arg(bundle.root()).args(words).current_dir(bundle.path());
    command.uid(USER).gid(USER).stdin(Stdio::null());
    command
}

fn rt(bundle: &Bundle, words: &[&str]) -> Answer {
    let output = command(bundle, words).output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn own() -> Value {
    json!([{"containerID": 0, "hostID": USER, "size": 1}])
}

#[test]
fn one_id_is_enough() {
    let bundle = bundle("id -u; id -g; mount | grep -c /proc; touch /tmp/x && echo $$", own(), own());
    let answer = rt(&bundle, &["run", &bundle.id]);
    assert!(answer.stdout.starts_with("0\n0\n") && answer.stdout.ends_with("\n1\n"), "{answer:?}");
    let made = std::fs::metadata(bundle.rootfs().join("tmp/x")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), USER);
    bundle.assert_clean();
}

#[test]
fn exec_and_the_end_of_it() {
    let bundle = bundle("sleep 100", own(), own());
    let mut run = command(&bundle, &["run", "--detach", &bundle.id]);
    assert!(run.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(rt(&bundle, &["exec", &bundle.id, "id", "-u"]).ok(), "0\n");
    rt(&bundle, &["kill", &bundle.id, "KILL"]).ok();
    rt(&bundle, &["delete", "--force", &bundle.id]).ok();
    bundle.assert_clean();
}

#[test]
fn ranges_need_a_grant() {
    let range = json!([
        {"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": 900_000, "size": 10}
    ]);
    let bundle = bundle("id -u", range, own());
    let answer = rt(&bundle, &["run", &bundle.id]);
    assert!(answer.code == 1 && answer.stderr.contains("newuidmap"), "{answer:?}");
    bundle.assert_clean();
}

#[test]
fn a_limit_that_cannot_be_set_is_an_error() {
    let bundle =
        bundle("true", own(), own()).with(|spec| spec["linux"]["resources"] = json!({"pids": {"limit": 10}}));
    let answer = rt(&bundle, &["run", &bundle.id]);
    assert!(answer.code == 1 && answer.stderr.contains("rootless needs no limits"), "{answer:?}");
    bundle.assert_clean();
}

/// With ranges of subuid(5), written by newuidmap(1). The user exists in a mount namespace of the
/// test's own alone: the host's files stay as they are.
#[test]
fn a_grant_gives_many_ids() {
    if !Path::new("/usr/bin/newuidmap").exists() {
        return;
    }
    let range = json!([
        {"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": 900_000, "size": 1000}
    ]);
    let bundle = bundle("cat /proc/self/uid_map; id", range.clone(), range)
        .with(|spec| spec["process"]["user"] = json!({"uid": 7, "gid": 8, "additionalGids": [9]}));
    let etc = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(etc.path().join(name), text).unwrap();
        format!("mount --bind {}/{name} /etc/{name}", etc.path().display())
    };
    let grant = format!("boatman:900000:1000\n{USER}:900000:1000\n");
    let script = [
        file("passwd", format!("root:x:0:0::/root:/bin/sh\nboatman:x:{USER}:{USER}::/:/bin/sh\n")),
        file("subuid", grant.clone()),
        file("subgid", grant),
        format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""),
    ]
    .join(" && ");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(runtime(&bundle));
    command.arg("--root").arg(bundle.root()).args(["run", &bundle.id]).current_dir(bundle.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("900000       1000") && text.contains("uid=7 gid=8 groups=9"), "{text}");
    bundle.assert_clean();
}
