//! System call filters (config-linux.md#seccomp).

shape! {
    pub struct Seccomp {
        pub default_action: String,
        pub default_errno_ret: Option<u32>,
        pub architectures: Vec<String>,
        pub flags: Vec<String>,
        pub listener_path: String,
        pub listener_metadata: String,
        pub syscalls: Vec<Syscall>,
    }
}

shape! {
    /// One rule: all of `args` must match; any of `names` does.
    pub struct Syscall {
        pub names: Vec<String>,
        pub action: String,
        pub errno_ret: Option<u32>,
        pub args: Vec<SyscallArg>,
    }
}

/// One condition. Index and value are written even when they are 0: the specification requires
/// them, and crun refuses a config.json without.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyscallArg {
    pub index: u32,
    pub value: u64,
    /// The value compared with after masking by `value` (`SCMP_CMP_MASKED_EQ`).
    #[serde(skip_serializing_if = "crate::shape::is_default")]
    pub value_two: u64,
    pub op: String,
}
