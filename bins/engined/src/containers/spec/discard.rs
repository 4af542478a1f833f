//! Wishes that this host cannot fulfil and a container runs without: dropped with a warning, as in Docker.

use engine_api::host_config::{HostConfig, Resources};
use errdefs::{Error, Result};

use super::kernel::{Kernel, is_within, numbers};

/// Drops what the host does not have, and says so.
///
/// # Errors
/// Processors or memory nodes that are not there.
pub fn discard(host: &mut HostConfig, kernel: &Kernel) -> Result<Vec<String>> {
    let mut warnings = of_resources(&mut host.resources, kernel)?;
    if host.network_mode == "host" && !host.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
        host.port_bindings.clear();
    }
    Ok(warnings)
}

/// The part of [`discard`] that `update` needs, too.
///
/// # Errors
/// As [`discard`].
pub fn of_resources(resources: &mut Resources, kernel: &Kernel) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut warn = |text: &str| warnings.push(text.to_owned());
    // Clients write "none" in several ways.
    resources.memory_swappiness = resources.memory_swappiness.filter(|value| *value != -1);
    resources.oom_kill_disable = resources.oom_kill_disable.filter(|on| *on || !kernel.is_unified);
    if resources.memory_swappiness.is_some() && kernel.is_unified {
        warn(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        );
        resources.memory_swappiness = None;
    }
    if resources.memory > 0 && resources.memory_swap != -1 && !kernel.has_swap_limit {
        warn(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
        );
        resources.memory_swap = -1;
    }
    if resources.oom_kill_disable == Some(true) && kernel.is_unified {
        warn("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
        resources.oom_kill_disable = None;
    }
    if resources.oom_kill_disable == Some(true) && resources.memory == 0 {
        warn(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
        );
    }
    if resources.kernel_memory != 0 {
        warn("Specifying a kernel memory limit is not supported any more. Limitation discarded.");
        resources.kernel_memory = 0;
    }
    if resources.cpu_percent != 0 {
        warn("linux does not support CPU percent. Percent discarded.");
        resources.cpu_percent = 0;
    }
    if resources.cpu_count != 0 {
        warn("linux does not support CPU count. Count discarded.");
        resources.cpu_count = 0;
    }
    if resources.blkio_weight > 0 && !kernel.has_blkio_weight {
        check_weight(resources.blkio_weight)?;
        warn("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.");
        resources.blkio_weight = 0;
    }
    if resources.blkio_weight_device.as_ref().is_some_and(|list| !list.is_empty())
        && !kernel.has_blkio_weight_device
    {
        warn(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
        );
        resources.blkio_weight_device = Some(Vec::new());
    }
    check_list("cpuset cpus", "CPUs", &resources.cpuset_cpus, &kernel.cpus)?;
    check_list("cpuset mems", "memory nodes", &resources.cpuset_mems, &kernel.mems)?;
    Ok(warnings)
}

/// # Errors
/// The weight is out of Docker's range.
pub fn check_weight(weight: u16) -> Result<()> {
    if weight > 0 && !(10..=1000).contains(&weight) {
        return Err(Error::invalid_argument("Range of blkio weight is from 10 to 1000"));
    }
    Ok(())
}

fn check_list(field: &str, what: &str, asked: &str, there: &str) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let Some(wanted) = numbers(asked) else {
        return Err(Error::invalid_argument(format!(
            "Invalid value {asked} for {field}: invalid format: {asked}"
        )));
    };
    if !is_within(&wanted, there) {
        return Err(Error::invalid_argument(format!(
            "Requested {what} are not available - requested {asked}, available: {there}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel {
        Kernel { has_swap_limit: true, cpus: "0-1".into(), mems: "0".into(), ..Kernel::default() }
    }

    #[test]
    fn what_the_kernel_has_stays() {
        let mut resources = Resources {
            memory: 8 << 20,
            cpuset_cpus: "0,1".into(),
            memory_swappiness: Some(7),
            ..Resources::default()
        };
        let before = resources.clone();
        assert!(of_resources(&mut resources, &kernel()).unwrap().is_empty());
        assert_eq!(resources, before);
    }

    #[test]
    fn what_it_has_not_goes_with_a_word() {
        let mut resources = Resources {
            memory_swappiness: Some(7),
            oom_kill_disable: Some(true),
            cpu_percent: 3,
            blkio_weight: 100,
            ..Resources::default()
        };
        let kernel = Kernel { is_unified: true, ..kernel() };
        let warnings = of_resources(&mut resources, &kernel).unwrap();
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert_eq!(resources, Resources::default());
    }

    #[test]
    fn processors_that_are_not_there_are_refused() {
        let ask = |cpus: &str| {
            let mut resources = Resources { cpuset_cpus: cpus.into(), ..Resources::default() };
            of_resources(&mut resources, &kernel()).unwrap_err().to_string()
        };
        assert_eq!(ask("9"), "Requested CPUs are not available - requested 9, available: 0-1");
        assert_eq!(ask("x"), "Invalid value x for cpuset cpus: invalid format: x");
    }
}
