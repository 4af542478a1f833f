//! Images: list row, inspect, history and the small answers.

use std::collections::BTreeMap;

use crate::container::{Config, GraphDriver};

record! {
    /// A row of `GET /images/json`.
    pub struct ImageSummary {
        /// -1 where not computed.
        containers: i64,
        /// Unix seconds.
        created: i64,
        id: String,
        labels: Option<BTreeMap<String, String>>,
        parent_id: String,
        repo_digests: Option<Vec<String>>,
        repo_tags: Option<Vec<String>>,
        shared_size: i64,
        size: i64,
        virtual_size[omitempty]: i64,
    }

    /// `GET /images/{name}/json`.
    pub struct ImageInspect {
        id: String,
        repo_tags: Vec<String>,
        repo_digests: Vec<String>,
        parent: String,
        comment: String,
        created[omitempty]: String,
        container[omitempty]: String,
        container_config[omitempty]: Option<Config>,
        docker_version: String,
        author: String,
        config: Option<Config>,
        architecture: String,
        variant[omitempty]: String,
        os: String,
        os_version[omitempty]: String,
        size: i64,
        virtual_size[omitempty]: i64,
        graph_driver: GraphDriver,
        #[serde(rename = "RootFS")]
        root_fs: RootFs,
        metadata: Metadata,
    }

    pub struct RootFs {
        #[serde(rename = "Type")]
        kind[omitempty]: String,
        layers[omitempty]: Vec<String>,
    }

    pub struct Metadata {
        last_tag_time[omitempty]: String,
    }

    /// A row of `GET /images/{name}/history`.
    pub struct HistoryRow {
        comment: String,
        created: i64,
        created_by: String,
        id: String,
        size: i64,
        tags: Option<Vec<String>>,
    }

    /// A row of `DELETE /images/{name}`: one of the two.
    pub struct ImageDeleted {
        deleted[omitempty]: String,
        untagged[omitempty]: String,
    }

    /// `POST /images/prune`.
    pub struct ImagesPruned {
        images_deleted: Option<Vec<ImageDeleted>>,
        space_reclaimed: u64,
    }

    /// A row of `GET /images/search`.
    pub struct SearchRow {
        #[serde(rename = "star_count")]
        star_count: i64,
        #[serde(rename = "is_official")]
        is_official: bool,
        #[serde(rename = "name")]
        name: String,
        #[serde(rename = "is_automated")]
        is_automated: bool,
        #[serde(rename = "description")]
        description: String,
    }

    /// `POST /commit`.
    pub struct Committed {
        id: String,
    }
}
