//! The process that a container runs (config.md#process).

shape! {
    pub struct Process {
        pub terminal: bool,
        pub console_size: Option<ConsoleSize>,
        pub user: User,
        pub args: Vec<String>,
        pub env: Vec<String>,
        pub cwd: String,
        pub capabilities: Option<Capabilities>,
        pub rlimits: Vec<Rlimit>,
        pub no_new_privileges: bool,
        pub apparmor_profile: String,
        pub oom_score_adj: Option<i32>,
        pub selinux_label: String,
        pub scheduler: Option<Scheduler>,
        #[serde(rename = "ioPriority")]
        pub io_priority: Option<IoPriority>,
        #[serde(rename = "execCPUAffinity")]
        pub exec_cpu_affinity: Option<CpuAffinity>,
    }
}

shape! {
    /// Size of the terminal in characters.
    pub struct ConsoleSize {
        pub height: u16,
        pub width: u16,
    }
}

shape! {
    pub struct User {
        pub uid: u32,
        pub gid: u32,
        pub umask: Option<u32>,
        pub additional_gids: Vec<u32>,
        pub username: String,
    }
}

shape! {
    /// Five capability sets by name, such as `CAP_KILL`.
    pub struct Capabilities {
        pub bounding: Vec<String>,
        pub effective: Vec<String>,
        pub inheritable: Vec<String>,
        pub permitted: Vec<String>,
        pub ambient: Vec<String>,
    }
}

shape! {
    pub struct Rlimit {
        #[serde(rename = "type")]
        pub kind: String,
        pub hard: u64,
        pub soft: u64,
    }
}

shape! {
    /// sched_setattr(2).
    pub struct Scheduler {
        pub policy: String,
        pub nice: i32,
        pub priority: i32,
        pub flags: Vec<String>,
        /// Nanoseconds.
        pub runtime: u64,
        /// Nanoseconds.
        pub deadline: u64,
        /// Nanoseconds.
        pub period: u64,
    }
}

shape! {
    /// ioprio_set(2).
    pub struct IoPriority {
        pub class: String,
        pub priority: i32,
    }
}

shape! {
    /// CPU lists of an exec'd process before and after it joins the cgroup.
    pub struct CpuAffinity {
        pub initial: String,
        #[serde(rename = "final")]
        pub last: String,
    }
}
