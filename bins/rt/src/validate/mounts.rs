//! Rules of mounts.

use runtime_spec::Spec;

use super::Faults;

pub fn check(spec: &Spec, faults: &mut Faults) {
    for (index, entry) in spec.mounts.iter().enumerate() {
        let at = format!("/mounts/{index}");
        let place = format!("{at}/destination");
        faults.unless(!entry.destination.is_empty(), &place, "must not be empty");
        match mount::Options::parse(&entry.options) {
            Err(error) => faults.add(&format!("{at}/options"), error),
            Ok(options) => {
                let bind = options.bind || entry.kind == "bind";
                faults.unless(!entry.kind.is_empty() || bind, &format!("{at}/type"), "is missing");
                let source = format!("{at}/source");
                faults.unless(!bind || !entry.source.is_empty(), &source, "is missing");
                let mapped = options.idmap.is_some() || !entry.uid_mappings.is_empty();
                faults.unless(!mapped || bind, &at, "only bind mounts can be idmapped");
                // The kernel passes over what only a new filesystem can have.
                let foreign =
                    options.data.iter().map(|(key, _)| key.as_str()).find(|key| bind && *key != "ro");
                if let Some(word) = foreign.filter(|word| !mount::is_superblock_flag(word)) {
                    let what = "bind mounts cannot have any filesystem-specific options applied";
                    faults.add(&format!("{at}/options"), format_args!("{what}: {word:?}"));
                }
                let pairs = entry.uid_mappings.is_empty() == entry.gid_mappings.is_empty();
                faults.unless(pairs, &at, "needs both uidMappings and gidMappings");
            }
        }
    }
}
