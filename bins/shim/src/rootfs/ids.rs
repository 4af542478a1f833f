//! `uidmap=` and `gidmap=`: what is on disk belongs to other ids in the mount (containerd's remapping
//! snapshotters).

use errdefs::{Error, Result};
use mount::MappedLowers;
use runtime_spec::IdMapping;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Where lower directories with mapped ids are mounted for a moment.
const LOWERS: &str = ".lowers";

/// Ids of the file system and those of the mount.
#[derive(Debug, PartialEq)]
pub(super) struct Mapping {
    uids: Vec<IdMapping>,
    gids: Vec<IdMapping>,
}

impl Mapping {
    /// Takes the mapping out of a mount's options; the others are returned beside it.
    pub(super) fn take(options: &[String]) -> Result<(Option<Mapping>, Vec<String>)> {
        let (mut uids, mut gids, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for option in options {
            match option.split_once('=') {
                Some(("uidmap", list)) => uids = ranges(option, list)?,
                Some(("gidmap", list)) => gids = ranges(option, list)?,
                _ => rest.push(option.clone()),
            }
        }
        let mapping = match (uids.is_empty(), gids.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Mapping { uids, gids }),
            _ => return Err(Error::invalid_argument("cannot map ids: uidmap and gidmap come together")),
        };
        Ok((mapping, rest))
    }

    /// A user namespace with this mapping, by which mount_setattr(2) takes it.
    pub(super) fn namespace(&self) -> Result<OwnedFd> {
        namespaces::user_namespace_with(&self.uids, &self.gids)
            .map_err(|cause| Error::unknown("cannot map ids of a mount").with_source(cause))
    }
}

/// `CONTAINER:HOST:SIZE[,...]`.
fn ranges(option: &str, list: &str) -> Result<Vec<IdMapping>> {
    let range = |text: &str| {
        let mut numbers = text.split(':').map(|number| number.parse::<u32>().ok());
        let mapping =
            IdMapping { container_id: numbers.next()??, host_id: numbers.next()??, size: numbers.next()?? };
        (numbers.next().is_none() && mapping.size > 0).then_some(mapping)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    ranges.ok_or_else(|| {
        Error::invalid_argument(format!("cannot read mount option {option:?}"))
            .with_hint("Give CONTAINER:HOST:SIZE, several by commas.")
    })
}

/// Lower directories of an overlay with mapped ids, beside the root until this is dropped.
pub(super) fn map_lowers(
    words: &mut [String],
    namespace: BorrowedFd<'_>,
    rootfs: &Path,
) -> Result<MappedLowers> {
    MappedLowers::map(words, namespace, rootfs.with_file_name(LOWERS))
        .map_err(|cause| Error::unknown("cannot map the ids of an image's layers").with_source(cause))
}

/// Takes away what a server that was killed may have left of [`map_lowers`] beside the root.
pub(super) fn clean_beside(rootfs: &Path) {
    MappedLowers::clean(&rootfs.with_file_name(LOWERS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(options: &[&str]) -> Result<(Option<Mapping>, Vec<String>)> {
        Mapping::take(&options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn mappings_are_taken_out_of_options() {
        let (mapping, rest) = take(&["ro", "uidmap=0:1000:10,10:5000:1", "gidmap=0:7:1"]).unwrap();
        let range = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        let expected =
            Mapping { uids: vec![range(0, 1000, 10), range(10, 5000, 1)], gids: vec![range(0, 7, 1)] };
        assert_eq!((mapping, rest), (Some(expected), vec!["ro".to_owned()]));
        assert_eq!(take(&["ro"]).unwrap().0, None);
        for wrong in
            ["uidmap=", "uidmap=0:1", "uidmap=0:1:0", "uidmap=0:1:2:3", "uidmap=a:1:2", "uidmap=0:1:2"]
        {
            assert_eq!(take(&[wrong]).unwrap_err().kind(), errdefs::Kind::InvalidArgument, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_option_is_survived(text in ".{0,40}") {
            let _ = take(&[&format!("uidmap={text}"), "gidmap=0:0:1"]);
        }
    }
}
