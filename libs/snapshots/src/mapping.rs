//! Id mappings that labels ask for.

use crate::snapshotter::Labels;
use crate::{LABEL_GID_MAPPING, LABEL_UID_MAPPING};
use errdefs::{Error, Result};

/// The mappings of a snapshot, as mount options want them, and the host's ids of the mapped root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub uid_map: String,
    pub gid_map: String,
    pub root: (u32, u32),
}

impl Mapping {
    /// From labels; none unless both are there.
    pub(crate) fn from_labels(labels: &Labels) -> Result<Option<Mapping>> {
        let (Some(uids), Some(gids)) = (labels.get(LABEL_UID_MAPPING), labels.get(LABEL_GID_MAPPING)) else {
            return Ok(None);
        };
        let root = (host_root(uids)?, host_root(gids)?);
        Ok(Some(Mapping { uid_map: uids.clone(), gid_map: gids.clone(), root }))
    }
}

/// The host id of container id 0 in `container:host:size[,...]`.
fn host_root(map: &str) -> Result<u32> {
    let refused =
        || Error::invalid_argument(format!("cannot parse id mapping {map:?}, want container:host:size"));
    let mut root = None;
    for line in map.split(',') {
        let numbers: Vec<u32> =
            line.split(':').map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| refused())?;
        let [container, host, size] = numbers[..] else { return Err(refused()) };
        if size == 0 || host.checked_add(size - 1).is_none() {
            return Err(refused());
        }
        if container == 0 {
            root = Some(host);
        }
    }
    root.ok_or_else(|| Error::invalid_argument(format!("cannot map root: {map:?} lacks container id 0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_or_the_map_refused() {
        assert_eq!(host_root("0:100000:65536").unwrap(), 100_000);
        assert_eq!(host_root("1:5:2,0:70:1").unwrap(), 70);
        for bad in ["", "0:1", "0:1:0", "1:1:1", "a:b:c", "0:4294967295:2"] {
            assert!(host_root(bad).is_err(), "{bad}");
        }
    }
}
