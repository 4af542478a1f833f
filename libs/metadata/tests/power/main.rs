//! The power fails at any instant: whatever was acknowledged is there, nothing refers to what is not, and the store
//! opens and works on.
//!
//! A process does a mixed load under strace(1), so that every write, sync and rename of it is known with its bytes.
//! The disk of `disk.rs` goes through them and is cut at chosen instants; what it may hold then is written down and
//! opened. `WHERRY_POWER_CUTS` says how often, `WHERRY_SEED` repeats a run.

mod disk;
#[path = "../support/mod.rs"]
mod support;
mod trace;

use content::{Digest, Hasher, WriterOptions};
use disk::{Dice, Disk};
use rustix::mount::{MountFlags, UnmountFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{container, image, labels, open};
use wherry_metadata::{CommitOptions, Db, Mount, Namespace, SharingPolicy};

const ROOT: &str = "WHERRY_POWER_TEST_ROOT";
const CALLS: &str = "openat,creat,close,read,lseek,write,writev,pwrite64,pwritev,ftruncate,truncate,fallocate,\
    fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,\
    symlinkat,dup,dup2,dup3,fcntl";
const ROUNDS: usize = 12;

/// Tells the tracer. `+` what is acknowledged, `-` what is about to go.
fn say(word: &str, name: &str) {
    println!("\n{word} {name}");
}

/// Where a snapshot's own files are.
fn upper(mounts: &[Mount]) -> PathBuf {
    let option = mounts[0].options.iter().find_map(|option| option.strip_prefix("upperdir="));
    PathBuf::from(option.unwrap_or(&mounts[0].source))
}

/// Not a test by itself: what runs under the tracer.
#[test]
fn the_process_whose_power_fails() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let (db, _) = open(Path::new(&root), SharingPolicy::Shared);
    let namespace = db.namespace("a").unwrap();
    for round in 0..ROUNDS {
        blobs(&namespace, round);
        layer(&namespace, round);
        containers(&namespace, round);
        if round % 3 == 2 {
            db.collect().unwrap();
        }
    }
}

fn blobs(namespace: &Namespace, round: usize) {
    let (content, root) = (namespace.content(), labels(&[("containerd.io/gc.root", "1")]));
    let data = format!("manifest {round}").repeat(100);
    let digest = content.write("manifest", data.as_bytes(), &root).unwrap();
    say("+blob", digest.as_str());
    let name = format!("image-{round}");
    namespace.images().create(image(&name, digest.as_str()), None).unwrap();
    say("+image", &name);
    // A layer whose first half comes in one round, whose rest in the next; by turns under another algorithm.
    let options = WriterOptions { reference: "layer".into(), ..WriterOptions::default() };
    let mut writer = content.writer(options).unwrap();
    writer.write(&vec![round as u8; 5_000]).unwrap();
    if round % 2 == 1 {
        let expected = (round % 4 == 3).then(|| {
            let mut hasher = Hasher::new("sha512").unwrap();
            hasher.update(&[vec![round as u8 - 1; 5_000], vec![round as u8; 5_000]].concat());
            hasher.digest()
        });
        let options = CommitOptions { size: 10_000, expected, labels: root };
        say("+blob", writer.commit(options).unwrap().as_str());
    }
    if round % 4 == 3 {
        let name = format!("image-{}", round - 2);
        say("-image", &name);
        namespace.images().delete(&name, None, false).unwrap();
    }
}

/// A layer on the one before, unpacked as images are: files, then the sync, then the record.
fn layer(namespace: &Namespace, round: usize) {
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    let (name, parent) = (format!("layer-{round}"), format!("layer-{}", round.wrapping_sub(1)));
    let parent = if round.is_multiple_of(4) { "" } else { &parent };
    let root = labels(&[("containerd.io/gc.root", "1")]);
    let mounts = snapshots.prepare("unpack", parent, &root).unwrap();
    let upper = upper(&mounts);
    fs::create_dir(upper.join("dir")).unwrap();
    fs::write(upper.join("dir/file"), &name).unwrap();
    let directory = fs::File::open(&upper).unwrap();
    rustix::fs::syncfs(&directory).unwrap();
    snapshots.commit(&name, "unpack", "", &root).unwrap();
    say("+layer", &name);
}

fn containers(namespace: &Namespace, round: usize) {
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    let id = format!("c{round}");
    let mut made = container(&id);
    (made.snapshotter, made.snapshot_key) = ("overlayfs".into(), id.clone());
    namespace.containers().create(made).unwrap();
    let mounts = snapshots.prepare(&id, &format!("layer-{round}"), &labels(&[])).unwrap();
    say("+container", &id);
    fs::write(upper(&mounts).join("written"), "by the container").unwrap();
    if round % 2 == 1 {
        say("-container", &id);
        namespace.containers().delete(&id).unwrap();
        say("!container", &id);
        snapshots.remove(&id).unwrap();
    }
}

/// What the process said until an instant.
#[derive(Default, Clone)]
struct Said {
    there: BTreeMap<String, BTreeSet<String>>,
    gone: BTreeSet<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some((word, name)) = line.split_once(' ') else { return };
        let Some(kind) = word.get(1..) else { return };
        match word.as_bytes()[0] {
            b'+' => drop(self.there.entry(kind.into()).or_default().insert(name.into())),
            b'-' => drop(self.there.entry(kind.into()).or_default().remove(name)),
            b'!' => drop(self.gone.insert(name.into())),
            _ => {}
        }
    }

    fn all(&self, kind: &str) -> impl Iterator<Item = &String> {
        self.there.get(kind).into_iter().flatten()
    }
}

fn record(root: &Path) -> String {
    let trace = root.with_extension("trace");
    let status = Command::new("strace")
        .args(["-f", "-xx", "-s", "16000000", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_whose_power_fails", "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed");
    assert!(status.success());
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(trace).unwrap();
    text
}

#[test]
fn what_was_acknowledged_outlives_the_power() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cuts = number("WHERRY_POWER_CUTS").unwrap_or(80);
    let seed = number("WHERRY_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    eprintln!("seed {seed}");
    let scratch = Scratch::new();
    let root = scratch.0.path().canonicalize().unwrap().join("disk");
    fs::create_dir(&root).unwrap();
    let calls = trace::parse(&record(&root));
    let touching =
        calls.iter().filter(|call| !matches!(call.name.as_str(), "read" | "close" | "openat")).count();
    assert!(touching > 500, "a load of {touching} calls");
    let mut dice = Dice(seed);
    let mut at: BTreeMap<usize, u64> = BTreeMap::new();
    for _ in 0..cuts {
        *at.entry(dice.below(calls.len() as u64) as usize).or_default() += 1;
    }
    // Once with everything done and nothing lost but what no sync kept.
    at.insert(calls.len() - 1, 1);
    let (mut disk, mut said) = (Disk::new(&root), Said::default());
    for (index, call) in calls.iter().enumerate() {
        disk.apply(call);
        if call.name == "write" && call.number(0) == Some(1) {
            String::from_utf8_lossy(&call.bytes(1)).lines().for_each(|line| said.hear(line));
        }
        for cut in 0..at.get(&index).copied().unwrap_or(0) {
            let after = scratch.0.path().join(format!("{index}-{cut}"));
            fs::create_dir(&after).unwrap();
            disk.fail(&after, &mut dice);
            let what = format!("seed {seed}, cut after call {index}, {call:?}");
            let what = what.chars().take(300).collect::<String>();
            check(&after, &said, &what);
            fs::remove_dir_all(after).unwrap();
        }
    }
    assert!(said.all("blob").count() > 12 && said.all("layer").count() == ROUNDS);
    // The disk can lose what the checks find: one that does not hear of syncs is found out.
    let mut deaf = Disk::new(&root);
    calls.iter().filter(|call| !call.name.contains("sync")).for_each(|call| deaf.apply(call));
    let after = scratch.0.path().join("deaf");
    fs::create_dir(&after).unwrap();
    deaf.fail(&after, &mut dice);
    assert!(std::panic::catch_unwind(|| check(&after, &said, "deaf")).is_err());
}

/// A directory in memory: the cuts are many, and the test's own disk is not what is tested.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        let directory = tempfile::tempdir().unwrap();
        rustix::mount::mount("none", directory.path(), "tmpfs", MountFlags::empty(), c"size=256m").unwrap();
        Scratch(directory)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

fn check(root: &Path, said: &Said, what: &str) {
    let (db, _) = open(root, SharingPolicy::Shared);
    let namespace = db.namespace("a").unwrap();
    for blob in said.all("blob") {
        let digest = Digest::parse(blob).unwrap();
        assert!(namespace.content().info(&digest).is_ok(), "{blob} has no record; {what}");
    }
    for name in said.all("image") {
        assert!(namespace.images().get(name).is_ok(), "{name}; {what}");
    }
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    for name in said.all("layer") {
        let view = snapshots.view(&format!("view-{name}"), name, &labels(&[])).expect(what);
        let file = upper(&view).join("dir/file");
        let lowest = view[0].options.iter().find_map(|option| option.strip_prefix("lowerdir="));
        let file =
            lowest.map_or(file, |lowers| Path::new(lowers.split(':').next().unwrap()).join("dir/file"));
        assert_eq!(fs::read_to_string(&file).unwrap_or_default(), *name, "{}; {what}", file.display());
        snapshots.remove(&format!("view-{name}")).unwrap();
    }
    for id in said.all("container") {
        let found = namespace.containers().get(id).expect(what);
        assert!(snapshots.mounts(&found.snapshot_key).is_ok(), "the snapshot of {id}; {what}");
    }
    for id in &said.gone {
        assert!(namespace.containers().get(id).is_err(), "{id} was deleted; {what}");
    }
    nothing_dangles(&namespace, what);
    drop((snapshots, namespace));
    works_on(db, root, what);
}

/// Every record's data is there, whole.
fn nothing_dangles(namespace: &Namespace, what: &str) {
    for info in namespace.content().list(&[]).unwrap() {
        let digest = Digest::parse(&info.digest).unwrap();
        let data = namespace.content().read(&digest, 1 << 20).expect(what);
        let mut hasher = Hasher::new(digest.algorithm()).unwrap();
        hasher.update(&data);
        assert_eq!(hasher.digest(), digest, "{what}");
        assert_eq!(info.size, data.len() as i64, "{what}");
    }
    for image in namespace.images().list(&[]).unwrap() {
        let digest = Digest::parse(&image.target.unwrap().digest).unwrap();
        assert!(namespace.content().info(&digest).is_ok(), "the target of {}; {what}", image.name);
    }
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    for info in snapshots.list(&[]).unwrap() {
        assert!(info.parent.is_empty() || snapshots.stat(&info.parent).is_ok(), "{info:?}; {what}");
        if let Ok(mounts) = snapshots.mounts(&info.name) {
            let directories = mounts[0].options.iter().filter_map(|option| option.split_once("dir="));
            let directories = directories.flat_map(|(_, list)| list.split(':')).map(PathBuf::from);
            for directory in directories.chain(mounts[0].source.starts_with('/').then(|| upper(&mounts))) {
                assert!(directory.is_dir(), "{} of {info:?}; {what}", directory.display());
            }
        }
    }
}

/// It collects, takes new objects, finishes or drops what was cut short, and opens once more.
fn works_on(db: Db, root: &Path, what: &str) {
    let namespace = db.namespace("a").unwrap();
    db.collect().expect(what);
    for status in namespace.content().statuses(&[]).expect(what) {
        let options = WriterOptions { reference: status.reference.clone(), ..WriterOptions::default() };
        let mut writer = namespace.content().writer(options).expect(what);
        writer.write(b"more").expect(what);
        let expected = Some(Hasher::of(b"what no torn ingest has"));
        writer.commit(CommitOptions { expected, ..CommitOptions::default() }).expect_err(what);
        drop(writer);
        namespace.content().abort(&status.reference).expect(what);
    }
    let root_label = labels(&[("containerd.io/gc.root", "1")]);
    let digest = namespace.content().write("after", b"after", &root_label).expect(what);
    let snapshots = namespace.snapshots("overlayfs").unwrap();
    snapshots.prepare("after", "", &root_label).expect(what);
    snapshots.commit("after-it", "after", "", &root_label).expect(what);
    namespace.containers().create(container("after")).expect(what);
    db.collect().expect(what);
    nothing_dangles(&namespace, what);
    drop((snapshots, namespace, db));
    let (again, _) = open(root, SharingPolicy::Shared);
    let namespace = again.namespace("a").unwrap();
    assert_eq!(namespace.content().read(&digest, 9).expect(what), b"after", "{what}");
    assert!(namespace.containers().get("after").is_ok(), "{what}");
    nothing_dangles(&namespace, what);
}
