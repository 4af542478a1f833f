//! `context inspect`.

use engine_client::{Contexts, DEFAULT_CONTEXT};
use serde_json::json;

use crate::commands::context::default_context;
use crate::commands::inspecting::FORMAT;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::inspect;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["context inspect"],
    usage: "[CONTEXT] [CONTEXT...]",
    about: "Show all about one or more contexts",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FORMAT];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let names =
        if matches.args.is_empty() { std::slice::from_ref(&session.context) } else { &matches.args[..] };
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        let context = if name == DEFAULT_CONTEXT { Ok(default_context()) } else { store.load(name) };
        match context {
            Ok(context) => {
                let mut object = serde_json::to_value(&context)?;
                let files: Vec<&str> = match name == DEFAULT_CONTEXT {
                    true => Vec::new(),
                    false => store.tls(name)?.files().map(|(file, _)| file).collect(),
                };
                object["TLSMaterial"] = if files.is_empty() { json!({}) } else { json!({"docker": files}) };
                let path = |path: std::path::PathBuf| {
                    if name == DEFAULT_CONTEXT { "<IN MEMORY>".into() } else { path.display().to_string() }
                };
                object["Storage"] = json!({"MetadataPath": path(store.meta_path(name)), "TLSPath": path(store.tls_path(name))});
                objects.push(serde_json::value::to_raw_value(&object)?);
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    inspect::show(&objects, &errors, matches.text("format"))
}
