//! Progress messages: one JSON object a line from pull, push, load, import and build.

record! {
    /// One line of a progress stream.
    pub struct Message {
        #[serde(rename = "stream")]
        stream[omitempty]: String,
        #[serde(rename = "status")]
        status[omitempty]: String,
        #[serde(rename = "progressDetail")]
        progress_detail[omitempty]: Option<Detail>,
        /// Rendered bar; old engines send it, new clients draw their own.
        #[serde(rename = "progress")]
        progress[omitempty]: String,
        #[serde(rename = "id")]
        id[omitempty]: String,
        #[serde(rename = "errorDetail")]
        error_detail[omitempty]: Option<ErrorDetail>,
        #[serde(rename = "error")]
        error[omitempty]: String,
        #[serde(rename = "aux")]
        aux[omitempty]: Option<Aux>,
    }

    /// How far a step is.
    pub struct Detail {
        #[serde(rename = "current")]
        current[omitempty]: i64,
        #[serde(rename = "total")]
        total[omitempty]: i64,
        #[serde(rename = "start")]
        start[omitempty]: i64,
        #[serde(rename = "hidecounts")]
        hide_counts[omitempty]: bool,
        /// Empty means bytes.
        #[serde(rename = "units")]
        units[omitempty]: String,
    }

    /// The error that ends a stream.
    pub struct ErrorDetail {
        #[serde(rename = "code")]
        code[omitempty]: i64,
        #[serde(rename = "message")]
        message[omitempty]: String,
    }

    /// What a push or a build made: `{"Tag","Digest","Size"}` or `{"ID"}`.
    pub struct Aux {
        tag[omitempty]: String,
        digest[omitempty]: String,
        size[omitempty]: i64,
        #[serde(rename = "ID")]
        id[omitempty]: String,
    }
}
