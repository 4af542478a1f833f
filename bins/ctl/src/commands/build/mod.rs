//! Builds: by the buildx plugin where it is, else refused; and what their cache leaves.

pub mod prune;

use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

/// Reached only where no buildx plugin is found.
pub const COMMAND: Command = Command {
    paths: &["image build", "build", "builder build"],
    usage: "PATH | URL | -",
    about: "Build an image from a Dockerfile",
    flags: &[],
    arity: Arity::AtLeast(0),
    stops_at_positional: true,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let program = &session.program;
    Err(Failure::new(format!("{program}: '{program} {}' needs the buildx plugin: the engine does not build yet", matches.path))
        .with_hint(format!(
            "Install docker-buildx and 'buildx create --driver docker-container --use', or build with another tool and '{program} load' the image."
        )))
}
