//! `resume`: lets paused processes go on.

use runtime_spec::Status;

use super::{Command, Context};
use crate::failure::Failure;
use crate::words::{Grammar, Words};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "resume",
        arguments: "<container-id>",
        about: "resume all processes of a paused container",
        least: 1,
        most: 1,
        options: &[],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let _lock = container.lock()?;
    match container.status()? {
        Status::Paused => {}
        // A created container that was paused still waits for start.
        Status::Created if container.is_frozen()? => {}
        _ => return Err(Failure::new("container not paused")),
    }
    container.cgroup().thaw()?;
    Ok(0)
}
