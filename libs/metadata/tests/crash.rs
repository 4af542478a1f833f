//! Killed in the middle of its work, the database has everything that it acknowledged, and nothing torn.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Fixture, container, fixture, image, labels, open};
use tracing::span::{Attributes, Id, Record};
use wherry_metadata::SharingPolicy;

/// How often it is killed.
const KILLS: u64 = 12;
const ROOT: &str = "WHERRY_CRASH_TEST_ROOT";

/// Not a test by itself: what the killed process runs. Each line says what was acknowledged.
#[test]
fn the_process_that_is_killed() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let (db, _) = open(Path::new(&root), SharingPolicy::Shared);
    let start = db.namespace("a").unwrap().containers().list(&[]).unwrap().len();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let db = &db;
            scope.spawn(move || {
                for round in 0.. {
                    let id = format!("{}-{start}-{thread}-{round}", std::process::id());
                    let namespace = db.namespace("a").unwrap();
                    let snapshots = namespace.snapshots("overlayfs").unwrap();
                    snapshots.prepare(&id, "", &labels(&[])).unwrap();
                    let digest = namespace.content().write(&id, id.as_bytes(), &labels(&[])).unwrap();
                    println!("\nblob {digest}");
                    namespace.images().create(image(&id, digest.as_str()), None).unwrap();
                    let mut made = container(&id);
                    (made.snapshotter, made.snapshot_key) = ("overlayfs".into(), id.clone());
                    namespace.containers().create(made).unwrap();
                    println!("\ncreated {id}");
                    if round % 2 == 0 {
                        namespace.containers().delete(&id).unwrap();
                        snapshots.remove(&id).unwrap();
                        println!("\ndeleted {id}");
                    }
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let mut containers: HashMap<String, bool> = HashMap::new();
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_is_killed", "--nocapture"])
            .env(ROOT, root.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>()
        });
        // The instant of the kill is what the test varies.
        std::thread::sleep(Duration::from_millis(40 + kill * 17));
        child.kill().unwrap();
        child.wait().unwrap();
        let (db, _) = open(root.path(), SharingPolicy::Shared);
        let namespace = db.namespace("a").unwrap();
        for line in reader.join().unwrap() {
            match line.split_once(' ') {
                Some(("created", id)) => drop(containers.insert(id.into(), true)),
                Some(("deleted", id)) => drop(containers.insert(id.into(), false)),
                Some(("blob", digest)) => {
                    let digest = content::Digest::parse(digest).unwrap();
                    let data = namespace.content().read(&digest, 1000).unwrap();
                    assert_eq!(content::Hasher::of(&data), digest);
                }
                _ => {}
            }
        }
        for (id, &alive) in &containers {
            // The last word of a container may have been lost with the process, but not the word before.
            let found = namespace.containers().get(id);
            if alive && found.is_ok() {
                namespace.snapshots("overlayfs").unwrap().mounts(id).unwrap();
            }
            assert!(alive || found.is_err(), "{id} was deleted");
        }
        let acknowledged = containers.iter().filter(|(_, alive)| **alive).count();
        let present = namespace.containers().list(&[]).unwrap().len();
        assert!(
            present + 3 >= acknowledged,
            "{present} of {acknowledged}, each of 3 threads may have a deletion under way"
        );
        db.collect().unwrap();
        let directories = std::fs::read_dir(root.path().join("overlayfs/snapshots")).unwrap().count();
        db.namespace("a").unwrap().snapshots("overlayfs").unwrap().cleanup().unwrap();
        let snapshots = namespace.snapshots("overlayfs").unwrap().list(&[]).unwrap().len();
        assert!(directories >= snapshots);
        let left = std::fs::read_dir(root.path().join("overlayfs/snapshots")).unwrap().count();
        assert_eq!(left, snapshots, "no orphan directory");
        containers.retain(|id, _| namespace.containers().get(id).is_ok());
    }
    assert!(!containers.is_empty());
}

/// Counts what is logged that somebody should worry about.
#[derive(Clone, Default)]
struct Alarms(Arc<AtomicUsize>);

impl tracing::Subscriber for Alarms {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What a kill at this instant leaves, and how many alarms its recovery raises.
fn recovered(fixture: &Fixture) -> (Fixture, usize) {
    let alarms = Alarms::default();
    let found = tracing::subscriber::with_default(alarms.clone(), || fixture.reopen());
    (found, alarms.0.load(Ordering::Relaxed))
}

#[test]
fn a_removal_that_is_cut_short_alarms_nobody() {
    let directories = "overlayfs/snapshots";
    for commits in [false, true] {
        let fixture = fixture();
        let snapshots = fixture.ns("a").snapshots("overlayfs").unwrap();
        snapshots.prepare("one", "", &labels(&[])).unwrap();
        if commits {
            snapshots.commit("layer", "one", "", &labels(&[])).unwrap();
        }
        let name = if commits { "layer" } else { "one" };
        // The namespace's record is gone for good, and the files are; the snapshotter's record goes with the next
        // change.
        snapshots.remove(name).unwrap();
        assert_eq!(fixture.files(directories), 0);
        let (found, alarms) = recovered(&fixture);
        assert_eq!((alarms, found.files(directories)), (0, 0), "{name}");
        assert!(found.ns("a").snapshots("overlayfs").unwrap().list(&[]).unwrap().is_empty());
    }
    // The files of what is named are missed.
    let fixture = fixture();
    let snapshots = fixture.ns("a").snapshots("overlayfs").unwrap();
    snapshots.prepare("one", "", &labels(&[])).unwrap();
    snapshots.commit("layer", "one", "", &labels(&[])).unwrap();
    std::fs::remove_dir_all(fixture.root.path().join(directories)).unwrap();
    std::fs::create_dir(fixture.root.path().join(directories)).unwrap();
    assert_eq!(recovered(&fixture).1, 1);
}
