//! Images: from registries, archives and layouts; named, listed, removed; their layers shared.

use integration::Story;
use integration::image::{Codec, Image, Layer};
use integration::peer::{Registry, require};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn pull_takes_every_codec() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let mut image = Image::busybox().unwrap();
    image.layers.push(Layer::files(&[("greeting", b"ahoy")]).unwrap());
    for (tag, codec) in [("gzip", Codec::Gzip), ("zstd", Codec::Zstd), ("plain", Codec::Plain)] {
        let layout = story.path(tag);
        image.write_oci_layout(&layout, tag, codec).unwrap();
        registry.put(&layout, tag, &format!("boat:{tag}")).unwrap();
        let name = format!("{}/boat:{tag}", registry.host);
        let pulled = story.ctl().call(["pull", &name]).expect();
        assert!(
            pulled.contains(&format!("{tag}: Pulling from boat")) && pulled.contains("Digest: sha256:"),
            "{pulled}"
        );
        assert!(pulled.contains(&format!("Status: Downloaded newer image for {name}")), "{pulled}");
        assert!(story.ctl().call(["pull", &name]).expect().contains("Image is up to date"));
        assert_eq!(story.ctl().call(["run", "--rm", &name, "cat", "/greeting"]).expect(), "ahoy");
        assert_eq!(story.ctl().call(["image", "inspect", "-f", "{{.Id}}", &name]).expect(), image.id());
    }
    let missing = format!("{}/none:here", registry.host);
    for client in story.clients() {
        client.call(["pull", &missing]).run().unwrap().expect_code(1).expect_complaint("not found");
        let name = format!("{}/boat:zstd", registry.host);
        client.call(["rmi", "-f", &name]).expect();
        assert_eq!(
            client.call(["run", "--rm", &name, "cat", "/greeting"]).expect(),
            "ahoy",
            "{} pulls what it runs",
            client.name
        );
    }
    drop(registry);
    story.end();
}

#[test]
fn a_digest_that_lies_is_refused() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let mut image = Image::busybox().unwrap();
    image.layers.push(Layer::files(&[("unique-to-this-test", b"x")]).unwrap());
    image.write_oci_layout(&story.path("layout"), "x", Codec::Gzip).unwrap();
    registry.put(&story.path("layout"), "x", "boat:x").unwrap();
    // The registry's file of the smallest layer gets another content of the same size.
    let listed = Command::new("find")
        .arg(story.path("registry"))
        .args(["-name", "data", "-size", "-2", "-path", "*/blobs/*"])
        .output()
        .unwrap();
    let mut broken = 0;
    for path in String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from) {
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            broken += 1;
        }
    }
    assert!(broken > 0);
    let name = format!("{}/boat:x", registry.host);
    story.ctl().call(["pull", &name]).run().unwrap().expect_code(1);
    story.ctl().call(["image", "inspect", &name]).run().unwrap().expect_code(1);
    drop(registry);
    story.end();
}

#[test]
fn archives_layouts_and_trees_are_taken_in() {
    let story = Story::new();
    let image = Image::busybox().unwrap();
    for client in story.clients() {
        let loaded = client.call(["load"]).input(image.docker_archive("crew:one").unwrap()).expect();
        assert_eq!(loaded, "Loaded image: crew:one");
        assert_eq!(client.call(["images", "-q", "--no-trunc", "crew:one"]).expect(), image.id());
        let layout = story.path(&client.own("layout"));
        image.write_oci_layout(&layout, "crew:two", Codec::Gzip).unwrap();
        let tar = Command::new("tar").arg("-C").arg(&layout).args(["-c", "."]).output().unwrap().stdout;
        assert!(client.call(["load"]).input(tar).expect().contains("crew:two"));
        assert_eq!(client.call(["run", "--rm", "crew:two", "echo", "aboard"]).expect(), "aboard");
        let imported = client
            .call(["import", "-c", "CMD [\"echo\", \"imported\"]", "-", "crew:three"])
            .input(Layer::busybox().unwrap().0)
            .expect();
        assert!(imported.starts_with("sha256:"), "{imported}");
        assert_eq!(client.call(["run", "--rm", "crew:three"]).expect(), "imported");
        client.call(["load"]).input("no archive at all").run().unwrap().expect_code(1);
        let removed = client.call(["rmi", "crew:one", "crew:two", "crew:three"]).expect();
        assert!(removed.contains("Untagged: crew:one"), "{removed}");
    }
    story.end();
}

#[test]
fn names_come_and_go() {
    let story = Story::new();
    for client in story.clients() {
        client.call(["tag", "busybox", "harbour/boat:v1"]).expect();
        let rows = client.call(["images", "--format", "{{.Repository}}:{{.Tag}}"]).expect();
        assert!(
            rows.lines().any(|row| row == "harbour/boat:v1")
                && rows.lines().any(|row| row == "busybox:latest"),
            "{rows}"
        );
        let inspected: Value =
            serde_json::from_str(&client.call(["image", "inspect", "harbour/boat:v1"]).expect()).unwrap();
        assert_eq!(inspected[0]["Os"], "linux");
        assert_eq!(inspected[0]["RootFS"]["Layers"].as_array().unwrap().len(), 1);
        assert_eq!(client.call(["rmi", "harbour/boat:v1"]).expect(), "Untagged: harbour/boat:v1");
        let name = client.own("user");
        client.call(["create", "--name", &name, "busybox"]).expect();
        client.call(["rmi", "busybox"]).run().unwrap().expect_code(1).expect_complaint("conflict");
        client.call(["rm", &name]).expect();
        client.call(["rmi", "no-such-image"]).run().unwrap().expect_code(1).expect_complaint("No such image");
    }
    story.end();
}

#[test]
fn what_is_saved_can_be_loaded() {
    let story = Story::new();
    for client in story.clients() {
        let archive = story.path(&client.own("saved"));
        client.call(["save", "-o", archive.to_str().unwrap(), "busybox:latest"]).expect();
        let id = client.call(["images", "-q", "--no-trunc", "busybox"]).expect();
        client.call(["rmi", "busybox"]).expect();
        assert_eq!(
            client.call(["load", "-i", archive.to_str().unwrap()]).expect(),
            "Loaded image: busybox:latest"
        );
        assert_eq!(client.call(["images", "-q", "--no-trunc", "busybox"]).expect(), id);
        assert_eq!(client.call(["run", "--rm", "busybox", "echo", "back"]).expect(), "back");
    }
    story.end();
}

#[test]
fn what_is_pushed_can_be_pulled() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    for client in story.clients() {
        let name = format!("{}/{}:v1", registry.host, client.own("pushed").to_lowercase());
        client.call(["tag", "busybox", &name]).expect();
        assert!(client.call(["push", &name]).expect().contains("digest: sha256:"));
        client.call(["rmi", &name]).expect();
        client.call(["pull", &name]).expect();
        assert_eq!(client.call(["run", "--rm", &name, "echo", "round"]).expect(), "round");
    }
    drop(registry);
    story.end();
}

#[test]
fn nothing_of_an_image_stays_when_it_goes() {
    let story = Story::new();
    let client = story.ctl();
    client.call(["run", "--rm", "busybox", "true"]).expect();
    client.call(["rmi", "busybox"]).expect();
    let blobs = story.stack.dir.join("data/supervisord/io.containerd.content.v1.content/blobs/sha256");
    integration::until("the blobs' removal", || {
        std::fs::read_dir(&blobs).map_or(Some(()), |mut entries| entries.next().is_none().then_some(()))
    });
    let snapshots = story.stack.dir.join("data/supervisord/io.containerd.snapshotter.v1.overlayfs/snapshots");
    integration::until("the snapshots' removal", || {
        std::fs::read_dir(&snapshots).map_or(Some(()), |mut entries| entries.next().is_none().then_some(()))
    });
    story.end();
}

#[test]
fn a_mirror_serves_the_hubs_names() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
    let registry = Registry::start(scratch.path()).unwrap();
    let layout = scratch.path().join("layout");
    let mut image = Image::busybox().unwrap();
    image.layers.push(Layer::files(&[("mirrored", b"yes")]).unwrap());
    image.write_oci_layout(&layout, "latest", Codec::Zstd).unwrap();
    registry.put(&layout, "latest", "library/dinghy:latest").unwrap();
    let story = Story::with(&[&format!("--registry-mirror=http://{}", registry.host)]);
    for client in story.clients() {
        assert!(
            client.call(["pull", "dinghy"]).expect().contains("Downloaded newer image for dinghy:latest")
        );
        assert_eq!(client.call(["run", "--rm", "dinghy", "cat", "/mirrored"]).expect(), "yes");
        client.call(["rmi", "dinghy"]).expect();
    }
    drop(registry);
    story.end();
}

#[test]
fn an_image_that_loses_its_name_stays_without_one() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let put = |content: &[u8]| {
        let mut image = Image::busybox().unwrap();
        image.layers.push(Layer::files(&[("content", content)]).unwrap());
        let layout = story.path(&String::from_utf8_lossy(content));
        image.write_oci_layout(&layout, "latest", Codec::Gzip).unwrap();
        registry.put(&layout, "latest", "boat:latest").unwrap();
        image
    };
    for client in story.clients() {
        let dangling = || client.call(["images", "-q", "--no-trunc", "--filter", "dangling=true"]).expect();
        let (first, name) = (put(b"one"), format!("{}/boat:latest", registry.host));
        client.call(["pull", &name]).expect();
        let user = client.own("user");
        client.call(["run", "-d", "--name", &user, &name, "sleep", "100"]).expect();
        let second = put(b"two");
        client.call(["pull", &name]).expect();
        assert_eq!(dangling(), first.id());
        assert_eq!(client.call(["run", "--rm", &first.id(), "cat", "/content"]).expect(), "one");
        // By tag, by load, by commit.
        client.call(["tag", "busybox", &name]).expect();
        assert!(dangling().contains(&second.id()));
        client.call(["load"]).input(second.docker_archive(&name).unwrap()).expect();
        assert_eq!(dangling(), first.id(), "busybox has a name of its own, and the second one again");
        client.call(["commit", &user, &name]).expect();
        assert!(dangling().contains(&second.id()));
        // Made in this century is not made before it.
        let pruned = client.call(["image", "prune", "-f", "--filter", "until=240000h"]).expect();
        assert!(!pruned.contains("sha256"), "{pruned}");
        client
            .call(["image", "prune", "-f", "--filter", "until=x"])
            .run()
            .unwrap()
            .expect_code(1)
            .expect_complaint("until=x");
        let pruned = client.call(["image", "prune", "-f"]).expect();
        assert!(pruned.contains(&second.id()) && !pruned.contains(&first.id()), "{pruned}");
        client.call(["rm", "-f", &user]).expect();
        client.call(["image", "prune", "-f"]).expect();
        client.call(["rmi", "-f", &name]).expect();
        assert_eq!(dangling(), "");
    }
    drop(registry);
    story.end();
}

#[test]
fn what_a_running_container_stands_on_loses_its_name_alone() {
    let story = Story::new();
    for client in story.clients() {
        client
            .call(["load"])
            .input(Image::busybox().unwrap().docker_archive("busybox:latest").unwrap())
            .expect();
        let user = client.own("user");
        client.call(["run", "-d", "--name", &user, "busybox", "sleep", "100"]).expect();
        let id = client.call(["inspect", "-f", "{{.Image}}", &user]).expect();
        client.call(["rmi", "busybox"]).run().unwrap().expect_code(1).expect_complaint("must force");
        assert_eq!(client.call(["rmi", "-f", "busybox"]).expect(), "Untagged: busybox:latest");
        assert_eq!(client.call(["images", "-q", "--no-trunc"]).expect(), id);
        client
            .call(["rmi", "-f", &id])
            .run()
            .unwrap()
            .expect_code(1)
            .expect_complaint("image is being used by running container");
        client.call(["tag", &id, "busybox"]).expect();
        client.call(["rm", "-f", &user]).expect();
        // With its name goes what kept it without one.
        let removed = client.call(["rmi", "busybox"]).expect();
        assert!(removed.contains(&format!("Deleted: {id}")), "{removed}");
        assert_eq!(client.call(["images", "-q"]).expect(), "");
    }
    story.end();
}

#[test]
fn a_layer_that_others_stand_on_is_not_told_as_deleted() {
    let story = Story::new();
    let mut image = Image::busybox().unwrap();
    image.layers.push(Layer::files(&[("more", b"x")]).unwrap());
    for client in story.clients() {
        client.call(["load"]).input(image.docker_archive("more:1").unwrap()).expect();
        let removed = client.call(["rmi", "more:1"]).expect();
        let rows: Vec<&str> = removed.lines().filter(|row| row.starts_with("Deleted:")).collect();
        assert_eq!(rows.len(), 2, "the image and its own layer: {removed}");
        assert_eq!(rows[0], format!("Deleted: {}", image.id()));
        client.call(["run", "--rm", "busybox", "true"]).expect();
    }
    story.end();
}

#[test]
fn what_is_not_there_is_a_status() {
    if !require("docker-registry") || !require("skopeo") {
        return;
    }
    let story = Story::new();
    let registry = Registry::start(&story.path("")).unwrap();
    let missing = format!("{}/none:here", registry.host);
    for client in story.clients() {
        let pulled = client.call(["pull", &missing]).run().unwrap().expect_code(1);
        let pulled = pulled.expect_complaint("Error response from daemon: manifest for");
        assert!(!pulled.stdout.contains("Pulling from"), "{}", pulled.stdout);
        let imported = client.call(["import", "-", "UPPER"]).input("x").run().unwrap();
        imported.expect_code(1).expect_complaint("invalid reference format");
    }
    drop(registry);
    story.end();
}
