//! Manifests and indexes that are but one of the two (CVE-2021-41190).

use errdefs::{Error, Result};
use serde::de::DeserializeOwned;

use crate::media_type::{is_index, is_manifest, is_schema1};
use crate::spec::{Config, Index, Manifest};

/// A document that points to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    Manifest(Box<Manifest>),
    Index(Index),
}

/// The keys that tell the kinds apart.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Reads a document that its descriptor calls `media_type`.
///
/// # Errors
/// InvalidArgument: schema 1, no JSON of this kind, or a document that another reader could take for
/// the other kind. NotFound: the media type points to nothing (a layer, say).
pub fn parse(bytes: &[u8], media_type: &str) -> Result<Document> {
    if is_schema1(media_type) {
        return Err(schema1());
    }
    let shape: Shape = read(bytes, "manifest")?;
    if shape.fs_layers.is_some() {
        return Err(schema1());
    }
    if !shape.media_type.is_empty() && shape.media_type != media_type {
        return Err(Error::invalid_argument(format!(
            "mediaType in manifest should be '{media_type}' not '{}'",
            shape.media_type
        )));
    }
    if is_index(media_type) {
        if shape.config.is_some() || shape.layers.is_some() {
            return Err(Error::invalid_argument(
                "index contains manifest fields: expected index but found layers",
            ));
        }
        return read(bytes, "index").map(Document::Index);
    }
    if is_manifest(media_type) {
        if shape.manifests.is_some() {
            return Err(Error::invalid_argument(
                "manifest contains index fields: expected manifest but found index",
            ));
        }
        return read(bytes, "manifest").map(|manifest| Document::Manifest(Box::new(manifest)));
    }
    Err(Error::not_found(format!("encountered unknown type {media_type}; children may not be fetched")))
}

/// Reads the config of an image.
///
/// # Errors
/// InvalidArgument: it is none.
pub fn parse_config(bytes: &[u8]) -> Result<Config> {
    read(bytes, "image config")
}

/// How schema 1 is refused; clients show it.
pub fn schema1() -> Error {
    Error::invalid_argument("schema 1 image manifests are no longer supported")
}

fn read<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|cause| Error::invalid_argument(format!("cannot read {what}")).with_source(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn manifest(more: &str) -> String {
        format!(
            r#"{{"schemaVersion":2{more},"config":{{"mediaType":"c","digest":"{DIGEST}","size":1}},"layers":null}}"#
        )
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        let both = manifest(r#","manifests":[]"#);
        for media_type in [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST] {
            let error = parse(both.as_bytes(), media_type).unwrap_err();
            assert_eq!(error.kind(), errdefs::Kind::InvalidArgument);
        }
        let other = manifest(&format!(r#","mediaType":"{OCI_INDEX}""#));
        assert!(parse(other.as_bytes(), OCI_MANIFEST).is_err());
        assert!(parse(manifest("").as_bytes(), OCI_MANIFEST).is_ok());
        assert!(parse(br#"{"schemaVersion":2,"manifests":null}"#, OCI_INDEX).is_ok());
        assert!(parse(br#"{"schemaVersion":2,"layers":[]}"#, OCI_INDEX).is_err());
    }

    #[test]
    fn schema_1_is_refused_under_any_name() {
        let old = br#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#;
        for media_type in
            ["application/vnd.docker.distribution.manifest.v1+prettyjws", DOCKER_MANIFEST, OCI_INDEX]
        {
            assert_eq!(parse(old, media_type).unwrap_err().to_string(), schema1().to_string());
        }
    }

    /// JSON that looks like documents: their keys, any values.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            Just(DIGEST.into()),
            Just(OCI_MANIFEST.into()),
            "[a-z:/]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let key = prop::sample::select(vec![
                "schemaVersion",
                "mediaType",
                "config",
                "layers",
                "manifests",
                "digest",
                "size",
                "platform",
                "rootfs",
                "diff_ids",
                "os",
                "architecture",
                "annotations",
                "urls",
                "fsLayers",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(key, inner, 0..7)
                    .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn one_document_is_one_kind(json in json()) {
            let bytes = json.to_string();
            let as_index = parse(bytes.as_bytes(), OCI_INDEX);
            let as_manifest = parse(bytes.as_bytes(), OCI_MANIFEST);
            let own_type = json.get("mediaType").is_some_and(|own| !own.is_null() && own != "");
            prop_assert!(!(as_index.is_ok() && as_manifest.is_ok() && own_type));
            prop_assert!(!matches!(as_index, Ok(Document::Manifest(_))));
            prop_assert!(!matches!(as_manifest, Ok(Document::Index(_))));
            let _ = parse_config(bytes.as_bytes());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for media_type in [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST] {
                let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
                prop_assert!(parse(&bytes, media_type).is_err() || is_json);
            }
            let _ = parse_config(&bytes);
        }
    }
}
