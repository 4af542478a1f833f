//! Mounts: as asked for in HostConfig, and as they stand in a container.

use std::collections::BTreeMap;

record! {
    /// An entry of `HostConfig.Mounts`.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `npipe`, `cluster` or `image`.
        #[serde(rename = "Type")]
        kind[omitempty]: String,
        source[omitempty]: String,
        target[omitempty]: String,
        read_only[omitempty]: bool,
        consistency[omitempty]: String,
        bind_options[omitempty]: Option<BindOptions>,
        volume_options[omitempty]: Option<VolumeOptions>,
        image_options[omitempty]: Option<ImageOptions>,
        tmpfs_options[omitempty]: Option<TmpfsOptions>,
        cluster_options[omitempty]: Option<crate::Empty>,
    }

    pub struct BindOptions {
        propagation[omitempty]: String,
        non_recursive[omitempty]: bool,
        create_mountpoint[omitempty]: bool,
        read_only_non_recursive[omitempty]: bool,
        read_only_force_recursive[omitempty]: bool,
    }

    pub struct VolumeOptions {
        no_copy[omitempty]: bool,
        labels[omitempty]: BTreeMap<String, String>,
        subpath[omitempty]: String,
        driver_config[omitempty]: Option<Driver>,
    }

    pub struct ImageOptions {
        subpath[omitempty]: String,
    }

    /// A volume driver with its options.
    pub struct Driver {
        name[omitempty]: String,
        options[omitempty]: BTreeMap<String, String>,
    }

    pub struct TmpfsOptions {
        size_bytes[omitempty]: i64,
        /// Permission bits.
        mode[omitempty]: u32,
        options[omitempty]: Vec<Vec<String>>,
    }

    /// An entry of a container's `Mounts`.
    pub struct MountPoint {
        #[serde(rename = "Type")]
        kind[omitempty]: String,
        name[omitempty]: String,
        source: String,
        destination: String,
        driver[omitempty]: String,
        mode: String,
        #[serde(rename = "RW")]
        rw: bool,
        propagation: String,
    }
}
