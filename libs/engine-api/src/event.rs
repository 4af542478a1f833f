//! Rows of `GET /events`.

use std::collections::BTreeMap;

record! {
    /// One event.
    pub struct Event {
        /// Deprecated twin of `action`, for containers and images.
        #[serde(rename = "status")]
        status[omitempty]: String,
        #[serde(rename = "id")]
        id[omitempty]: String,
        #[serde(rename = "from")]
        from[omitempty]: String,
        #[serde(rename = "Type")]
        kind: String,
        action: String,
        actor: Actor,
        #[serde(rename = "scope")]
        scope[omitempty]: String,
        /// Unix seconds.
        #[serde(rename = "time")]
        time[omitempty]: i64,
        #[serde(rename = "timeNano")]
        time_nano[omitempty]: i64,
    }

    /// The object an event is about.
    pub struct Actor {
        #[serde(rename = "ID")]
        id: String,
        attributes: BTreeMap<String, String>,
    }
}
