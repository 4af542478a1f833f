//! `uidmap=` and `gidmap=` among a mount's options: what was written through it belongs to other ids on disk than
//! in the container, and a layer holds the container's.

use archive::{IdRange, Ids};
use containerd_api::types::Mount;
use errdefs::{Error, Result};

use crate::target::option;

/// The ids of whoever wrote to these mounts; `None` where they are the host's.
pub(crate) fn of(mounts: &[Mount]) -> Result<Option<Ids>> {
    let Some(mount) = mounts.iter().find(|mount| option(mount, "uidmap").is_some()) else { return Ok(None) };
    let ranges = |key: &str| option(mount, key).map_or(Ok(Vec::new()), ranges);
    Ok(Some(Ids { users: ranges("uidmap")?, groups: ranges("gidmap")? }))
}

/// `CONTAINER:HOST:SIZE[,...]`.
fn ranges(list: &str) -> Result<Vec<IdRange>> {
    let range = |text: &str| {
        let mut numbers = text.split(':').map(|number| number.parse::<u32>().ok());
        let range = IdRange { inside: numbers.next()??, outside: numbers.next()??, size: numbers.next()?? };
        (numbers.next().is_none() && range.size > 0).then_some(range)
    };
    let all: Option<Vec<_>> = list.split(',').map(range).collect();
    all.ok_or_else(|| {
        Error::invalid_argument(format!("cannot read id mapping {list:?}: want CONTAINER:HOST:SIZE"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mount(options: &[&str]) -> Mount {
        Mount { options: options.iter().map(|option| (*option).to_owned()).collect(), ..Mount::default() }
    }

    #[test]
    fn mappings_are_found_or_refused() {
        let found =
            of(&[mount(&["uidmap=0:1000:10,10:5:1", "gidmap=0:7:1", "upperdir=/u"])]).unwrap().unwrap();
        assert_eq!((found.inside((1009, 7)), found.inside((5, 0))), ((9, 0), (10, 0)));
        assert_eq!(of(&[mount(&["upperdir=/u"])]).unwrap(), None);
        for wrong in ["", "0:1", "0:1:0", "0:1:2:3", "a:1:2"] {
            assert!(of(&[mount(&[&format!("uidmap={wrong}")])]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_mapping_is_survived(text in "[0-9:,a]{0,30}") {
            let _ = ranges(&text);
        }
    }
}
