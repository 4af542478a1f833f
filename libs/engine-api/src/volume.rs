//! Volumes.

use std::collections::BTreeMap;

record! {
    /// One volume; the answer of create and inspect, and a row of the list.
    pub struct Volume {
        created_at[omitempty]: String,
        driver: String,
        labels: Option<BTreeMap<String, String>>,
        mountpoint: String,
        name: String,
        options: Option<BTreeMap<String, String>>,
        scope: String,
        status[omitempty]: BTreeMap<String, serde_json::Value>,
        usage_data[omitempty]: Option<UsageData>,
    }

    /// Shown by `system df`; -1 where unknown.
    pub struct UsageData {
        ref_count: i64,
        size: i64,
    }

    /// `GET /volumes`.
    pub struct VolumeList {
        volumes: Option<Vec<Volume>>,
        warnings: Option<Vec<String>>,
    }

    /// `POST /volumes/create`.
    pub struct VolumeCreate {
        name[omitempty]: String,
        driver[omitempty]: String,
        driver_opts[omitempty]: BTreeMap<String, String>,
        labels[omitempty]: BTreeMap<String, String>,
    }

    /// `POST /volumes/prune`.
    pub struct VolumesPruned {
        volumes_deleted: Option<Vec<String>>,
        space_reclaimed: u64,
    }
}
