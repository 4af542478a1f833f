//! `manifest inspect`.

use serde_json::{Value, json};

use super::store::{Entry, Store, is_list, list_of};
use super::{INSECURE, named, registry};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, indent};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["manifest inspect"],
    usage: "[MANIFEST_LIST] MANIFEST",
    about: "Show a manifest or a list, of here or of a registry",
    flags: &[FLAGS],
    arity: Arity::Between(1, 2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[INSECURE, Flag::bool("verbose", "Show the descriptors too").short('v')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let verbose = matches.flag("verbose");
    let store = Store::new(session.config.directory());
    if let [list, manifest] = &matches.args[..] {
        let (full_list, full) =
            (named("manifest list", list)?.canonical(), named("manifest", manifest)?.canonical());
        let entry = store.entry(&full_list, &full)?;
        let entry = entry.ok_or_else(|| Failure::new(format!("No such manifest: {full}")))?;
        return shown(&if verbose { described(&entry).to_string() } else { entry.raw });
    }
    let name = named("manifest", matches.arg(0))?;
    let entries = store.entries(&name.canonical())?;
    if !entries.is_empty() {
        if verbose {
            return shown(&Value::from(entries.iter().map(described).collect::<Vec<_>>()).to_string());
        }
        return shown(&list_of(&entries)?.0.to_string());
    }
    let repository = registry::repository(session, &name, matches.flag("insecure"))?;
    let (target, bytes) = registry::fetch(&repository).await?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::new("cannot read the manifest: it is no text"))?;
    if !verbose {
        return shown(&text);
    }
    let manifest: Value = serde_json::from_str(&text)?;
    if !is_list(&target.media_type) {
        let entry = registry::entry(session, &name, matches.flag("insecure")).await?;
        return shown(&described(&entry).to_string());
    }
    let rows = manifest["manifests"].as_array().into_iter().flatten();
    let rows: Vec<Value> = rows
        .map(|descriptor| json!({"Ref": format!("{}@{}", name.canonical(), descriptor["digest"].as_str().unwrap_or_default()), "Descriptor": descriptor}))
        .collect();
    shown(&Value::from(rows).to_string())
}

fn described(entry: &Entry) -> Value {
    json!({"Ref": entry.reference, "Descriptor": entry.descriptor, "Manifest": entry.manifest})
}

fn shown(json: &str) -> Result<Exit, Failure> {
    output::println(indent(json, "\t"))?;
    Ok(Exit::OK)
}
