//! `wait`.

use engine_api::container::WaitResponse;

use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container wait", "wait"],
    usage: "CONTAINER [CONTAINER...]",
    about: "Wait until containers stop, and print their exit codes",
    flags: &[],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let mut each = Each::default();
    for name in &matches.args {
        match session.engine.post(&format!("/containers/{name}/wait")).fetch::<WaitResponse>().await {
            Ok(WaitResponse { error: Some(error), .. }) if !error.message.is_empty() => {
                each.failed(Failure::new(error.message))
            }
            Ok(answer) => output::println(answer.status_code.to_string())?,
            Err(error) => each.failed(error),
        }
    }
    each.finish()
}
