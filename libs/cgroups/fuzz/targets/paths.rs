//! Any mountinfo, any /proc/PID/cgroup, any cgroups path: what is resolved stays below the mount
//! points and is never one of them.
#![no_main]

use cgroups::systemd::Scope;
use cgroups::{Cgroup, Host};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str, &str)| {
    let (mounts, groups, path) = data;
    let Ok(host) = Host::parse(mounts, groups) else { return };
    let scope = Scope::parse(path, "id", false).and_then(|s| s.cgroup(&host));
    for group in [Cgroup::resolve(&host, path, "id"), scope].into_iter().flatten() {
        for resolved in group.paths().values() {
            let mut tops = host.v1.iter().chain(&host.unified).map(|h| &h.mount_point);
            assert!(tops.any(|top| resolved.starts_with(top) && resolved != top));
        }
        if let Ok(below) = group.subgroup(&[path.to_owned()]) {
            for (name, resolved) in below.paths() {
                assert!(resolved.starts_with(&group.paths()[&name]));
            }
        }
    }
});
