//! Any bytes applied as a layer by all its threads: an end comes, and what is outside of the root stays as it was. Needs
//! root for devices and owners.
#![no_main]

use std::fs;

use diff::{Layer, Target, apply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| {
    let cage = tempfile::tempdir().expect("a directory");
    let root = cage.path().join("root");
    fs::create_dir(&root).expect("a root");
    fs::write(cage.path().join("outside"), "untouched").expect("a file");
    let target = Target::directory(&root).expect("the root");
    let _ = apply(Layer { stream, verified: None }, &target);
    assert_eq!(fs::read_to_string(cage.path().join("outside")).expect("the file"), "untouched");
    assert_eq!(fs::read_dir(cage.path()).expect("the cage").count(), 2);
});
