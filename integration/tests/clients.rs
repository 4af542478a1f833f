//! Other people's clients of the Engine API do their work unchanged on our engine.
//!
//! docker-py is in `interop.rs`, docker-compose in `engine.rs`, the docker CLI everywhere.

#[path = "../clients/bollard_story.rs"]
mod bollard_story;

use std::process::Command;

use integration::Story;
use integration::peer::{client as installed, require};

fn script(name: &str) -> String {
    format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn dockerode_drives_our_engine() {
    let Some(modules) = installed("npm/node_modules") else { return };
    if !require("node") {
        return;
    }
    let story = Story::new();
    let node = story.stack.client("node", [&script("dockerode.js")]);
    node.env("NODE_PATH", &modules.display().to_string()).expect();
    story.end();
}

#[test]
fn testcontainers_drive_our_engine() {
    let Some(python) = installed("venv/bin/python") else { return };
    let story = Story::new();
    let python = story.stack.client(&python, [&script("testcontainers_story.py")]);
    // The reaper is an image of a registry.
    python.env("TESTCONTAINERS_RYUK_DISABLED", "true").expect();
    story.end();
}

#[test]
fn bollard_drives_our_engine() {
    let story = Story::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(bollard_story::work(&story.stack.docker_host())).unwrap();
    story.end();
}

/// Out of the engine into a layout, and back under another name: the image is the same.
#[test]
fn skopeo_copies_images_out_and_in() {
    if !require("skopeo") {
        return;
    }
    let story = Story::new();
    let host = story.stack.docker_host();
    let layout = format!("oci:{}:busybox", story.path("layout").display());
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    skopeo(&["copy", "--src-daemon-host", &host, "docker-daemon:busybox:latest", &layout]);
    skopeo(&["copy", "--dest-daemon-host", &host, &layout, "docker-daemon:copied:1"]);
    let layers =
        |name: &str| story.ctl().call(["image", "inspect", "-f", "{{json .RootFS.Layers}}", name]).expect();
    assert_eq!(layers("copied:1"), layers("busybox"));
    let ran =
        story.ctl().call(["run", "--rm", "--network", "none", "copied:1", "echo", "came back"]).expect();
    assert_eq!(ran, "came back");
    let seen = skopeo(&["inspect", "--daemon-host", &host, "docker-daemon:copied:1"]);
    assert!(seen.contains("\"Architecture\": \"amd64\""), "{seen}");
    story.end();
}

/// What ctl saves, podman takes and runs.
#[test]
fn podman_takes_what_ctl_saves() {
    if !require("podman") {
        return;
    }
    let story = Story::new();
    let archive = story.path("saved.tar").display().to_string();
    story.ctl().call(["save", "-o", &archive, "busybox:latest"]).expect();
    let (root, run) =
        (story.path("podman").display().to_string(), story.path("podman-run").display().to_string());
    let podman = |arguments: &[&str]| {
        let storage = ["--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
        let output = Command::new("podman").args(storage).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    podman(&["pull", "-q", &format!("docker-archive:{archive}")]);
    assert!(podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).contains("localhost/busybox:latest"));
    let back = story.path("back.tar").display().to_string();
    podman(&["save", "-q", "--format", "docker-archive", "-o", &back, "localhost/busybox:latest"]);
    story.ctl().call(["rmi", "-f", "busybox"]).expect();
    assert!(story.ctl().call(["load", "-i", &back]).expect().contains("busybox:latest"));
    assert_eq!(
        story.ctl().call(["run", "--rm", "--network", "none", "localhost/busybox", "echo", "again"]).expect(),
        "again"
    );
    podman(&["rmi", "-af"]);
    story.end();
}
