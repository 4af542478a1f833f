//! Rules of the Linux part.

use ::process::scheduling;
use namespaces::Kind;
use runtime_spec::{IntelRdt, Linux, Spec};

use super::process::{NO_SELINUX, selinux_is_enabled};
use super::{Faults, sysctl};

pub fn check(spec: &Spec, linux: &Linux, faults: &mut Faults) {
    let kinds = namespaces(linux, faults);
    let has = |kind| kinds.contains(&kind);
    let shares_mounts = !has(Kind::Mount);
    faults.unless(
        linux.rootfs_propagation.is_empty() || !shares_mounts,
        "/linux/rootfsPropagation",
        "needs a mount namespace",
    );
    faults.unless(
        !has(Kind::User) || !shares_mounts,
        "/linux/namespaces",
        "user needs a mount namespace, too",
    );
    faults.unless(
        spec.hostname.is_empty() || has(Kind::Uts),
        "/hostname",
        "unable to set hostname without a private UTS namespace",
    );
    faults.unless(
        spec.domainname.is_empty() || has(Kind::Uts),
        "/domainname",
        "unable to set domainname without a private UTS namespace",
    );
    user(linux, has(Kind::User), faults);
    time(linux, has(Kind::Time), faults);
    for key in linux.sysctl.keys() {
        sysctl::check(key, linux, faults);
    }
    devices(linux, faults);
    let rules = linux.resources.as_ref().map_or(&[][..], |resources| &resources.devices);
    if let Some((place, error)) = cgroups::device_fault(rules) {
        faults.add(&format!("/linux/resources/devices/{place}"), error);
    }
    // Read-only ones are found from the root, as runc has it.
    for (index, path) in linux.masked_paths.iter().enumerate() {
        let at = format!("/linux/maskedPaths/{index}");
        faults.unless(path.starts_with('/'), &at, "must be an absolute path");
    }
    let propagation = linux.rootfs_propagation.as_str();
    if !propagation.is_empty() && rootfs::propagation_of(propagation).is_none() {
        faults.add("/linux/rootfsPropagation", format_args!("{propagation:?} does not exist"));
    }
    if let Some(Err(error)) = linux.personality.as_ref().map(scheduling::personality) {
        faults.add("/linux/personality", error);
    }
    if let Some(Err(error)) = linux.memory_policy.as_ref().map(scheduling::memory_policy) {
        faults.add("/linux/memoryPolicy", error);
    }
    let own = [("hostname", &spec.hostname), ("domainname", &spec.domainname)];
    for (name, _) in own.into_iter().filter(|(_, value)| !value.is_empty()) {
        let key = format!("kernel.{name}");
        faults.unless(
            !linux.sysctl.contains_key(&key),
            &format!("/linux/sysctl/{key}"),
            format_args!("sysctl {key:?} is not allowed as it conflicts with the OCI {name:?} field"),
        );
    }
    if !linux.mount_label.is_empty() {
        faults.unless(selinux_is_enabled(), "/linux/mountLabel", NO_SELINUX);
    }
    net_devices(linux, has(Kind::Network), faults);
    if let Some(wanted) = &linux.intel_rdt {
        intel_rdt(wanted, faults);
    }
}

/// What can be said of it before the filesystem is looked at.
fn intel_rdt(wanted: &IntelRdt, faults: &mut Faults) {
    let class = wanted.clos_id.as_str();
    let plain = class == "/" || !(class.contains('/') || matches!(class, "." | ".."));
    faults.unless(plain, "/linux/intelRdt/closID", "is no name of a directory");
    let fields = [("l3CacheSchema", &wanted.l3_cache_schema), ("memBwSchema", &wanted.mem_bw_schema)];
    for (name, line) in fields.into_iter().filter(|(_, line)| !line.is_empty()) {
        let at = format!("/linux/intelRdt/{name}");
        faults.unless(resctrl::is_line(line), &at, "is no line of a schemata file");
    }
    let bandwidth = wanted.mem_bw_schema.as_str();
    let named = bandwidth.is_empty() || bandwidth.starts_with("MB:");
    faults.unless(named, "/linux/intelRdt/memBwSchema", "must start with MB:");
    for (index, line) in wanted.schemata.iter().enumerate() {
        let at = format!("/linux/intelRdt/schemata/{index}");
        faults.unless(resctrl::is_line(line), &at, "is no line of a schemata file");
    }
    for (name, on) in [("enableCMT", wanted.enable_cmt), ("enableMBM", wanted.enable_mbm)] {
        let at = format!("/linux/intelRdt/{name}");
        faults.unless(!on, &at, "is no more: use enableMonitoring");
    }
}

fn net_devices(linux: &Linux, has_network: bool, faults: &mut Faults) {
    let devices = &linux.net_devices;
    faults.unless(devices.is_empty() || has_network, "/linux/netDevices", "needs a network namespace");
    // IFNAMSIZ, with the nul byte.
    const NAME_MAX: usize = 15;
    let valid = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.len() <= NAME_MAX
            && !name.contains(|letter: char| matches!(letter, '/' | ':') || letter.is_whitespace())
    };
    let mut names = Vec::new();
    for (host_name, device) in devices {
        let at = format!("/linux/netDevices/{host_name}");
        let name = if device.name.is_empty() { host_name } else { &device.name };
        faults.unless(valid(host_name) && valid(name), &at, "is no name of a network device");
        faults.unless(!names.contains(&name), &at, format_args!("{name:?} is given twice"));
        names.push(name);
    }
}

fn namespaces(linux: &Linux, faults: &mut Faults) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let at = format!("/linux/namespaces/{index}");
        match Kind::parse(&namespace.kind) {
            Err(error) => faults.add(&format!("{at}/type"), error),
            Ok(kind) => {
                let first = !kinds.contains(&kind);
                faults.unless(first, &at, format_args!("{} is given twice", kind.word()));
                kinds.push(kind);
            }
        }
        let path = namespace.path.as_str();
        let absolute = path.is_empty() || path.starts_with('/');
        faults.unless(absolute, &format!("{at}/path"), "must be an absolute path");
    }
    kinds
}

fn user(linux: &Linux, has_user: bool, faults: &mut Faults) {
    let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    let joined = linux.namespaces.iter().any(|ns| ns.kind == "user" && !ns.path.is_empty());
    faults.unless(!mapped || has_user, "/linux/uidMappings", "needs a user namespace");
    if has_user && !joined {
        let both = !linux.uid_mappings.is_empty() && !linux.gid_mappings.is_empty();
        faults.unless(both, "/linux/uidMappings", "a new user namespace needs uid and gid mappings");
    }
    // The kernel takes at most 340 lines, user_namespaces(7).
    const LINES_MAX: usize = 340;
    for (name, list) in [("uidMappings", &linux.uid_mappings), ("gidMappings", &linux.gid_mappings)] {
        let at = format!("/linux/{name}");
        faults.unless(list.len() <= LINES_MAX, &at, "has more than 340 entries");
        for (index, mapping) in list.iter().enumerate() {
            let whole = mapping.size > 0
                && mapping.host_id.checked_add(mapping.size - 1).is_some()
                && mapping.container_id.checked_add(mapping.size - 1).is_some();
            faults.unless(whole, &format!("{at}/{index}/size"), "is zero or too large");
        }
    }
}

fn time(linux: &Linux, has_time: bool, faults: &mut Faults) {
    let offsets = &linux.time_offsets;
    faults.unless(offsets.is_empty() || has_time, "/linux/timeOffsets", "needs a time namespace");
    for (clock, offset) in offsets {
        let at = format!("/linux/timeOffsets/{clock}");
        let known = matches!(clock.as_str(), "monotonic" | "boottime");
        faults.unless(known, &at, "is not a clock that can be set back");
        faults.unless(offset.nanosecs < 1_000_000_000, &at, "has a second of nanoseconds or more");
    }
}

fn devices(linux: &Linux, faults: &mut Faults) {
    for (index, device) in linux.devices.iter().enumerate() {
        let at = format!("/linux/devices/{index}");
        faults.unless(device.path.starts_with('/'), &format!("{at}/path"), "must be an absolute path");
        let known = matches!(device.kind.as_str(), "c" | "u" | "b" | "p");
        faults.unless(known, &format!("{at}/type"), "is none of c, u, b, p");
        let number = |number: i64| (0..=i64::from(u32::MAX)).contains(&number);
        let numbered = device.kind == "p" || (number(device.major) && number(device.minor));
        faults.unless(numbered, &at, "needs major and minor");
    }
}
