//! What is kept of a container on disk.

use std::collections::BTreeMap;

use engine_api::container::Config;
use engine_api::host_config::HostConfig;
use engine_api::image::Descriptor;
use engine_api::network::EndpointSettings;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Everything that a container is made of; `config.json` in its directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    pub id: String,
    /// Without a leading slash.
    pub name: String,
    pub created: Time,
    /// Digest of the image's config.
    pub image_id: String,
    /// Name of the image in the supervisor's store.
    pub image_name: String,
    /// The manifest that the image has for this platform.
    pub image_manifest: Descriptor,
    /// Chain ID of the image's layers, the parent of the container's snapshot; empty without layers.
    pub chain_id: String,
    pub path: String,
    pub args: Vec<String>,
    /// As asked for, completed from the image.
    pub config: Config,
    pub host_config: HostConfig,
    /// Other containers that this one knows by names of its own.
    pub links: Vec<super::links::Link>,
    /// Endpoint wishes by network name.
    pub networks: BTreeMap<String, EndpointSettings>,
    pub mounts: Vec<MountRecord>,
    pub state: State,
    pub restart_count: i64,
    /// A person stopped it: `unless-stopped` leaves it so.
    pub is_stopped_by_hand: bool,
    pub has_started: bool,
    /// Where the logger of the running task serves readers.
    pub attach_path: String,
    /// Its places on networks by their names, while it runs.
    pub endpoints: BTreeMap<String, network::Endpoint>,
    /// Its ids on the host; `None` when they are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remap: Option<crate::remap::Remap>,
    /// Path of the network namespace made for it, while there is one.
    pub netns: String,
}

/// One mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountRecord {
    pub source: Source,
    pub destination: String,
    pub is_read_only: bool,
    /// As in `rprivate`.
    pub propagation: String,
    /// Options as the person wrote them (`z`, `ro`), shown by inspect.
    pub mode: String,
    pub is_non_recursive: bool,
    /// Part of a volume or image that is mounted in its place.
    pub subpath: String,
    /// Nothing is copied into the volume.
    pub is_bare: bool,
    /// The host's directory is made when it is not there.
    pub makes_source: bool,
    /// Read-only, but not the mounts below it.
    pub is_read_only_shallow: bool,
    /// Read-only with all mounts below it, or not at all.
    pub is_read_only_deep: bool,
    /// It stands in `HostConfig.Mounts`.
    pub is_wish: bool,
}

/// Where a mount comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A path of the host.
    Bind {
        path: String,
    },
    Volume {
        name: String,
        is_anonymous: bool,
    },
    /// Options of mount(8).
    Tmpfs {
        options: Vec<String>,
    },
    /// An image as it was named, its identifier, and the snapshot made for this mount.
    Image {
        name: String,
        id: String,
        key: String,
    },
}

impl Default for Source {
    fn default() -> Self {
        Source::Tmpfs { options: Vec::new() }
    }
}

/// Where a container stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    #[default]
    Created,
    Running,
    Paused,
    /// Between an end and the next start.
    Restarting,
    Exited,
    Removing,
    Dead,
}

impl Phase {
    /// Docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Created => "created",
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Restarting => "restarting",
            Phase::Exited => "exited",
            Phase::Removing => "removing",
            Phase::Dead => "dead",
        }
    }

    /// Has a process.
    pub fn is_live(self) -> bool {
        matches!(self, Phase::Running | Phase::Paused)
    }
}

/// The state that inspect shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub phase: Phase,
    pub pid: u32,
    pub exit_code: i64,
    pub error: String,
    pub started: Time,
    pub finished: Time,
    pub oom_killed: bool,
    /// Of a container that checks itself.
    pub health: Option<super::health::Health>,
}

impl Record {
    /// The image's manifest; a container of an older engine does not know it.
    pub fn shown_manifest(&self) -> Option<Descriptor> {
        (!self.image_manifest.digest.is_empty()).then(|| self.image_manifest.clone())
    }

    /// The container has a terminal.
    pub fn is_tty(&self) -> bool {
        self.config.tty
    }

    /// Runs in the host's network.
    pub fn is_host_network(&self) -> bool {
        self.host_config.network_mode == "host"
    }

    /// The other container of a `container:NAME` mode.
    pub fn joined(mode: &str) -> Option<&str> {
        mode.strip_prefix("container:")
    }
}
