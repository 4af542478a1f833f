//! subuid(5) and subgid(5): `NAME:FIRST:COUNT`.

use errdefs::{Error, Result};
use runtime_spec::IdMapping;

/// The ranges that a file gives to somebody, as a container counts them: one after the other, from zero.
pub(super) fn of(path: &str, name: &str, id: u32) -> Result<Vec<IdMapping>> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::failed_precondition(format!("cannot read {path}")).with_source(cause))?;
    let ranges = parse(&text, name, id)?;
    if ranges.is_empty() {
        return Err(Error::failed_precondition(format!(
            "cannot remap ids (--userns-remap): no ranges for {name:?} in {path}"
        ))
        .with_hint(format!("Add a line such as {name}:100000:65536 to {path}.")));
    }
    Ok(ranges)
}

fn parse(text: &str, name: &str, id: u32) -> Result<Vec<IdMapping>> {
    let id = id.to_string();
    let mut found: Vec<(u32, u32)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let broken = || {
            Error::failed_precondition(format!(
                "cannot remap ids (--userns-remap): {line:?} is no range of ids: want NAME:FIRST:COUNT"
            ))
        };
        let [owner, first, count] = line.split(':').collect::<Vec<_>>()[..] else { return Err(broken()) };
        if owner != name && owner != id {
            continue;
        }
        let (first, count): (u32, u32) =
            (first.parse().map_err(|_| broken())?, count.parse().map_err(|_| broken())?);
        if count == 0 || first.checked_add(count - 1).is_none() {
            return Err(broken());
        }
        found.push((first, count));
    }
    found.sort_unstable();
    let mut next: u32 = 0;
    let mut ranges = Vec::new();
    for (host_id, size) in found {
        ranges.push(IdMapping { container_id: next, host_id, size });
        match next.checked_add(size) {
            Some(after) => next = after,
            None => break,
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_counted_on() {
        let text = "# a comment\nann:200000:100\nbob:1:1\n\n1000:100000:65536\n";
        let range = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        assert_eq!(parse(text, "ann", 1000).unwrap(), [range(0, 100_000, 65536), range(65536, 200_000, 100)]);
        assert_eq!(parse(text, "eve", 7).unwrap(), []);
        for wrong in ["ann:1", "ann:a:1", "ann:1:0", "ann:4294967295:2", "ann:1:2:3"] {
            assert!(parse(wrong, "ann", 1000).unwrap_err().to_string().contains(wrong), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_inside(text in "(a:[0-9]{1,10}:[0-9]{1,10}\n){0,5}") {
            if let Ok(ranges) = parse(&text, "a", 1) {
                let mut next = 0u64;
                for range in ranges {
                    prop_assert_eq!(u64::from(range.container_id), next);
                    next += u64::from(range.size);
                }
            }
        }
    }
}
