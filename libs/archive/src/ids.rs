//! Ids of a container that are others on the host.

use crate::{Error, Result};

/// A range of ids: as the container counts them, as the host does, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub size: u32,
}

/// How the ids of an archive, which are a container's, are related to those on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub users: Vec<IdRange>,
    pub groups: Vec<IdRange>,
}

impl Ids {
    /// The container's user and group of what belongs to `owner` on the host. Ids that are nobody's of the
    /// container stay what they are: layers below a remapped one keep theirs.
    pub fn inside(&self, owner: (u32, u32)) -> (u32, u32) {
        let find = |ranges: &[IdRange], id: u32| {
            moved(ranges.iter().map(|range| (range.outside, range.inside, range.size)), id).unwrap_or(id)
        };
        (find(&self.users, owner.0), find(&self.groups, owner.1))
    }

    /// The host's user and group of what is to belong to `owner` in the container; `path` is what for.
    ///
    /// # Errors
    /// [`errdefs::Kind::InvalidArgument`]: the container has no such id.
    pub fn outside(&self, owner: (u32, u32), path: &[u8]) -> Result<(u32, u32)> {
        let find = |ranges: &[IdRange], what: &str, id: u32| {
            moved(ranges.iter().map(|range| (range.inside, range.outside, range.size)), id).ok_or_else(|| {
                let path = String::from_utf8_lossy(path);
                Error::invalid(format!("{path:?} belongs to {what} {id}, which the container cannot have"))
            })
        };
        Ok((find(&self.users, "user", owner.0)?, find(&self.groups, "group", owner.1)?))
    }
}

fn moved(ranges: impl Iterator<Item = (u32, u32, u32)>, id: u32) -> Option<u32> {
    let mut ranges = ranges;
    ranges.find_map(|(from, to, size)| {
        let distance = id.checked_sub(from).filter(|distance| *distance < size)?;
        to.checked_add(distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids() -> Ids {
        let range = |inside, outside, size| IdRange { inside, outside, size };
        Ids { users: vec![range(0, 100_000, 10), range(10, 7, 1)], groups: vec![range(0, 200_000, 5)] }
    }

    #[test]
    fn ids_are_told_both_ways() {
        assert_eq!(ids().inside((100_009, 200_000)), (9, 0));
        assert_eq!(ids().inside((7, 199_999)), (10, 199_999));
        assert_eq!(ids().outside((10, 4), b"f").unwrap(), (7, 200_004));
        let refused = ids().outside((0, 5), b"a/f").unwrap_err();
        assert_eq!(refused.kind(), errdefs::Kind::InvalidArgument);
        assert!(refused.to_string().contains("a/f") && refused.to_string().contains("group 5"), "{refused}");
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_back(uid in 0u32..12, gid in 0u32..6) {
            if let Ok(outside) = ids().outside((uid, gid), b"") {
                prop_assert_eq!(ids().inside(outside), (uid, gid));
            }
        }
    }
}
