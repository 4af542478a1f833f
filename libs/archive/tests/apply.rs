//! Archives stay in their root, and mean what containerd's suite says they mean. Needs root.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use wherry_archive::{
    self as archive, Applied, Entry, Error, Kind, Lowers, Options, Reader, Result, Time, Whiteouts, Writer,
    apply,
};

fn file(path: &str, text: &str) -> (Entry, Vec<u8>) {
    let mut entry = Entry::new(path, Kind::File, 0o644);
    entry.size = text.len() as u64;
    (entry, text.as_bytes().to_vec())
}

fn dir(path: &str, mode: u32) -> (Entry, Vec<u8>) {
    (Entry::new(path, Kind::Directory, mode), Vec::new())
}

fn link(kind: Kind, target: &str, path: &str) -> (Entry, Vec<u8>) {
    let mut entry = Entry::new(path, kind, 0o777);
    entry.link = target.into();
    (entry, Vec::new())
}

fn soft(target: &str, path: &str) -> (Entry, Vec<u8>) {
    link(Kind::Symlink, target, path)
}

fn hard(target: &str, path: &str) -> (Entry, Vec<u8>) {
    link(Kind::HardLink, target, path)
}

fn tar(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, body) in entries {
        writer.append(entry, &mut body.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn open(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn bring(root: &Path, bytes: &[u8], whiteouts: Whiteouts) -> Result<Applied> {
    apply(open(root).as_fd(), bytes, Options { whiteouts, lowers: Lowers::NONE })
}

/// A root two levels below a directory whose every byte must stay as it is.
struct Cage {
    top: tempfile::TempDir,
}

impl Cage {
    fn new() -> Cage {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/root")).unwrap();
        fs::create_dir_all(top.path().join("etc")).unwrap();
        fs::write(top.path().join("etc/passwd"), "outside").unwrap();
        fs::write(top.path().join("canary"), "outside").unwrap();
        fs::set_permissions(top.path().join("canary"), fs::Permissions::from_mode(0o400)).unwrap();
        Cage { top }
    }

    fn root(&self) -> std::path::PathBuf {
        self.top.path().join("a/root")
    }

    fn apply(&self, entries: &[(Entry, Vec<u8>)]) -> Result<Applied> {
        bring(&self.root(), &tar(entries), Whiteouts::Remove)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn assert_untouched(&self) {
        let names = |path: &str| {
            let mut names: Vec<_> = fs::read_dir(self.top.path().join(path))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(""), ["a", "canary", "etc"]);
        assert_eq!(names("a"), ["root"]);
        assert_eq!(names("etc"), ["passwd"]);
        assert_eq!(fs::read_to_string(self.top.path().join("etc/passwd")).unwrap(), "outside");
        assert_eq!(fs::read_to_string(self.top.path().join("canary")).unwrap(), "outside");
        let canary = fs::metadata(self.top.path().join("canary")).unwrap();
        assert_eq!((canary.mode() & 0o7777, canary.nlink(), canary.uid()), (0o400, 1, 0));
    }
}

fn same_inode(cage: &Cage, a: &str, b: &str) -> bool {
    let stat = |path: &str| fs::symlink_metadata(cage.root().join(path)).unwrap();
    stat(a).ino() == stat(b).ino()
}

#[test]
fn symlinks_in_parents_stay_inside() {
    for entries in [
        vec![dir("etc", 0o755), soft("/etc", "localetc"), file("/localetc/unbroken", "x")],
        vec![
            dir("etc", 0o755),
            dir("dummy", 0o755),
            soft("/dummy/../etc", "localetc"),
            file("localetc/unbroken", "x"),
        ],
        vec![dir("etc", 0o755), soft("../../../../etc", "localetc"), file("localetc/unbroken", "x")],
        vec![
            dir("etc", 0o755),
            dir("dummy", 0o755),
            soft("/etc", "dummy/etc"),
            soft("./dummy/etc", "localetc"),
            file("localetc/unbroken", "x"),
        ],
    ] {
        let cage = Cage::new();
        cage.apply(&entries).unwrap();
        assert_eq!(cage.text("etc/unbroken"), "x");
        cage.assert_untouched();
    }
}

#[test]
fn hard_links_are_made_inside() {
    for (target, way) in [
        ("/breakouts/d1/passwd", "../../etc"),
        ("/breakouts/d1/passwd", "../downandout/../../etc"),
        ("../../../etc/passwd", "x"),
        ("/etc/passwd", "x"),
    ] {
        let cage = Cage::new();
        cage.apply(&[
            dir("etc", 0o770),
            file("etc/passwd", "inside"),
            dir("breakouts", 0o755),
            dir("downandout", 0o755),
            soft(way, "breakouts/d1"),
            hard(target, "breakouts/mine"),
        ])
        .unwrap();
        assert!(same_inode(&cage, "breakouts/mine", "etc/passwd"), "{target} by {way}");
        cage.assert_untouched();
    }
}

#[test]
fn a_hard_link_to_a_symlink_links_the_link_and_changes_no_mode() {
    let cage = Cage::new();
    let outside = cage.top.path().join("canary");
    let outside = outside.to_str().unwrap();
    let mut sketchy = hard("points-out", "sketchy");
    sketchy.0.mode = 0o777;
    cage.apply(&[soft(outside, "points-out"), sketchy]).unwrap();
    assert!(same_inode(&cage, "sketchy", "points-out"));
    cage.assert_untouched();
}

#[test]
fn names_that_are_the_root_are_passed_over() {
    let cage = Cage::new();
    cage.apply(&[
        dir("./", 0o700),
        soft("/etc/", ".."),
        soft("/etc", ""),
        dir("/", 0o1777),
        file("../../x", "in"),
    ])
    .unwrap();
    assert_eq!(cage.text("x"), "in");
    cage.assert_untouched();
}

#[test]
fn a_symlink_replaces_a_directory_and_back() {
    let cage = Cage::new();
    let name = "foo/tmp/breakout";
    cage.apply(&[
        dir("foo", 0o755),
        dir("foo/tmp", 0o755),
        file(name, "1"),
        soft("/", "foo"),
        file(name, "2"),
        dir("foo", 0o755),
        dir("foo/tmp", 0o755),
        file(name, "3"),
    ])
    .unwrap();
    assert_eq!((cage.text("tmp/breakout"), cage.text(name)), ("2".into(), "3".into()));
    cage.assert_untouched();
}

#[test]
fn existing_trees_are_changed_as_told() {
    let cage = Cage::new();
    let root = cage.root();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "inside").unwrap();
    symlink("/etc", root.join("localetc")).unwrap();
    fs::hard_link(root.join("etc/passwd"), root.join("etc/other")).unwrap();
    cage.apply(&[
        dir("localetc", 0o755),
        hard("/etc/passwd", "localetc/mine"),
        file("etc/other", "different"),
    ])
    .unwrap();
    assert!(!fs::symlink_metadata(root.join("localetc")).unwrap().is_symlink());
    assert!(same_inode(&cage, "localetc/mine", "etc/passwd"));
    assert_eq!((cage.text("etc/passwd"), cage.text("etc/other")), ("inside".into(), "different".into()));
}

#[test]
fn whiteouts_remove_what_they_name() {
    let fresh = || {
        let cage = Cage::new();
        let root = cage.root();
        fs::create_dir_all(root.join("etc/sub")).unwrap();
        fs::write(root.join("etc/passwd"), "all users").unwrap();
        fs::write(root.join("etc/gone"), "ahh").unwrap();
        symlink("/etc", root.join("localetc")).unwrap();
        symlink("/dne", root.join("dead")).unwrap();
        cage
    };
    let cage = fresh();
    cage.apply(&[file(".wh.localetc", "")]).unwrap();
    assert!(fs::symlink_metadata(cage.root().join("localetc")).is_err());
    assert_eq!(cage.text("etc/passwd"), "all users");

    let cage = fresh();
    cage.apply(&[file("localetc/.wh.gone", ""), file("dead/.wh.etc", ""), file(".wh.etc/somefile", "x")])
        .unwrap();
    assert!(!cage.root().join("etc/gone").exists());
    assert_eq!((cage.text("etc/passwd"), cage.text(".wh.etc/somefile")), ("all users".into(), "x".into()));

    let cage = fresh();
    cage.apply(&[file("dne/../.wh.etc", "")]).unwrap();
    assert!(!cage.root().join("etc").exists());

    for bad in [".wh...", "etc/.wh...", ".wh..", "etc/.wh..", ".wh."] {
        let cage = fresh();
        assert!(matches!(cage.apply(&[file(bad, "")]), Err(Error::Invalid(_))), "{bad}");
        assert_eq!(cage.text("etc/passwd"), "all users");
        cage.assert_untouched();
    }
}

#[test]
fn opaque_hides_what_was_there_and_keeps_what_comes() {
    for entries in [
        [dir("d", 0o755), file("d/new", "n"), file("d/.wh..wh..opq", "")],
        [dir("d", 0o755), file("d/.wh..wh..opq", ""), file("d/new", "n")],
    ] {
        let cage = Cage::new();
        fs::create_dir_all(cage.root().join("d/old/deep")).unwrap();
        cage.apply(&entries).unwrap();
        let names: Vec<_> =
            fs::read_dir(cage.root().join("d")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["new"]);
    }
}

#[test]
fn overlay_whiteouts_are_devices_and_attributes() {
    let cage = Cage::new();
    let entries = [
        file("d/.wh.gone", ""),
        dir("o", 0o755),
        file("o/.wh..wh..opq", ""),
        file(".wh.replaced", ""),
        dir("replaced", 0o755),
        file("kept", "k"),
        file(".wh.kept", ""),
    ];
    bring(&cage.root(), &tar(&entries), Whiteouts::Overlay).unwrap();
    let gone = fs::symlink_metadata(cage.root().join("d/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let opaque = |path: &str| {
        let mut value = [0u8; 8];
        let path = cage.root().join(path);
        rustix::fs::lgetxattr(&path, "trusted.overlay.opaque", value.as_mut_slice())
            .map(|n| value[..n].to_vec())
    };
    assert_eq!(opaque("o").unwrap(), b"y");
    // A directory in place of a whiteout must not show the lower one's files.
    assert_eq!(opaque("replaced").unwrap(), b"y");
    assert!(opaque("d").is_err());
    assert_eq!(cage.text("kept"), "k");
}

#[test]
fn everything_about_a_file_is_kept() {
    let cage = Cage::new();
    let long = format!("{}/{}", "n".repeat(200), "ü".repeat(100));
    let time = Time { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
    let mut entries =
        vec![dir("d", 0o1777), file("d/suid", "x"), file(&long, "long"), soft("nowhere", "d/link")];
    let mut device = Entry::new("d/null", Kind::CharDevice, 0o666);
    device.device = (1, 3);
    let mut fifo = Entry::new("d/fifo", Kind::Fifo, 0o622);
    fifo.uid = 7;
    entries.extend([(device, vec![]), (fifo, vec![])]);
    for (entry, _) in &mut entries {
        entry.modified = time;
    }
    entries[1].0.mode = 0o6755;
    (entries[1].0.uid, entries[1].0.gid) = (1000, 3_000_000);
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    entries[1].0.xattrs = vec![
        (b"security.capability".to_vec(), capability.to_vec()),
        (b"trusted.overlay.redirect".to_vec(), b"/x".to_vec()),
    ];
    (entries[3].0.uid, entries[3].0.gid) = (5, 6);
    cage.apply(&entries).unwrap();

    let stat = |path: &str| fs::symlink_metadata(cage.root().join(path)).unwrap();
    let suid = stat("d/suid");
    assert_eq!((suid.mode() & 0o7777, suid.uid(), suid.gid()), (0o6755, 1000, 3_000_000));
    for path in ["d", "d/suid", "d/link", "d/null", "d/fifo", &long] {
        assert_eq!((stat(path).mtime(), stat(path).mtime_nsec()), (1_600_000_000, 123_456_789), "{path}");
    }
    assert_eq!(stat("d").mode() & 0o7777, 0o1777);
    assert_eq!((stat("d/link").uid(), stat("d/link").gid()), (5, 6));
    assert_eq!((stat("d/null").rdev(), stat("d/null").mode() & 0o777), (0x103, 0o666));
    assert!(
        stat("d/fifo").file_type().is_fifo()
            && stat("d/fifo").uid() == 7
            && stat("d/fifo").mode() & 0o777 == 0o622
    );
    let mut value = [0u8; 64];
    let path = cage.root().join("d/suid");
    let count = rustix::fs::lgetxattr(&path, "security.capability", value.as_mut_slice()).unwrap();
    assert_eq!(value[..count], capability);
    assert!(rustix::fs::lgetxattr(&path, "trusted.overlay.redirect", value.as_mut_slice()).is_err());
    assert_eq!(cage.text(&long), "long");

    // And back: packing what was applied gives the same entries.
    let mut writer = Writer::new(Vec::new());
    archive::pack(open(&cage.root()).as_fd(), &mut writer).unwrap();
    let bytes = writer.finish().unwrap();
    let other = Cage::new();
    bring(&other.root(), &bytes, Whiteouts::Remove).unwrap();
    let again = fs::symlink_metadata(other.root().join("d/suid")).unwrap();
    assert_eq!((again.mode(), again.uid(), again.mtime_nsec()), (suid.mode(), 1000, 123_456_789));
}

#[test]
fn devices_out_of_range_are_refused() {
    for device in [(1 << 12, 0), (0, 1 << 20)] {
        let mut entry = Entry::new("d", Kind::CharDevice, 0o600);
        entry.device = device;
        assert!(matches!(Cage::new().apply(&[(entry, vec![])]), Err(Error::Invalid(_))));
    }
}

#[test]
fn gnu_tars_own_sparse_files_have_holes() {
    for format in
        ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix --sparse-version=1.0"]
    {
        let source = tempfile::tempdir().unwrap();
        let path = source.path().join("sparse");
        let sparse = fs::File::create(&path).unwrap();
        sparse.set_len(8 << 20).unwrap();
        for at in [1 << 20, 5 << 20] {
            std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", at).unwrap();
        }
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("tar --format={format} -S -cf - sparse"))
            .current_dir(source.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let cage = Cage::new();
        bring(&cage.root(), &output.stdout, Whiteouts::Remove).unwrap();
        let got = cage.root().join("sparse");
        assert_eq!(fs::read(&got).unwrap(), fs::read(&path).unwrap(), "{format}");
        assert!(fs::metadata(&got).unwrap().blocks() < 2048, "{format}: no holes");
    }
}

#[test]
fn a_tree_that_changes_meanwhile_leads_nowhere_else() {
    let cage = Cage::new();
    let root = cage.root();
    fs::create_dir(root.join("real")).unwrap();
    let out = cage.top.path().join("etc");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Swaps a directory for a symlink that leads out, as fast as it can.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::rename(root.join("swap"), root.join("away"));
                let _ = symlink(&out, root.join("swap"));
                let _ = fs::remove_file(root.join("swap"));
                let _ = fs::rename(root.join("away"), root.join("swap"));
            }
        });
        let entries: Vec<_> = (0..200)
            .flat_map(|n| [dir("swap", 0o755), file(&format!("swap/f{n}"), "x"), file("swap/.wh.passwd", "")])
            .collect();
        for _ in 0..5 {
            // It may fail; it may not leave.
            let _ = cage.apply(&entries);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    cage.assert_untouched();
}

#[test]
fn link_targets_in_lower_layers_are_copied_up() {
    let lower = tempfile::tempdir().unwrap();
    fs::create_dir(lower.path().join("d")).unwrap();
    fs::set_permissions(lower.path().join("d"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(lower.path().join("d/a"), "lower").unwrap();
    let cage = Cage::new();
    let options = Options { whiteouts: Whiteouts::Overlay, lowers: Lowers::Known(vec![open(lower.path())]) };
    apply(open(&cage.root()).as_fd(), tar(&[hard("d/a", "d/b")]).as_slice(), options).unwrap();
    assert!(same_inode(&cage, "d/a", "d/b"));
    assert_eq!(cage.text("d/b"), "lower");
    assert_eq!(fs::metadata(cage.root().join("d")).unwrap().mode() & 0o777, 0o750);
}

#[test]
fn layers_that_need_those_below_are_told_apart() {
    let bring = |entries: &[(Entry, Vec<u8>)]| {
        let root = tempfile::tempdir().unwrap();
        let options = Options { whiteouts: Whiteouts::Overlay, lowers: Lowers::Awaited };
        apply(open(root.path()).as_fd(), tar(entries).as_slice(), options)
    };
    bring(&[
        dir("a", 0o755),
        file("a/b", "x"),
        hard("a/b", "a/c"),
        file("top", ""),
        dir("d", 0o700),
        file("d/.wh.gone", ""),
    ])
    .unwrap();
    bring(&[dir("a", 0o755), file("a/.wh..wh..opq", ""), file(".wh.x", "")]).unwrap();
    for entries in [
        vec![file("dir/of/another/layer", "x")],
        vec![hard("of-another-layer", "here")],
        vec![file("dir/.wh.x", "")],
        vec![file("dir/.wh..wh..opq", "")],
    ] {
        assert!(matches!(bring(&entries), Err(Error::NeedsLowers(_))), "{entries:?}");
    }
}

fn paths() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
        "etc",
        "passwd",
    ]);
    (prop::bool::ANY, prop::collection::vec(part, 1..5))
        .prop_map(|(absolute, parts)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

fn entries() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let kind = prop::sample::select(vec![
        Kind::File,
        Kind::File,
        Kind::Directory,
        Kind::Directory,
        Kind::Symlink,
        Kind::Symlink,
        Kind::HardLink,
        Kind::Fifo,
        Kind::CharDevice,
    ]);
    let targets = prop_oneof![paths(), Just("../../canary".to_owned()), Just("../../etc".to_owned())];
    (kind, paths(), targets, 0u32..0o10000).prop_map(|(kind, path, target, mode)| {
        let mut entry = Entry::new(path, kind, mode);
        let mut body = Vec::new();
        match kind {
            Kind::File => {
                body = b"inside".to_vec();
                entry.size = 6;
            }
            Kind::Symlink | Kind::HardLink => entry.link = target.into_bytes(),
            _ => {}
        }
        (entry, body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_leaves(list in prop::collection::vec(entries(), 1..40), overlay in prop::bool::ANY) {
        let cage = Cage::new();
        let whiteouts = if overlay { Whiteouts::Overlay } else { Whiteouts::Remove };
        // Refusing is fine, leaving is not.
        let _ = bring(&cage.root(), &tar(&list), whiteouts);
        cage.assert_untouched();
    }

    #[test]
    fn arbitrary_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), header in prop::bool::ANY) {
        if header {
            // Past the checksum.
            let mut good = tar(&[file("a", "b")]);
            let tail = bytes.split_off(bytes.len() / 2);
            good.truncate(512);
            good.extend(tail);
            bytes = good;
        }
        let mut reader = Reader::new(bytes.as_slice());
        while let Ok(Some(_)) = reader.next_entry() {}
    }

    #[test]
    fn what_is_written_is_read(
        path in "[a-zü/]{1,300}", link in "[a-z]{0,150}", seconds in -5_000_000_000i64..50_000_000_000,
        nanoseconds in 0u32..1_000_000_000, uid in 0u32..u32::MAX, xattr in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut entry = Entry::new(path.trim_end_matches('/'), Kind::Symlink, 0o777);
        entry.link = link.into();
        entry.modified = Time { seconds, nanoseconds };
        (entry.uid, entry.gid) = (uid, uid / 2);
        entry.xattrs = vec![(b"user.x".to_vec(), xattr)];
        let bytes = tar(&[(entry.clone(), Vec::new()), file("after", "text")]);
        let mut reader = Reader::new(bytes.as_slice());
        prop_assert_eq!(reader.next_entry().unwrap().unwrap(), entry);
        prop_assert_eq!(reader.next_entry().unwrap().unwrap().path, b"after".to_vec());
        prop_assert!(reader.next_entry().unwrap().is_none());
    }
}

#[test]
fn the_tar_crate_agrees() {
    let mut entries =
        vec![file(&"x/".repeat(80), ""), file(&"n".repeat(300), "body"), soft(&"t".repeat(200), "s")];
    entries[0].0.path = b"plain".to_vec();
    entries[1].0.modified = Time { seconds: 5, nanoseconds: 0 };
    let bytes = tar(&entries);
    let mut theirs = tar::Archive::new(bytes.as_slice());
    for (ours, theirs) in entries.iter().zip(theirs.entries().unwrap()) {
        let theirs = theirs.unwrap();
        assert_eq!(theirs.path_bytes().as_ref(), ours.0.path);
        assert_eq!(theirs.link_name_bytes().as_deref().unwrap_or_default(), ours.0.link);
        assert_eq!(theirs.size(), ours.0.size);
    }
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_uid(0o7777_7777);
    header.set_mode(0o100_644);
    builder.append_data(&mut header, "g".repeat(400), b"body".as_slice()).unwrap();
    let bytes = builder.into_inner().unwrap();
    let mut reader = Reader::new(bytes.as_slice());
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!((entry.path.len(), entry.uid, entry.mode, entry.size), (400, 0o7777_7777, 0o644, 4));
    assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "body");
}

#[test]
fn headers_with_bodies_that_lie_are_refused() {
    let bytes = tar(&[file("a", &"b".repeat(5000))]);
    let cage = Cage::new();
    let error = bring(&cage.root(), &bytes[..2000], Whiteouts::Remove).unwrap_err();
    assert_eq!(error.kind(), errdefs::Kind::DataLoss);
    let mut huge = Entry::new("p", Kind::Symlink, 0);
    huge.link = b"t".to_vec();
    huge.xattrs = vec![(b"user.a".to_vec(), vec![0; 2 << 20])];
    assert!(matches!(cage.apply(&[(huge, vec![])]), Err(Error::Invalid(_))));
}
