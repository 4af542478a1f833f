//! `start`: lets a created container run its program.

use super::{Command, Context, delete};
use crate::failure::Failure;
use crate::launch::{self, Outcome};
use crate::words::{Grammar, Words};
use runtime_spec::Status;

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "start",
        arguments: "<container-id>",
        about: "run the program of a created container",
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
        Status::Created => {
            let notify = launch::Notify::of_container(container.directory());
            if let Some(notify) = &notify {
                notify.listen()?;
            }
            let outcome = launch::open_fifo(&container)?;
            let hooked = launch::after_start(&container, &outcome);
            if hooked.is_err() {
                // A poststart hook that fails ends the container (runtime.md#lifecycle, 1.3).
                delete::destroy(&container)?;
            }
            if let Outcome::None(failure) = outcome {
                return Err(failure);
            }
            hooked?;
            if let (Some(notify), Some(pid)) = (notify, container.init()) {
                notify.await_ready(pid)?;
            }
            Ok(0)
        }
        Status::Stopped => Err(Failure::new("cannot start a container that has stopped")),
        Status::Running => Err(Failure::new("cannot start an already running container")),
        other => Err(Failure::new(format!("cannot start a container in the {} state", other.word()))),
    }
}
