//! Commands over several objects: each is tried, failures are told together at the end.

use crate::grammar::{Exit, Failure};
use crate::output;

/// Failures so far.
#[derive(Default)]
pub struct Each {
    errors: Vec<String>,
}

impl Each {
    /// Prints `name` when its work was done, else keeps the failure.
    ///
    /// # Errors
    /// Nobody reads stdout.
    pub fn done<E: Into<Failure>>(&mut self, name: &str, result: Result<(), E>) -> Result<(), Failure> {
        match result {
            Ok(()) => output::println(name),
            Err(error) => {
                self.failed(error);
                Ok(())
            }
        }
    }

    /// Keeps a failure.
    pub fn failed(&mut self, error: impl Into<Failure>) {
        let failure: Failure = error.into();
        let text = match failure.hint {
            Some(hint) => format!("{}\nhint: {hint}", failure.message),
            None => failure.message,
        };
        // An engine that cannot be reached is said once.
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    /// How the command ends.
    ///
    /// # Errors
    /// Something failed.
    pub fn finish(self) -> Result<Exit, Failure> {
        if self.errors.is_empty() { Ok(Exit::OK) } else { Err(Failure::new(self.errors.join("\n"))) }
    }
}
