//! A sandbox without a container: namespaces that its containers enter, kept by a process that does nothing.

use super::config::{NODE, NamespaceModes, POD, PodSandboxConfig};
use containerd_api::runtime::sandbox::v1::CreateSandboxRequest;
use containerd_api::{is, unpack};
use errdefs::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use syscalls::hold::{self, Hold, Step};

/// Kernel settings of an IPC namespace (namespaces(7), ipc_namespaces(7)).
const IPC_SETTINGS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Which namespaces, and how they are set up.
pub(super) struct Namespaces {
    flags: UnshareFlags,
    network: Option<OwnedFd>,
    hostname: String,
    /// Names and values, as they were asked for.
    sysctls: Vec<(String, String)>,
}

impl Namespaces {
    /// What a daemon asks for: the network namespace that it made, and what Kubernetes says, if it speaks for it.
    pub(super) fn of(request: &CreateSandboxRequest) -> Result<Namespaces> {
        let pod = match request.options.as_ref().filter(|any| is::<PodSandboxConfig>(any)) {
            Some(any) => unpack(any).map_err(|cause| {
                Error::invalid_argument("cannot read the pod's config").with_source(cause)
            })?,
            None => PodSandboxConfig::default(),
        };
        let linux = pod.linux.unwrap_or_default();
        let modes = linux.security.and_then(|security| security.namespaces).unwrap_or_default();
        if modes.user.as_ref().is_some_and(|user| user.mode == POD) {
            let text = "a user namespace for a sandbox without a spec is not supported";
            return Err(Error::unimplemented(text).with_hint("Give the sandbox a spec with the namespace."));
        }
        let network = open_network(&request.netns_path)?;
        let flags = flags(&modes);
        let sysctls: Vec<_> = linux.sysctls.into_iter().collect();
        for (name, _) in &sysctls {
            check_setting(name, network.is_some(), flags.contains(UnshareFlags::NEWIPC))?;
        }
        Ok(Namespaces { flags, network, hostname: pod.hostname, sysctls })
    }

    /// Makes them; they are there as long as the process is.
    pub(super) fn start(&self) -> Result<Pid> {
        let settings: Vec<(CString, Vec<u8>)> = self
            .sysctls
            .iter()
            .filter_map(|(name, value)| {
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                // A name with a zero byte was refused before.
                Some((CString::new(path).ok()?, value.clone().into_bytes()))
            })
            .collect();
        let hold = Hold {
            flags: u64::from(self.flags.bits()),
            network: self.network.as_ref().map(AsFd::as_fd),
            hostname: Some(self.hostname.as_bytes()).filter(|name| !name.is_empty()),
            settings: &settings,
        };
        hold::start(&hold).map_err(|cause| {
            let what = match cause.step {
                Step::Setting(place) => self.sysctls.get(place).map_or("", |(name, _)| name.as_str()),
                _ => "",
            };
            Error::unknown(format!("cannot make the sandbox's namespaces {what}").trim_end().to_owned())
                .with_source(cause)
        })
    }
}

fn flags(modes: &NamespaceModes) -> UnshareFlags {
    let mut flags = UnshareFlags::empty();
    // As in Kubernetes, the host's network comes with the host's name.
    flags.set(UnshareFlags::NEWUTS, modes.network != NODE);
    flags.set(UnshareFlags::NEWIPC, modes.ipc != NODE);
    flags.set(UnshareFlags::NEWPID, modes.pid == POD);
    flags
}

fn open_network(path: &str) -> Result<Option<OwnedFd>> {
    if path.is_empty() {
        return Ok(None);
    }
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    opened.map(Some).map_err(|cause| {
        let text = format!("cannot open the network namespace {path}");
        Error::invalid_argument(text).with_source(std::io::Error::from(cause))
    })
}

/// Refuses a setting that would be the host's.
fn check_setting(name: &str, own_network: bool, own_ipc: bool) -> Result<()> {
    let path = name.replace('/', ".");
    let is_plain = path.split('.').all(|part| !part.is_empty()) && !name.contains('\0');
    let is_own = (own_network && path.starts_with("net."))
        || (own_ipc && (IPC_SETTINGS.contains(&path.as_str()) || path.starts_with("fs.mqueue.")));
    if is_plain && is_own {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("sysctl {name:?} is not the sandbox's own"))
        .with_hint("Only settings of namespaces that the sandbox has for itself can be set."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::config::{Linux, Security, UserNamespace};
    use containerd_api::pack;

    fn request(pod: &PodSandboxConfig) -> CreateSandboxRequest {
        CreateSandboxRequest { options: Some(pack(pod)), ..Default::default() }
    }

    fn pod(modes: NamespaceModes, sysctls: &[&str]) -> PodSandboxConfig {
        let security = Some(Security { namespaces: Some(modes) });
        let sysctls = sysctls.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        PodSandboxConfig { hostname: "pod".into(), linux: Some(Linux { security, sysctls }) }
    }

    #[test]
    fn modes_are_the_pods() {
        let flags = |network, pid, ipc| {
            Namespaces::of(&request(&pod(NamespaceModes { network, pid, ipc, user: None }, &[])))
                .unwrap()
                .flags
        };
        assert_eq!(flags(POD, 1, POD), UnshareFlags::NEWUTS | UnshareFlags::NEWIPC);
        assert_eq!(flags(NODE, POD, NODE), UnshareFlags::NEWPID);
        let plain = Namespaces::of(&CreateSandboxRequest::default()).unwrap();
        assert_eq!(plain.flags, UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWPID);
    }

    #[test]
    fn what_is_not_its_own_is_refused() {
        let refused = |pod: &PodSandboxConfig| Namespaces::of(&request(pod)).err().unwrap().to_string();
        let modes = NamespaceModes { ipc: NODE, ..Default::default() };
        for name in ["kernel.shmmax", "net.ipv4.ip_forward", "vm.swappiness", "net..x", "net.ipv4.x\0y"] {
            assert!(refused(&pod(modes.clone(), &[name])).contains("is not the sandbox's own"), "{name}");
        }
        assert!(Namespaces::of(&request(&pod(NamespaceModes::default(), &["kernel.shmmax"]))).is_ok());
        let user = Some(UserNamespace { mode: POD });
        assert!(refused(&pod(NamespaceModes { user, ..Default::default() }, &[])).contains("user namespace"));
        let absent = CreateSandboxRequest { netns_path: "/proc/self/no".into(), ..Default::default() };
        assert!(Namespaces::of(&absent).err().unwrap().to_string().contains("/proc/self/no"));
    }

    #[test]
    fn dots_in_a_path_do_not_lead_out() {
        assert!(check_setting("net/../kernel.core_pattern", true, true).is_err());
        assert!(check_setting("net.ipv4.conf.eth0/1.forwarding", true, false).is_ok());
    }
}
