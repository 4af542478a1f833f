//! `context show`.

use crate::grammar::{Arity, Command, Exit};
use crate::output;

pub const COMMAND: Command = Command {
    paths: &["context show"],
    usage: "",
    about: "Print the name of the context in use",
    flags: &[],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, _| Box::pin(async { output::println(&session.context).map(|()| Exit::OK) }),
};
