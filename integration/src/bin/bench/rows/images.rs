//! An image of several layers: loaded, saved, pushed, pulled.

use crate::side::{Pair, Side};
use crate::table::{Table, mib, timed};
use integration::image::{Codec, Image, Layer};
use integration::peer::Registry;
use std::path::{Path, PathBuf};

const LAYERS: usize = 4;
const TURNS: usize = 2;
const NAMES: &[&str] = &["load", "save", "push", "pull", "pull again"];

pub fn measure(table: &mut Table, pair: &Pair) {
    let names: Vec<String> = NAMES.iter().map(|name| format!("image of {} MiB: {name}", 2 * mib())).collect();
    if !names.iter().any(|name| table.wants(name)) {
        return;
    }
    let image = image(2 * mib());
    let archive = pair.scratch.join("image.tar");
    std::fs::write(&archive, image.docker_archive("big:latest").expect("an archive")).expect("a file");
    let archive = archive.display().to_string();
    table.turns(&names[0], TURNS, pair, |side| {
        let _ = side.call(&["rmi", "big"]).run();
        timed(side.call(&["load", "-i", &archive]))
    });
    pair.both(&["load", "-i", &archive]);
    let out = pair.scratch.join("out.tar").display().to_string();
    table.calls(&names[1], TURNS, pair, &[&["save", "-o", &out, "big"]]);
    for path in [&archive, &out] {
        let _ = std::fs::remove_file(path);
    }
    if names[2..].iter().any(|name| table.wants(name)) {
        distribution(table, pair, &image, &names[2..]);
    }
    for side in pair.sides() {
        let _ = side.call(&["rmi", "-f", "big"]).run();
    }
}

/// A registry a side, where the side's loopback is.
fn distribution(table: &Table, pair: &Pair, image: &Image, names: &[String]) {
    let layout = pair.scratch.join("layout");
    image.write_oci_layout(&layout, "big", Codec::Gzip).expect("a layout");
    let dirs = ["registry-ours", "registry-theirs"].map(|name| pair.scratch.join(name));
    let start = |side: &Side, dir: &PathBuf| {
        std::fs::create_dir_all(dir).expect("a directory");
        Registry::start_by(dir, |program, words| side.in_network(Path::new(program), words).command())
            .expect("a registry")
    };
    let [ours, theirs] = pair.sides();
    let registries = [start(ours, &dirs[0]), start(theirs, &dirs[1])];
    for (side, registry) in pair.sides().into_iter().zip(&registries) {
        let source = format!("oci:{}:big", layout.display());
        let to = format!("docker://{}/pulled", registry.host);
        let copy = ["copy", "-q", "--insecure-policy", "--dest-tls-verify=false", &source, &to];
        side.in_network(Path::new("skopeo"), &copy).expect();
        side.call(&["tag", "big", &format!("{}/pushed", registry.host)]).expect();
    }
    let host = |side: &Side| &registries[usize::from(!std::ptr::eq(side, &pair.ours))].host;
    table.turns(&names[0], 1, pair, |side| timed(side.call(&["push", &format!("{}/pushed", host(side))])));
    for side in pair.sides() {
        side.call(&["rmi", &format!("{}/pushed", host(side)), "big"]).expect();
    }
    table.turns(&names[1], TURNS, pair, |side| {
        let name = format!("{}/pulled", host(side));
        let _ = side.call(&["rmi", &name]).run();
        timed(side.call(&["pull", &name]))
    });
    table
        .turns(&names[2], TURNS, pair, |side| timed(side.call(&["pull", &format!("{}/pulled", host(side))])));
    for side in pair.sides() {
        let _ = side.call(&["rmi", &format!("{}/pulled", host(side))]).run();
    }
}

/// Busybox and `mib` MiB in layers, of bytes of which a quarter can be squeezed out.
fn image(mib: usize) -> Image {
    let mut image = Image::busybox().expect("busybox");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for layer in 0..LAYERS {
        let mut bytes = vec![0; (mib << 20) / LAYERS];
        for block in bytes.chunks_mut(4096) {
            let random = block.len() * 3 / 4;
            for word in block[..random].chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
            }
        }
        image
            .layers
            .push(Layer::files(&[(format!("bytes{layer}").as_str(), bytes.as_slice())]).expect("a layer"));
    }
    image
}
