//! What is told about a container with each of its lines.

use std::collections::BTreeMap;

use crate::Options;

/// The container, and further fields that a person asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Full identifier.
    pub id: String,
    /// Without a leading slash.
    pub name: String,
    /// Identifier of the image.
    pub image_id: String,
    /// The image as it was named.
    pub image_name: String,
    /// The words that run.
    pub command: String,
    /// RFC 3339.
    pub created: String,
    /// Of the host.
    pub hostname: String,
    /// Rendered.
    pub tag: String,
    /// From labels and variables.
    pub extra: BTreeMap<String, String>,
}

impl About {
    pub(crate) fn of(options: &Options) -> About {
        let text = |key: &str| options.text(&format!("about.{key}")).to_owned();
        let extra = options.0.iter().filter_map(|(key, value)| Some((key.strip_prefix("extra.")?, value)));
        About {
            id: text("id"),
            name: text("name"),
            image_id: text("image-id"),
            image_name: text("image-name"),
            command: text("command"),
            created: text("created"),
            hostname: text("hostname"),
            tag: text("tag"),
            extra: extra.map(|(key, value)| (key.to_owned(), value.clone())).collect(),
        }
    }
}
