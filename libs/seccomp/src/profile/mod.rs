//! Docker's profile format: a profile with conditions on capabilities, architecture and kernel,
//! which becomes a plain one for one container.
//!
//! `--security-opt seccomp=FILE` takes this format; [`docker_default`] is the one without it.
//!
//! ```
//! use wherry_seccomp::{Arch, profile::{Target, docker_default}};
//! let target = Target { capabilities: &["CAP_CHOWN"], arch: Arch::X86_64, kernel: (6, 1) };
//! let oci: runtime_spec::Seccomp = docker_default().resolve(&target).unwrap(); // linux.seccomp
//! assert_eq!(oci.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
//! ```

mod default;
mod resolve;

pub use default::docker_default;
pub use resolve::{Target, kernel_version};

use std::fmt;

use errdefs::Kind;
use runtime_spec::SyscallArg;
use serde::{Deserialize, Deserializer, Serialize};

/// A profile in Docker's format, as JSON. Unknown fields are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    pub default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The architectures, when `arch_map` is empty.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub architectures: Vec<String>,
    /// The architectures by the native one.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub arch_map: Vec<ArchMapping>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub flags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    #[serde(deserialize_with = "nullable")]
    pub syscalls: Vec<Rule>,
}

/// What is in the filter on one native architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchMapping {
    pub architecture: String,
    #[serde(deserialize_with = "nullable")]
    pub sub_architectures: Vec<String>,
}

/// A rule with conditions on where it counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// The old way to name one call.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub names: Vec<String>,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub args: Vec<SyscallArg>,
    /// The rule counts where all of these hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub includes: Option<Conditions>,
    /// The rule does not count where any of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excludes: Option<Conditions>,
}

/// Conditions on a container and its host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conditions {
    /// Capabilities in the bounding set: all of them to include, any of them to exclude.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub caps: Vec<String>,
    /// Any of them, in Docker's words: "amd64", "arm64".
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub arches: Vec<String>,
    /// "4.8": this kernel or a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

/// A profile that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileError {
    BothArchitectures,
    BothNames,
    KernelVersion(String),
}

impl ProfileError {
    /// The class of this failure.
    pub fn kind(&self) -> Kind {
        Kind::InvalidArgument
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::BothArchitectures => f.write_str(
                "both 'architectures' and 'archMap' are specified in the seccomp profile, \
                 use either 'architectures' or 'archMap'",
            ),
            ProfileError::BothNames => f.write_str(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
            ),
            ProfileError::KernelVersion(text) => {
                write!(f, "invalid kernel version {text:?} in seccomp profile")
            }
        }
    }
}

impl std::error::Error for ProfileError {}

/// Go writers put `null` where they mean an empty list.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
