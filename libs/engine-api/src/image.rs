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
        manifests[omitempty]: Vec<ManifestSummary>,
        descriptor[omitempty]: Option<Descriptor>,
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
        descriptor[omitempty]: Option<Descriptor>,
        manifests[omitempty]: Vec<ManifestSummary>,
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

    /// An OCI descriptor.
    pub struct Descriptor {
        #[serde(rename = "mediaType")]
        media_type: String,
        #[serde(rename = "digest")]
        digest: String,
        #[serde(rename = "size")]
        size: i64,
        #[serde(rename = "urls")]
        urls[omitempty]: Vec<String>,
        #[serde(rename = "annotations")]
        annotations[omitempty]: BTreeMap<String, String>,
        #[serde(rename = "platform")]
        platform[omitempty]: Option<Platform>,
        #[serde(rename = "artifactType")]
        artifact_type[omitempty]: String,
    }

    /// An OCI platform; other fields of an image's config are passed over.
    pub struct Platform {
        #[serde(rename = "architecture")]
        architecture: String,
        #[serde(rename = "os")]
        os: String,
        #[serde(rename = "os.version")]
        os_version[omitempty]: String,
        #[serde(rename = "os.features")]
        os_features[omitempty]: Vec<String>,
        #[serde(rename = "variant")]
        variant[omitempty]: String,
    }

    /// `GET /distribution/{name}/json`.
    pub struct Described {
        descriptor: Descriptor,
        platforms: Vec<Platform>,
    }

    /// One manifest of an image, with what of it is here.
    pub struct ManifestSummary {
        #[serde(rename = "ID")]
        id: String,
        descriptor: Descriptor,
        available: bool,
        size: ManifestSize,
        /// `image`, `attestation` or `unknown`.
        kind: String,
        image_data[omitempty]: Option<ImageData>,
        attestation_data[omitempty]: Option<AttestationData>,
    }

    /// Bytes that are here.
    pub struct ManifestSize {
        content: i64,
        total: i64,
    }

    /// Of manifests of kind `image`.
    pub struct ImageData {
        platform: Platform,
        containers: Vec<String>,
        size: UnpackedSize,
    }

    /// Bytes of an image's snapshots.
    pub struct UnpackedSize {
        unpacked: i64,
    }

    /// Of manifests of kind `attestation`.
    pub struct AttestationData {
        #[serde(rename = "For")]
        of: String,
    }

    /// A row of `GET /images/{name}/attestations`.
    pub struct Attestation {
        descriptor: Descriptor,
        predicate_type: String,
        statement[omitempty]: Option<serde_json::Value>,
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
