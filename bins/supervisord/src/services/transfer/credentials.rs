//! Credentials from the client, over the stream that it opened for the purpose.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use containerd_api::types::transfer::{AuthRequest, AuthResponse, AuthType, OciRegistry};
use containerd_api::{pack, unpack};
use distribution::{Anonymous, Credential, Credentials};
use errdefs::{Error, Result};
use tokio::sync::Mutex;

use crate::services::streaming::{NamedStream, Streams};

/// Who answers for a registry of a request.
pub fn of(streams: &Streams, namespace: &str, registry: &OciRegistry) -> Result<Arc<dyn Credentials>> {
    let resolver = registry.resolver.clone().unwrap_or_default();
    // A client that brings its own header has answered already.
    let header = resolver.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some((_, value)) = header {
        return Ok(Arc::new(Fixed(Credential::Header(value.clone()))));
    }
    if resolver.auth_stream.is_empty() {
        return Ok(Arc::new(Anonymous));
    }
    let stream = streams.take(namespace, &resolver.auth_stream)?;
    let known = HashMap::new();
    Ok(Arc::new(Asked { reference: registry.reference.clone(), state: Mutex::new((stream, known)) }))
}

struct Fixed(Credential);

impl Credentials for Fixed {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Result<Credential>> + Send + 'a>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Asks the client, once a host.
struct Asked {
    reference: String,
    state: Mutex<(NamedStream, HashMap<String, Credential>)>,
}

impl Credentials for Asked {
    fn credential<'a>(
        &'a self,
        host: &'a str,
        challenges: &'a [String],
    ) -> Pin<Box<dyn Future<Output = Result<Credential>> + Send + 'a>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            if let Some(known) = state.1.get(host) {
                return Ok(known.clone());
            }
            let question = AuthRequest {
                host: host.to_owned(),
                reference: self.reference.clone(),
                wwwauthenticate: challenges.to_vec(),
            };
            if !state.0.send(pack(&question)) {
                return Err(Error::unavailable("the client closed its credential stream"));
            }
            let answer = state.0.receive().await?;
            let answer =
                answer.ok_or_else(|| Error::unavailable("the client closed its credential stream"))?;
            let answer = unpack::<AuthResponse>(&answer)
                .map_err(|cause| Error::invalid_argument("cannot read credentials").with_source(cause))?;
            let credential = from_answer(answer);
            state.1.insert(host.to_owned(), credential.clone());
            Ok(credential)
        })
    }
}

fn from_answer(answer: AuthResponse) -> Credential {
    match answer.auth_type() {
        AuthType::None => Credential::None,
        AuthType::Credentials if answer.username.is_empty() && answer.secret.is_empty() => Credential::None,
        AuthType::Credentials => Credential::Basic { username: answer.username, secret: answer.secret },
        AuthType::Refresh => Credential::Refresh { secret: answer.secret },
        AuthType::Header => Credential::Header(answer.secret),
    }
}
