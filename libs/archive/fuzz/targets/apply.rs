//! Any bytes applied as a layer: nothing outside of the root is touched. Needs root for devices and owners.
#![no_main]

use std::fs;
use std::os::fd::AsFd;

use archive::{Lowers, Options, Whiteouts, apply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (bool, &[u8])| {
    let (overlay, bytes) = data;
    let cage = tempfile::tempdir().expect("a directory");
    let root = cage.path().join("root");
    fs::create_dir(&root).expect("a root");
    fs::write(cage.path().join("outside"), "untouched").expect("a file");
    let whiteouts = if overlay { Whiteouts::Overlay } else { Whiteouts::Remove };
    let lowers = if overlay { Lowers::Awaited } else { Lowers::NONE };
    let directory = fs::File::open(&root).expect("the root");
    let _ = apply(directory.as_fd(), bytes, Options { whiteouts, lowers });
    assert_eq!(fs::read_to_string(cage.path().join("outside")).expect("the file"), "untouched");
    assert_eq!(fs::read_dir(cage.path()).expect("the cage").count(), 2);
});
