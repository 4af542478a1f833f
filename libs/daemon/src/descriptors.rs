//! How many files a daemon may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Takes as many as may be had (getrlimit(2)): the soft limit becomes the hard one. What the soft limit was, where it
/// was lower and was one.
///
/// # Errors
/// The kernel refuses.
pub fn raise() -> io::Result<Option<u64>> {
    let given = getrlimit(Resource::Nofile);
    if given.current == given.maximum {
        return Ok(None);
    }
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given })?;
    Ok(given.current)
}
