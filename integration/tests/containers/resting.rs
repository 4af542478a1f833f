//! Containers that do not run: what is in their volumes, what ends between two of their runs, what becomes of them.

use integration::{Story, until};
use serde_json::{Value, json};

#[test]
fn files_of_mounts_are_copied_though_the_container_rests() {
    let story = Story::new();
    for client in story.clients() {
        let (boat, shelf) = (client.own("boat"), client.own("shelf"));
        let host = story.path(&client.own("host"));
        std::fs::create_dir_all(&host).unwrap();
        std::fs::write(host.join("file"), "of the host").unwrap();
        let (read_only, deep) = (
            format!("{}:/host:ro", host.display()),
            format!("{}:/deep/er/file", host.join("file").display()),
        );
        client
            .call(["create", "--name", &boat, "-v", &format!("{shelf}:/vol"), "-v", "/anonymous"])
            .args(["-v", &read_only, "-v", &deep, "--tmpfs", "/tmpfs", "busybox", "sh", "-c"])
            .args(["cat /vol/file; echo written > /vol/out; mkdir /anonymous/in"])
            .expect();
        let local = host.join("file").display().to_string();
        let back = story.path(&client.own("back")).display().to_string();
        let fetch = |path: &str| {
            client.call(["cp", &format!("{boat}:{path}"), &back]).expect();
            std::fs::read_to_string(&back).unwrap()
        };
        assert_eq!(
            (fetch("/host/file"), fetch("/deep/er/file")),
            ("of the host".into(), "of the host".into())
        );
        client.call(["cp", &local, &format!("{boat}:/vol/file")]).expect();
        client
            .call(["cp", &local, &format!("{boat}:/host/other")])
            .run()
            .unwrap()
            .expect_complaint("marked read-only");
        assert!(!host.join("other").exists());
        assert_eq!(client.call(["start", "-a", &boat]).expect(), "of the host");
        assert_eq!(fetch("/vol/out"), "written\n");
        client.call(["cp", &local, &format!("{boat}:/anonymous/in")]).expect();
        assert_eq!(fetch("/anonymous/in/file"), "of the host");
        // The root alone is exported, and its layer holds nothing of the mounts.
        let archive = client.call(["export", "-o", &back, &boat]);
        archive.expect();
        let listed = std::process::Command::new("tar").args(["tf", &back]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(
            !listed.lines().any(|line| line.ends_with("vol/out") || line.ends_with("in/file")),
            "{listed}"
        );
        client.call(["rm", "-v", &boat]).expect();
        client.call(["volume", "rm", &shelf]).expect();
    }
    let mounts = std::fs::read_dir(story.stack.dir.join("run/engined/mounts")).map_or(0, Iterator::count);
    assert_eq!(mounts, 0, "nothing stays mounted");
    story.end();
}

/// What is mounted in it is not of it: neither `/proc` nor a volume.
#[test]
fn the_root_alone_of_a_running_container_is_exported() {
    let story = Story::new();
    for client in story.clients() {
        let (boat, out) = (client.own("boat"), story.path(&client.own("out")).display().to_string());
        let work =
            "echo own >/own; echo kept >/vol/kept; echo passing >/tmpfs/passing; echo ready; sleep 1000";
        client
            .call(["run", "-d", "--name", &boat, "-v", "/vol", "--tmpfs", "/tmpfs", "busybox", "sh", "-c"])
            .args([work])
            .expect();
        until("it to be ready", || (client.call(["logs", &boat]).expect() == "ready").then_some(()));
        client.call(["export", "-o", &out, &boat]).expect();
        let listed = std::process::Command::new("tar").args(["tf", &out]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let names: Vec<&str> = listed.lines().map(|line| line.trim_end_matches('/')).collect();
        for wanted in ["own", "proc", "sys", "vol", "tmpfs", "bin/busybox"] {
            assert!(names.contains(&wanted), "{wanted} in {listed}");
        }
        for mounted in ["proc/", "sys/", "vol/", "tmpfs/"] {
            assert!(!names.iter().any(|name| name.starts_with(mounted)), "{mounted} in {listed}");
        }
        client.call(["rm", "-f", "-v", &boat]).expect();
    }
    story.end();
}

#[test]
fn an_end_is_waited_for_though_a_restart_follows() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call([
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        "always",
        "busybox",
        "sh",
        "-c",
        "sleep 1; exit 3",
    ])
    .expect();
    assert_eq!(ctl.call(["wait", "again"]).expect(), "3");
    ctl.call(["rm", "-f", "again"]).expect();
    story.end();
}

#[test]
fn a_committed_image_knows_its_parent_and_what_was_not_asked_for_is_null() {
    let story = Story::new();
    let ctl = story.ctl();
    ctl.call(["run", "--name", "made", "busybox", "touch", "/new"]).expect();
    ctl.call(["commit", "made", "made:1"]).expect();
    ctl.call(["tag", "made:1", "made:2"]).expect();
    let parent = |name: &str| ctl.call(["image", "inspect", "-f", "{{.Parent}}", name]).expect();
    let busybox = ctl.call(["image", "inspect", "-f", "{{.Id}}", "busybox"]).expect();
    assert_eq!((parent("made:1"), parent("made:2")), (busybox.clone(), busybox));
    assert_eq!(parent("busybox"), "");
    ctl.call(["rm", "made"]).expect();
    ctl.call(["rmi", "made:1", "made:2"]).expect();

    let (status, answer) = super::ask(&story, "POST", "/networks/create", &json!({"Name": "crew"}));
    assert_eq!(status, 201, "{answer}");
    let network = super::ask(&story, "GET", "/networks/crew", &Value::Null).1;
    assert_eq!(network["IPAM"]["Options"], Value::Null);
    // What no driver here knows is kept and shown, and names come with the first start.
    let wish = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "crew"},
        "NetworkingConfig": {"EndpointsConfig": {"crew": {"DriverOpts": {"org.example.colour": "red"}}}}});
    let id = super::create(&story, &wish);
    let shown = |version: &str| {
        let path = format!("{version}/containers/{id}/json");
        super::ask(&story, "GET", &path, &Value::Null).1["NetworkSettings"]["Networks"]["crew"].clone()
    };
    let endpoint = shown("/v1.47");
    assert_eq!(endpoint["DriverOpts"], json!({"org.example.colour": "red"}));
    for field in ["Aliases", "Links", "IPAMConfig"] {
        assert_eq!(endpoint[field], Value::Null, "{field}");
    }
    assert_eq!(shown("/v1.41")["Aliases"], Value::Null);
    ctl.call(["start", "-a", &id]).expect();
    assert_eq!(shown("/v1.41")["Aliases"], json!([&id[..12]]));
    ctl.call(["rm", &id]).expect();
    ctl.call(["network", "rm", "crew"]).expect();
    story.end();
}
