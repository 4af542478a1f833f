//! A profile as the runtime specification words it (runtime-spec 1.3 config-linux.md#seccomp).
//!
//! Plain structs with the specification's own JSON names: reads `linux.seccomp` of a config.json
//! and writes it. Actions, operators, architectures and flags are the specification's constants as
//! strings, because a profile may hold words newer than this program; the compiler checks them.

use serde::{Deserialize, Serialize};

/// `linux.seccomp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinuxSeccomp {
    /// What happens to a call that no rule names, "SCMP_ACT_ERRNO".
    pub default_action: String,
    /// The errno of a default action SCMP_ACT_ERRNO or the data of SCMP_ACT_TRACE; EPERM if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// "SCMP_ARCH_X86_64"; the native architecture is always included.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub architectures: Vec<String>,
    /// "SECCOMP_FILTER_FLAG_LOG".
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub flags: Vec<String>,
    /// The socket on which an agent takes the notify descriptor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// Handed to the agent as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub syscalls: Vec<Syscall>,
}

/// One rule: an action for some calls when all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall {
    pub names: Vec<String>,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub args: Vec<Arg>,
}

/// One condition on one argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arg {
    /// 0 to 5.
    pub index: u32,
    pub value: u64,
    /// The second operand of SCMP_CMP_MASKED_EQ: `arg & value == value_two`.
    #[serde(skip_serializing_if = "is_zero")]
    pub value_two: u64,
    /// "SCMP_CMP_EQ".
    pub op: String,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Go writers put `null` where they mean an empty list.
fn nullable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
