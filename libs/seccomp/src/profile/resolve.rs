//! From a profile with conditions to the profile of one container.

use runtime_spec::{Seccomp, Syscall};

use super::{Conditions, Profile, ProfileError, Rule};
use crate::arch::Arch;

/// The container and host that a profile is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a, S = &'a str> {
    /// The bounding set, "CAP_SYS_ADMIN".
    pub capabilities: &'a [S],
    pub arch: Arch,
    /// Major and minor number, see [`kernel_version`].
    pub kernel: (u32, u32),
}

/// The two leading numbers of a kernel release such as "6.1.0-18-amd64".
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    Some((major, minor[..digits].parse().ok()?))
}

/// What Docker calls an architecture in `arches`.
fn docker_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::X86 => "x86",
        Arch::X32 => "x32",
        Arch::Aarch64 => "arm64",
        Arch::Arm => "arm",
        Arch::Riscv64 => "riscv64",
        Arch::S390x => "s390x",
        Arch::Ppc64le => "ppc64le",
    }
}

impl Profile {
    /// The `linux.seccomp` of one container: the rules whose conditions hold, in their order.
    /// `None` for an empty profile, which means no filter.
    ///
    /// Errors: a profile that says one thing twice, or a kernel version that is none.
    pub fn try_resolve<S: AsRef<str>>(self, target: &Target<'_, S>) -> Result<Option<Seccomp>, ProfileError> {
        if self.default_action.is_empty() && self.syscalls.is_empty() {
            return Ok(None);
        }
        self.resolve(target).map(Some)
    }

    /// As [`Profile::try_resolve`], for a profile that is known not to be empty.
    pub fn resolve<S: AsRef<str>>(self, target: &Target<'_, S>) -> Result<Seccomp, ProfileError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(ProfileError::BothArchitectures);
        }
        let native = target.arch.spec_name();
        let mut architectures = self.architectures;
        if let Some(mapping) = self.arch_map.into_iter().find(|m| m.architecture == native) {
            architectures.push(mapping.architecture);
            architectures.extend(mapping.sub_architectures);
        }
        let mut syscalls = Vec::with_capacity(self.syscalls.len());
        for rule in self.syscalls {
            if target.wants(&rule)? {
                syscalls.push(plain(rule)?);
            }
        }
        Ok(Seccomp {
            default_action: self.default_action,
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: (!self.flags.is_empty()).then_some(self.flags),
            listener_path: self.listener_path,
            listener_metadata: self.listener_metadata,
            syscalls,
        })
    }
}

impl<S: AsRef<str>> Target<'_, S> {
    fn wants(&self, rule: &Rule) -> Result<bool, ProfileError> {
        if let Some(excludes) = &rule.excludes
            && (self.is_one_of(&excludes.arches)
                || excludes.caps.iter().any(|c| self.has(c))
                || self.is_new_enough(excludes)?.unwrap_or(false))
        {
            return Ok(false);
        }
        let Some(includes) = &rule.includes else { return Ok(true) };
        Ok((includes.arches.is_empty() || self.is_one_of(&includes.arches))
            && includes.caps.iter().all(|c| self.has(c))
            && self.is_new_enough(includes)?.unwrap_or(true))
    }

    fn is_one_of(&self, arches: &[String]) -> bool {
        arches.iter().any(|a| a == docker_name(self.arch))
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c.as_ref() == capability)
    }

    /// `None` without a condition on the kernel.
    fn is_new_enough(&self, conditions: &Conditions) -> Result<Option<bool>, ProfileError> {
        let Some(text) = &conditions.min_kernel else { return Ok(None) };
        let version = kernel_version(text).filter(|v| *v != (0, 0));
        let version = version.ok_or_else(|| ProfileError::KernelVersion(text.clone()))?;
        Ok(Some(self.kernel >= version))
    }
}

fn plain(rule: Rule) -> Result<Syscall, ProfileError> {
    let names = match (rule.name.is_empty(), rule.names.is_empty()) {
        (false, false) => return Err(ProfileError::BothNames),
        (false, true) => vec![rule.name],
        (true, _) => rule.names,
    };
    Ok(Syscall { names, action: rule.action, errno_ret: rule.errno_ret, args: rule.args })
}
