//! `pause`: stops all processes where they are.

use runtime_spec::Status;

use super::{Command, Context};
use crate::failure::Failure;
use crate::words::{Grammar, Words};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "pause",
        arguments: "<container-id>",
        about: "suspend all processes of a container",
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
        Status::Running | Status::Created => {
            container.cgroup().freeze()?;
            Ok(0)
        }
        _ => Err(Failure::new("container not running")),
    }
}
