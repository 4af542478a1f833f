//! The engine: what all calls share.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use errdefs::{Error, Result};

use crate::api::rate::Rate;
use crate::config::{Config, Settings};
use crate::containers::{Container, Index};
use crate::events::Events;
use crate::exec::Execs;
use crate::files;
use crate::images::Images;
use crate::metrics::Metrics;
use crate::networks::Networks;
use crate::remap::Remap;
use crate::supervisor::{Supervisor, managed};
use crate::volumes::Volumes;

/// One engine over one supervisor.
pub struct Engine {
    /// Shown by `info`; the same for the life of the data root.
    pub id: String,
    pub config: Config,
    settings: RwLock<Arc<Settings>>,
    pub supervisor: Supervisor,
    pub containers: Index,
    pub execs: Execs,
    pub images: Images,
    pub networks: Networks,
    pub volumes: Volumes,
    pub events: Events,
    pub metrics: Metrics,
    pub programs: Programs,
    /// The ids of new containers; `None` is the host's.
    pub remap: Option<Remap>,
    /// How often clients may ask.
    pub rate: Rate,
}

/// Programs of the host that containers are given.
pub struct Programs {
    /// Writes logs for shims that are not ours; its path tells ours what to do.
    pub logger: Option<std::path::PathBuf>,
    /// What `--init` puts in front.
    pub init: Option<std::path::PathBuf>,
}

impl Engine {
    /// Reads what the last life left, and brings the network up.
    ///
    /// # Errors
    /// A directory, the supervisor's address or the network could not be had.
    pub fn open(config: Config) -> Result<Arc<Engine>> {
        for directory in [
            config.data("containers"),
            config.data("volumes"),
            config.data("tmp"),
            config.run("netns"),
            config.run("attach"),
            config.run("stdio"),
            config.run("shm"),
            config.run("mounts"),
        ] {
            std::fs::create_dir_all(&directory).map_err(files::failed("make directory", &directory))?;
        }
        config.flags.check_cgroups()?;
        let wish = config.flags.rest.userns_remap.as_deref().filter(|wish| !wish.is_empty());
        let remap = wish.map(Remap::asked).transpose()?;
        let supervisor = Supervisor::at(&managed::address(&config)?, &config.flags.containerd_namespace)?;
        let containers = Index::load(&config.data("containers"))?;
        let volumes = Volumes::load(&config.data("volumes"))?;
        let networks = Networks::open(&config, &containers)?;
        let programs = Programs {
            logger: crate::programs::find("wherry-logger"),
            init: config
                .flags
                .init_path
                .clone()
                .or_else(|| ["docker-init", "tini"].into_iter().find_map(crate::programs::on_path)),
        };
        let metrics = Metrics::new()?;
        Ok(Arc::new(Engine {
            id: engine_id(&config)?,
            supervisor,
            containers,
            execs: Execs::default(),
            images: Images::default(),
            networks,
            volumes,
            events: Events::counted_by(metrics.events.clone()),
            metrics,
            rate: Rate::new(config.flags.access.request_rate),
            programs,
            remap,
            settings: RwLock::new(Arc::new(config.settings())),
            config,
        }))
    }

    /// The settings that may change while the engine runs, as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().expect("no panic while held").clone()
    }

    /// Takes new settings over and tells so.
    pub fn reload(&self, settings: Settings) {
        let attributes = BTreeMap::from([
            ("debug".to_owned(), settings.is_debug.to_string()),
            ("default-runtime".to_owned(), settings.default_runtime.clone()),
            ("labels".to_owned(), format!("{:?}", settings.labels)),
            ("insecure-registries".to_owned(), format!("{:?}", settings.insecure_registries)),
            ("registry-mirrors".to_owned(), format!("{:?}", settings.registry_mirrors)),
            ("runtimes".to_owned(), settings.runtimes.keys().cloned().collect::<Vec<_>>().join(" ")),
        ]);
        *self.settings.write().expect("no panic while held") = Arc::new(settings);
        self.events.tell("daemon", "reload", &self.id, attributes);
    }

    /// Tells that what nobody uses of a kind has been removed, and how many bytes that gave back.
    pub fn tell_pruned(&self, kind: &str, bytes: u64) {
        self.events.tell(kind, "prune", "", BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]));
    }

    /// Tells what happened to a container, with its labels, image, name and `more`.
    pub fn tell_container(&self, action: &str, container: &Container, more: &[(&str, String)]) {
        let record = container.record();
        let mut attributes: BTreeMap<String, String> = record.config.labels.clone().unwrap_or_default();
        attributes.insert("image".into(), record.config.image.clone());
        attributes.insert("name".into(), record.name.clone());
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.events.tell("container", action, &container.id, attributes);
    }
}

fn engine_id(config: &Config) -> Result<String> {
    let kept = daemon::identity::kept(&config.data("engine-id"));
    kept.map_err(|cause| Error::internal("cannot tell which engine this is").with_source(cause))
}
