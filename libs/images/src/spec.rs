//! The documents of an image (image-spec descriptor.md, manifest.md, image-index.md, config.md).

use std::collections::BTreeMap;

use reference::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A typed pointer to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    #[serde(serialize_with = "write_digest", deserialize_with = "read_digest")]
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// One image for one platform, or an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    pub config: Descriptor,
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
}

/// One image for several platforms, or a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
}

/// What of an image's config concerns the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Config {
    #[serde(flatten)]
    pub platform: Platform,
    pub rootfs: RootFs,
}

/// The layers of a config.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RootFs {
    #[serde(default, deserialize_with = "read_digests")]
    pub diff_ids: Vec<Digest>,
}

fn write_digest<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(digest.as_str())
}

fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    Digest::parse(&text).map_err(serde::de::Error::custom)
}

fn read_digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    texts.iter().map(|text| Digest::parse(text).map_err(serde::de::Error::custom)).collect()
}

/// Go writes empty lists and maps as null.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl From<&Descriptor> for containerd_api::types::Descriptor {
    fn from(descriptor: &Descriptor) -> Self {
        containerd_api::types::Descriptor {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.to_string(),
            size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
            annotations: descriptor.annotations.clone().into_iter().collect(),
        }
    }
}

impl TryFrom<&containerd_api::types::Descriptor> for Descriptor {
    type Error = errdefs::Error;

    fn try_from(message: &containerd_api::types::Descriptor) -> Result<Self, Self::Error> {
        let digest = Digest::parse(&message.digest).map_err(|cause| {
            errdefs::Error::invalid_argument(format!("digest {:?}", message.digest)).with_source(cause)
        })?;
        let size = u64::try_from(message.size).map_err(|_| {
            errdefs::Error::invalid_argument(format!("size {} of {digest} is negative", message.size))
        })?;
        let annotations = message.annotations.clone().into_iter().collect();
        Ok(Descriptor { annotations, ..Descriptor::new(&message.media_type, digest, size) })
    }
}

impl Descriptor {
    /// A descriptor of nothing but the blob itself.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: String::new(),
        }
    }

    /// The name of its ingest and of its progress.
    pub fn reference(&self) -> String {
        format!("{}-{}", crate::media_type::word(&self.media_type), self.digest)
    }
}
