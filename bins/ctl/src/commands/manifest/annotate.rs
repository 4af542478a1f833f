//! `manifest annotate`.

use super::named;
use super::store::Store;
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["manifest annotate"],
    usage: "MANIFEST_LIST MANIFEST",
    about: "Say more of a manifest in a list",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("arch", "Architecture"),
    Flag::text("os", "Operating system"),
    Flag::strings("os-features", "Features of the operating system"),
    Flag::text("os-version", "Version of the operating system"),
    Flag::text("variant", "Variant of the architecture"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let list = named("manifest list", matches.arg(0))?.canonical();
    let manifest = named("manifest", matches.arg(1))?.canonical();
    let store = Store::new(session.config.directory());
    let Some(mut entry) = store.entry(&list, &manifest)? else {
        return Err(Failure::new(format!(
            "manifest for image {} does not exist in {}",
            matches.arg(1),
            matches.arg(0)
        )));
    };
    let platform = entry.descriptor.platform.get_or_insert_default();
    for (flag, field) in [
        ("os", &mut platform.os),
        ("arch", &mut platform.architecture),
        ("variant", &mut platform.variant),
        ("os-version", &mut platform.os_version),
    ] {
        if let Some(value) = matches.text(flag).filter(|value| !value.is_empty()) {
            *field = value.to_owned();
        }
    }
    for feature in matches.list("os-features") {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    store.put(&list, &entry)?;
    Ok(Exit::OK)
}
