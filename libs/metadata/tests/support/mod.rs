//! A database of its own for each test.
#![allow(dead_code)]

use containerd_api::services::containers::v1::{Container, container};
use containerd_api::services::images::v1::Image;
use containerd_api::types::Descriptor;
use events::Exchange;
use snapshots::{Overlay, OverlayOptions, Snapshotter};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wherry_metadata::{Config, Db, GcConfig, Labels, Namespace, SharingPolicy};

pub struct Fixture {
    pub root: tempfile::TempDir,
    pub db: Db,
    pub exchange: Exchange,
}

/// Opens what is at `root`; the collector runs only when told.
pub fn open(root: &Path, sharing: SharingPolicy) -> (Db, Exchange) {
    let exchange = Exchange::new();
    let layers = root.join("overlayfs");
    let never = Duration::from_secs(3600);
    let db = Db::open(Config {
        path: root.join("meta.redb"),
        content: content::Store::open(&root.join("content")).unwrap(),
        snapshotters: vec![(
            "overlayfs".into(),
            Box::new(move |store| {
                let options =
                    OverlayOptions { sync_commit: false, sync_remove: true, ..OverlayOptions::default() };
                Ok(Arc::new(Overlay::open(layers, store, options)?) as Arc<dyn Snapshotter>)
            }),
        )],
        exchange: exchange.clone(),
        sharing,
        gc: GcConfig { startup_delay: never, ..GcConfig::default() },
    })
    .unwrap();
    (db, exchange)
}

pub fn fixture() -> Fixture {
    fixture_with(SharingPolicy::Shared)
}

pub fn fixture_with(sharing: SharingPolicy) -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let (db, exchange) = open(root.path(), sharing);
    Fixture { root, db, exchange }
}

impl Fixture {
    pub fn ns(&self, name: &str) -> Namespace {
        self.db.namespace(name).unwrap()
    }

    /// What a kill at this instant would leave, opened anew: nothing is flushed or closed.
    pub fn reopen(&self) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        copy(self.root.path(), root.path());
        let (db, exchange) = open(root.path(), SharingPolicy::Shared);
        Fixture { root, db, exchange }
    }

    pub fn files(&self, directory: &str) -> usize {
        std::fs::read_dir(self.root.path().join(directory)).unwrap().count()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn container(id: &str) -> Container {
    Container {
        id: id.into(),
        runtime: Some(container::Runtime { name: "io.containerd.runc.v2".into(), options: None }),
        spec: Some(containerd_api::pack_json(containerd_api::SPEC_URL, b"{}".to_vec())),
        ..Container::default()
    }
}

pub fn image(name: &str, digest: &str) -> Image {
    let target = Descriptor {
        digest: digest.into(),
        size: 1,
        media_type: "application/x".into(),
        ..Descriptor::default()
    };
    Image { name: name.into(), target: Some(target), ..Image::default() }
}
