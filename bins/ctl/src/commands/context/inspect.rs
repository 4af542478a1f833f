//! `context inspect`.

use engine_client::{Context, Contexts, DEFAULT_CONTEXT};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

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

/// A context as it is shown, its fields in the stock client's order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    #[serde(flatten)]
    context: Context,
    #[serde(rename = "TLSMaterial")]
    tls_material: serde_json::Value,
    storage: Storage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    metadata_path: String,
    #[serde(rename = "TLSPath")]
    tls_path: String,
}

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Contexts::new(session.config.directory());
    let names =
        if matches.args.is_empty() { std::slice::from_ref(&session.context) } else { &matches.args[..] };
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        let context = match name == DEFAULT_CONTEXT {
            // What it is about stands in the list alone.
            true => Ok(Context { metadata: Default::default(), ..default_context() }),
            false => store.load(name),
        };
        match context {
            Ok(context) => {
                let files: Vec<&str> = match name == DEFAULT_CONTEXT {
                    true => Vec::new(),
                    false => store.tls(name)?.files().map(|(file, _)| file).collect(),
                };
                let tls_material = if files.is_empty() { json!({}) } else { json!({"docker": files}) };
                let path = |path: std::path::PathBuf| {
                    if name == DEFAULT_CONTEXT { "<IN MEMORY>".into() } else { path.display().to_string() }
                };
                let storage = Storage {
                    metadata_path: path(store.meta_path(name)),
                    tls_path: path(store.tls_path(name)),
                };
                let text = serde_json::to_string(&Shown { context, tls_material, storage })?;
                // Go writes these so in JSON; nothing but a string holds one.
                let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
                objects.push(RawValue::from_string(text)?);
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    inspect::show(&objects, &errors, matches.text("format"))
}
