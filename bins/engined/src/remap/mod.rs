//! Containers whose ids are others on the host (`--userns-remap`): root in them is nobody here.
//!
//! A container keeps the ids that it was made with. Its image is unpacked once for all, with the image's own ids,
//! and mounted with mapped ids; what the container writes, to its layer and to volumes, is on disk with the host's.

mod account;
mod ranges;
mod userns;

use std::os::fd::OwnedFd;

use archive::{IdRange, Ids};
use errdefs::{Error, Result};
use runtime_spec::IdMapping;
use serde::{Deserialize, Serialize};

pub use userns::{drop_kept, keep, path};

/// The ids of a container on the host. Root is among both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remap {
    pub uids: Vec<IdMapping>,
    pub gids: Vec<IdMapping>,
}

/// Labels of a snapshot that is to be mounted with mapped ids (containerd).
const LABELS: [&str; 2] = ["containerd.io/snapshot/uidmapping", "containerd.io/snapshot/gidmapping"];

impl Remap {
    /// What the flag asks for: `default`, or `USER[:GROUP]` by name or number, whose ranges are those of
    /// subuid(5) and subgid(5). `default` is the user `dockremap`, made if it is not there.
    ///
    /// # Errors
    /// There is no such user or group, or it was given no ids.
    pub fn asked(flag: &str) -> Result<Remap> {
        let account = account::find(flag)?;
        Ok(Remap {
            uids: ranges::of("/etc/subuid", &account.user, account.uid)?,
            gids: ranges::of("/etc/subgid", &account.group, account.gid)?,
        })
    }

    /// User and group on the host of the container's root.
    pub fn root(&self) -> (u32, u32) {
        self.ids().outside((0, 0), b"/").unwrap_or_default()
    }

    /// Whether the container has a group of this number.
    pub fn has_group(&self, gid: u32) -> bool {
        self.ids().outside((0, gid), b"/").is_ok()
    }

    /// For archives of its files.
    pub fn ids(&self) -> Ids {
        let ranges = |all: &[IdMapping]| {
            let range = |mapping: &IdMapping| IdRange {
                inside: mapping.container_id,
                outside: mapping.host_id,
                size: mapping.size,
            };
            all.iter().map(range).collect()
        };
        Ids { users: ranges(&self.uids), groups: ranges(&self.gids) }
    }

    /// The labels of the snapshot that is the container's root.
    pub fn labels(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let text = |all: &[IdMapping]| {
            let range = |map: &IdMapping| format!("{}:{}:{}", map.container_id, map.host_id, map.size);
            all.iter().map(range).collect::<Vec<_>>().join(",")
        };
        LABELS.map(str::to_owned).into_iter().zip([text(&self.uids), text(&self.gids)])
    }

    /// A user namespace by which mounts take the mapping.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn namespace(&self) -> Result<OwnedFd> {
        namespaces::user_namespace_with(&self.uids, &self.gids)
            .map_err(|cause| Error::internal("cannot map the ids of a container").with_source(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_snapshot_and_an_archive_are_told() {
        let range = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        let remap =
            Remap { uids: vec![range(0, 100_000, 10), range(10, 7, 1)], gids: vec![range(0, 200_000, 5)] };
        let labels: Vec<String> = remap.labels().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            labels,
            [
                "containerd.io/snapshot/uidmapping=0:100000:10,10:7:1",
                "containerd.io/snapshot/gidmapping=0:200000:5"
            ]
        );
        assert_eq!(remap.root(), (100_000, 200_000));
        assert!(remap.has_group(4) && !remap.has_group(5));
        let kept: Remap = serde_json::from_str(&serde_json::to_string(&remap).unwrap()).unwrap();
        assert_eq!(kept, remap);
    }
}
