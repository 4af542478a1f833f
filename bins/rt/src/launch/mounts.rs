//! The mounts of a configuration, made ready by the runtime for init.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use cgroups::{Cgroup, Host};
use namespaces::{Kind, Plan};
use rootfs::{Hierarchy, Prepared};
use runtime_spec::{IdMapping, Linux, Mount};

use super::Bundle;
use crate::failure::{Failure, Tried};

/// Reads the mounts, and opens what the container itself could not: with a user namespace the
/// sources of binds, and trees whose ids are mapped.
pub fn prepare(bundle: &Bundle, linux: &Linux, plan: &Plan) -> Result<Vec<Prepared>, Failure> {
    // Who is not privileged here gets the right to copy trees with the user namespace only.
    let opens = plan.has(Kind::User) && rustix::process::geteuid().is_root();
    let mut mounts = Vec::with_capacity(bundle.spec.mounts.len());
    for entry in &bundle.spec.mounts {
        let mut mount = Prepared::read(entry, &bundle.directory, &bundle.rootfs)?;
        let mapped = !entry.uid_mappings.is_empty() || mount.options.idmap.is_some();
        if mapped && mount.options.bind {
            let namespace = user_namespace(&mount.options, entry, linux, plan)?;
            match mount.inside {
                Some(_) => mount.user_namespace = Some(namespace),
                None => mount.open(Some(namespace.as_fd()))?,
            }
        } else if mount.inside.is_none() && opens && mount.options.bind && !mount.options.copy_symlink {
            mount.open(None)?;
        }
        mounts.push(mount);
    }
    Ok(mounts)
}

/// Whose ids a mount is mapped by: its option's, its own, or the container's, which may be those of
/// a namespace that it joins.
fn user_namespace(
    options: &mount::Options,
    entry: &Mount,
    linux: &Linux,
    plan: &Plan,
) -> Result<OwnedFd, Failure> {
    let read = |ranges: &[mount::Range]| {
        let mapping = |[container_id, host_id, size]: [u32; 3]| IdMapping { container_id, host_id, size };
        ranges.iter().copied().map(mapping).collect::<Vec<_>>()
    };
    let joined = plan.joined.iter().find(|(kind, _)| *kind == Kind::User);
    Ok(match (&options.ranges, joined) {
        (Some(ranges), _) => namespaces::user_namespace_with(&read(&ranges.uids), &read(&ranges.gids))?,
        (None, _) if !entry.uid_mappings.is_empty() => {
            namespaces::user_namespace_with(&entry.uid_mappings, &entry.gid_mappings)?
        }
        (None, Some((_, path))) => File::open(path).tried(format!("cannot open {}", path.display()))?.into(),
        (None, None) => namespaces::user_namespace_with(&linux.uid_mappings, &linux.gid_mappings)?,
    })
}

/// The host's v1 hierarchies as a container with a cgroup mount sees them.
///
/// `cgroup` is the container's own; without one it is left in the runtime's.
pub fn hierarchies(host: &Host, cgroup: Option<&Cgroup>) -> Vec<Hierarchy> {
    let paths = cgroup.map(Cgroup::paths).unwrap_or_default();
    host.v1
        .iter()
        .filter_map(|hierarchy| {
            let first = hierarchy.controllers.first()?;
            let name = hierarchy.mount_point.file_name()?.to_string_lossy().into_owned();
            Some(Hierarchy { name, directory: paths.get(first).unwrap_or(&hierarchy.own).clone() })
        })
        .collect()
}
