//! What was compared and applied is what was there: containerd's FSSuite and more. Needs root.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use containerd_api::types::Mount;
use wherry_diff::{Compression, Layer, Target, WriteOptions, apply, write};

fn bind(path: &Path) -> Mount {
    Mount {
        r#type: "bind".into(),
        source: path.to_str().unwrap().into(),
        target: String::new(),
        options: vec!["rbind".into(), "rw".into()],
    }
}

fn overlay(lower: &Path, upper: &Path, work: &Path) -> Mount {
    Mount {
        r#type: "overlay".into(),
        source: "overlay".into(),
        target: String::new(),
        options: vec![
            format!("workdir={}", work.display()),
            format!("upperdir={}", upper.display()),
            format!("lowerdir={}", lower.display()),
        ],
    }
}

fn options(compression: Compression) -> WriteOptions {
    WriteOptions { compression, epoch: None }
}

fn names(layer: &[u8]) -> Vec<String> {
    let (_, plain) = wherry_diff::decompress(layer).unwrap();
    let mut reader = archive::Reader::new(std::io::BufReader::new(plain));
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.path).unwrap());
    }
    names
}

/// All that matters of a tree: kinds, modes, owners, contents, links, and which names share an inode.
fn look(root: &Path) -> BTreeMap<String, String> {
    fn walk(
        root: &Path,
        path: &Path,
        inodes: &mut BTreeMap<u64, String>,
        found: &mut BTreeMap<String, String>,
    ) {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let stat = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let first = inodes.entry(stat.ino()).or_insert_with(|| name.clone()).clone();
            let what = if stat.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if stat.is_file() {
                format!("{:?} as {first}", fs::read(&path).unwrap())
            } else {
                String::new()
            };
            found.insert(
                name,
                format!("{:o} {}:{} {} {what}", stat.mode(), stat.uid(), stat.gid(), stat.rdev()),
            );
            if stat.is_dir() {
                walk(root, &path, inodes, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut BTreeMap::new(), &mut found);
    found
}

fn base(root: &Path) {
    for directory in ["etc", "usr/bin", "gone/deep", "replaced", "home"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (path, text) in [
        ("etc/passwd", "root"),
        ("usr/bin/a", "A"),
        ("gone/deep/x", "x"),
        ("replaced/old", "o"),
        ("file", "f"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    fs::hard_link(root.join("usr/bin/a"), root.join("usr/bin/b")).unwrap();
    fs::hard_link(root.join("etc/passwd"), root.join("etc/passwd-")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
}

fn change(root: &Path) {
    fs::write(root.join("etc/passwd"), "toor").unwrap();
    fs::remove_dir_all(root.join("gone")).unwrap();
    fs::remove_dir_all(root.join("replaced")).unwrap();
    fs::create_dir(root.join("replaced")).unwrap();
    fs::write(root.join("replaced/new"), "n").unwrap();
    fs::remove_file(root.join("file")).unwrap();
    fs::create_dir(root.join("file")).unwrap();
    fs::hard_link(root.join("usr/bin/a"), root.join("usr/bin/c")).unwrap();
    fs::set_permissions(root.join("home"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(root.join("bin")).unwrap();
    symlink("elsewhere", root.join("bin")).unwrap();
    fs::create_dir_all(root.join("new/dir")).unwrap();
    fs::write(root.join("new/dir/file"), vec![7; 300_000]).unwrap();
    std::os::unix::fs::chown(root.join("new/dir/file"), Some(12), Some(34)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(format!("{}/.", from.display())).arg(to).status().unwrap();
    assert!(done.success());
}

#[test]
fn compared_and_applied_is_the_same_tree() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        for name in ["a", "b", "c"] {
            fs::create_dir(at(name)).unwrap();
        }
        base(&at("a"));
        copy(&at("a"), &at("b"));
        copy(&at("a"), &at("c"));
        change(&at("b"));
        let mut layer = Vec::new();
        let written = write(&[bind(&at("a"))], &[bind(&at("b"))], options(compression), &mut layer).unwrap();
        let target = Target::writable(&[bind(&at("c"))]).unwrap();
        let applied = apply(Layer { stream: layer.as_slice(), verified: None }, &target).unwrap();
        assert_eq!((applied.diff_id, applied.size), (written.diff_id, written.size));
        assert_eq!(look(&at("c")), look(&at("b")));
        let names = names(&layer);
        assert!(
            names.contains(&".wh.gone".to_owned()) && !names.iter().any(|name| name.starts_with("gone/"))
        );
        assert!(!names.contains(&"usr/bin/x".to_owned()));
    }
}

#[test]
fn nothing_changed_is_an_empty_layer() {
    let top = tempfile::tempdir().unwrap();
    let (a, b) = (top.path().join("a"), top.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    base(&a);
    copy(&a, &b);
    let mut layer = Vec::new();
    write(&[bind(&a)], &[bind(&b)], options(Compression::None), &mut layer).unwrap();
    assert!(names(&layer).is_empty());
    // And against nothing, all of it, parents first.
    let mut layer = Vec::new();
    write(&[], &[bind(&a)], options(Compression::None), &mut layer).unwrap();
    let names = names(&layer);
    assert_eq!(names[..3], ["bin", "etc/", "etc/passwd"]);
}

/// Both ways to a layer: reading the upper directory, and walking both trees.
#[test]
fn an_overlays_upper_directory_goes_out_and_in() {
    // Overlay wants a file system of its own kind below.
    let top = tempfile::tempdir_in("/dev/shm").unwrap();
    let at = |name: &str| top.path().join(name);
    for name in ["lower", "upper", "work", "merged", "upper2", "work2"] {
        fs::create_dir(at(name)).unwrap();
    }
    base(&at("lower"));
    let right = overlay(&at("lower"), &at("upper"), &at("work"));
    let mounted = Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &right.options.join(",")])
        .arg(at("merged"))
        .status();
    assert!(mounted.unwrap().success());
    change(&at("merged"));
    let expected = look(&at("merged"));
    assert!(Command::new("umount").arg(at("merged")).status().unwrap().success());

    let left = Mount { options: vec!["rbind".into(), "ro".into()], ..bind(&at("lower")) };
    let mut fast = Vec::new();
    write(std::slice::from_ref(&left), std::slice::from_ref(&right), options(Compression::Gzip), &mut fast)
        .unwrap();
    let fast_names = names(&fast);
    assert!(fast_names.contains(&".wh.gone".to_owned()), "{fast_names:?}");
    assert!(fast_names.contains(&"replaced/.wh..wh..opq".to_owned()), "{fast_names:?}");
    assert!(!fast_names.contains(&"new/.wh..wh..opq".to_owned()), "{fast_names:?}");

    // The other order is no overlay over its own lower: the trees are mounted and walked.
    let mut slow = Vec::new();
    let view = Mount { source: format!("{}/.", at("lower").display()), ..left };
    write(&[view], &[right], options(Compression::Zstd), &mut slow).unwrap();

    for layer in [fast, slow] {
        let next = overlay(&at("lower"), &at("upper2"), &at("work2"));
        let target = Target::writable(std::slice::from_ref(&next)).unwrap();
        apply(Layer { stream: layer.as_slice(), verified: None }, &target).unwrap();
        let done = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &next.options.join(",")])
            .arg(at("merged"))
            .status();
        assert!(done.unwrap().success());
        let got = look(&at("merged"));
        assert!(Command::new("umount").arg(at("merged")).status().unwrap().success());
        for (path, what) in &expected {
            // Overlay without an index parts hard links when one is written.
            let bare = |text: &str| text.split(" as ").next().unwrap().to_owned();
            assert_eq!(got.get(path).map(|got| bare(got)), Some(bare(what)), "{path}");
        }
        assert_eq!(got.len(), expected.len());
        for name in ["upper2", "work2"] {
            fs::remove_dir_all(at(name)).unwrap();
            fs::create_dir(at(name)).unwrap();
        }
    }
}

#[test]
fn bytes_after_the_archive_count_and_broken_streams_fail() {
    let top = tempfile::tempdir().unwrap();
    let mut writer = archive::Writer::new(Vec::new());
    writer.append(&archive::Entry::new("d", archive::Kind::Directory, 0o755), &mut std::io::empty()).unwrap();
    let mut plain = writer.finish().unwrap();
    plain.extend_from_slice(&[0; 9000]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    let target = Target::directory(top.path()).unwrap();
    let applied = apply(Layer { stream: packed.as_slice(), verified: None }, &target).unwrap();
    assert_eq!(applied.size, plain.len() as u64);
    let known = applied.diff_id.clone();
    let again = apply(Layer { stream: plain.as_slice(), verified: Some(&known) }, &target).unwrap();
    assert_eq!(again, applied);
    let cut = &packed[..packed.len() - 6];
    assert!(apply(Layer { stream: cut, verified: None }, &target).is_err());
}
