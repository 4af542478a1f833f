//! Trying credentials (distribution-spec "Determining Support"; Docker's `login`).

use errdefs::{Error, Result};
use http::Method;

use crate::repository::Repository;
use crate::request::Ask;
use crate::response::error_of;

impl Repository {
    /// Asks the registry's first host whether it takes the credentials; the identity token that its
    /// authority gives for them, where it gives one.
    ///
    /// # Errors
    /// Unauthenticated: it does not take them. Otherwise what keeps us from asking.
    pub async fn login(&self) -> Result<Option<String>> {
        let host = self.hosts.iter().find(|host| host.mirror_of.is_none()).or(self.hosts.first());
        let host = host.ok_or_else(|| Error::not_found("no host may be asked"))?;
        self.authorizations.lock().await.wants_identity = true;
        let mut ask = Ask::new(Method::GET, format!("{}/", host.path), "");
        ask.scopes.clear();
        let response = self.ask(host, &ask).await?;
        if !response.status().is_success() {
            let what = format!("login attempt to {}{}/ failed", host.authority, host.path);
            return Err(error_of(&what, response).await);
        }
        Ok(self.authorizations.lock().await.identity.take())
    }
}
