//! What the inspect commands share.

use engine_client::{Error, Request};
use serde_json::value::RawValue;

use crate::grammar::{Exit, Failure, Flag, Matches};
use crate::output::inspect;

pub const FORMAT: Flag = Flag::text("format", "Go template to show with, or 'json'").short('f');

/// Inspects each name by the request made for it.
///
/// # Errors
/// A bad template, or (silently, after its text) a missing object.
pub async fn each<'a>(matches: &Matches, request: impl Fn(&str) -> Request<'a>) -> Result<Exit, Failure> {
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for name in &matches.args {
        match request(name).fetch::<Box<RawValue>>().await {
            Ok(object) => objects.push(object),
            Err(error) if error.is_unreachable() => {
                crate::output::println("[]")?;
                return Err(error.into());
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    inspect::show(&objects, &errors, matches.text("format"))
}

/// The first of the requests that finds an object, and which it was.
///
/// # Errors
/// The engine fails with something else than "not found".
pub async fn first(requests: Vec<Request<'_>>) -> Result<Option<(usize, Box<RawValue>)>, Error> {
    for (at, request) in requests.into_iter().enumerate() {
        match request.fetch::<Box<RawValue>>().await {
            Ok(object) => return Ok(Some((at, object))),
            // A name that one kind cannot have is looked for in the next.
            Err(Error::Daemon { status: 400 | 404 | 406 | 501 | 503, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
