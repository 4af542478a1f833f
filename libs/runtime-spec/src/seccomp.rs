//! System call filters (config-linux.md#seccomp).

shape! {
    pub struct Seccomp {
        pub default_action: String,
        pub default_errno_ret: Option<u32>,
        pub architectures: Vec<String>,
        /// None leaves them to the runtime.
        pub flags: Option<Vec<String>>,
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

shape! {
    /// One condition.
    pub struct SyscallArg {
        pub index: u32,
        pub value: u64,
        /// The value compared with after masking by `value` (`SCMP_CMP_MASKED_EQ`).
        pub value_two: u64,
        pub op: String,
    }
}
