//! Registry credentials: `X-Registry-Auth` and `POST /auth`.

record! {
    /// Credentials of one registry; in `X-Registry-Auth` as URL-safe base64 of its JSON.
    pub struct AuthConfig {
        #[serde(rename = "username")]
        username[omitempty]: String,
        #[serde(rename = "password")]
        password[omitempty]: String,
        #[serde(rename = "auth")]
        auth[omitempty]: String,
        #[serde(rename = "email")]
        email[omitempty]: String,
        #[serde(rename = "serveraddress")]
        server_address[omitempty]: String,
        #[serde(rename = "identitytoken")]
        identity_token[omitempty]: String,
        #[serde(rename = "registrytoken")]
        registry_token[omitempty]: String,
    }

    /// Answer of `POST /auth`.
    pub struct AuthResponse {
        status: String,
        identity_token[omitempty]: String,
    }
}
