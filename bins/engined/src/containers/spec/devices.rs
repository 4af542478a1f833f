//! Device nodes of the host in a container.

use runtime_spec::{Device, DeviceRule};

/// A device node of the host, looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct HostDevice {
    /// Path in the container.
    pub path: String,
    pub is_block: bool,
    pub major: i64,
    pub minor: i64,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Letters of `rwm`.
    pub access: String,
}

impl HostDevice {
    fn kind(&self) -> String {
        if self.is_block { "b".into() } else { "c".into() }
    }

    pub fn node(&self) -> Device {
        Device {
            path: self.path.clone(),
            kind: self.kind(),
            major: self.major,
            minor: self.minor,
            file_mode: Some(self.mode),
            uid: Some(self.uid),
            gid: Some(self.gid),
        }
    }

    pub fn rule(&self) -> DeviceRule {
        DeviceRule {
            allow: true,
            kind: self.kind(),
            major: Some(self.major),
            minor: Some(self.minor),
            access: self.access.clone(),
        }
    }
}
