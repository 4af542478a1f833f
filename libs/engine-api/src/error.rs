//! The body of every error answer.

record! {
    /// `{"message": "..."}`.
    pub struct ErrorBody {
        #[serde(rename = "message")]
        message: String,
    }
}
