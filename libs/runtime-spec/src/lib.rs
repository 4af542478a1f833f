//! The OCI runtime specification 1.3 as small serde types.
//!
//! Unknown fields are ignored, `null` reads as the default (Go writers emit it), and what is
//! empty is left out when written; numbers and truth values never are. Words such as namespace kinds stay strings here: who uses them parses
//! them, so that a checker can name every wrong word by its JSON path.

#[macro_use]
mod shape;
mod capability;
mod linux;
mod process;
mod resources;
mod seccomp;
mod state;

pub use capability::CAPABILITIES;
pub use linux::*;
pub use process::*;
pub use resources::*;
pub use seccomp::*;
pub use state::*;

use std::collections::BTreeMap;

/// The version of the specification that these types follow.
pub const VERSION: &str = "1.3.0";

shape! {
    /// A bundle's `config.json` (config.md).
    pub struct Spec {
        pub oci_version: String,
        pub process: Option<Process>,
        pub root: Option<Root>,
        pub hostname: String,
        pub domainname: String,
        pub mounts: Vec<Mount>,
        pub hooks: Option<Hooks>,
        pub annotations: BTreeMap<String, String>,
        pub linux: Option<Linux>,
    }
}

shape! {
    /// The container's root filesystem (config.md#root).
    pub struct Root {
        /// Absolute, or relative to the bundle.
        pub path: String,
        pub readonly: bool,
    }
}

shape! {
    /// One mount (config.md#mounts).
    pub struct Mount {
        pub destination: String,
        #[serde(rename = "type")]
        pub kind: String,
        pub source: String,
        pub options: Vec<String>,
        pub uid_mappings: Vec<IdMapping>,
        pub gid_mappings: Vec<IdMapping>,
    }
}

shape! {
    /// Programs run at points of the lifecycle (config.md#posix-platform-hooks).
    pub struct Hooks {
        pub prestart: Vec<Hook>,
        pub create_runtime: Vec<Hook>,
        pub create_container: Vec<Hook>,
        pub start_container: Vec<Hook>,
        pub poststart: Vec<Hook>,
        pub poststop: Vec<Hook>,
    }
}

shape! {
    /// One hook.
    pub struct Hook {
        pub path: String,
        pub args: Vec<String>,
        pub env: Vec<String>,
        /// Seconds until the hook is killed.
        pub timeout: Option<i64>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_unknown_fields_are_read_as_nothing() {
        let text = r#"{"ociVersion":"1.0.2","process":{"args":null,"user":{"uid":7},"cwd":"/"},
            "mounts":null,"vm":{"x":1},"linux":{"namespaces":[{"type":"pid"}],"resources":null}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        assert_eq!(spec.process.as_ref().unwrap().user.uid, 7);
        assert!(spec.mounts.is_empty());
        assert_eq!(spec.linux.unwrap().namespaces[0].kind, "pid");
    }

    #[test]
    fn a_uid_beyond_32_bits_is_refused() {
        let text = r#"{"process":{"user":{"uid":4294967296}}}"#;
        assert!(serde_json::from_str::<Spec>(text).is_err());
    }

    #[test]
    fn names_are_the_specifications() {
        let spec = Spec {
            oci_version: VERSION.into(),
            mounts: vec![Mount { destination: "/a".into(), kind: "bind".into(), ..Mount::default() }],
            ..Spec::default()
        };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(text, r#"{"ociVersion":"1.3.0","mounts":[{"destination":"/a","type":"bind"}]}"#);
    }

    #[test]
    fn required_zeros_are_written() {
        let text = |value: serde_json::Value| value.to_string();
        let rule = serde_json::to_value(DeviceRule { access: "rwm".into(), ..Default::default() });
        assert_eq!(text(rule.unwrap()), r#"{"access":"rwm","allow":false}"#);
        let mapping = serde_json::to_value(IdMapping { size: 1, ..Default::default() });
        assert_eq!(text(mapping.unwrap()), r#"{"containerID":0,"hostID":0,"size":1}"#);
        let process = serde_json::to_value(Process::default()).unwrap();
        assert_eq!(text(process["user"].clone()), r#"{"gid":0,"uid":0}"#);
        let device = serde_json::to_value(ThrottleDevice { major: 8, ..Default::default() });
        assert_eq!(text(device.unwrap()), r#"{"major":8,"minor":0,"rate":0}"#);
    }
}
