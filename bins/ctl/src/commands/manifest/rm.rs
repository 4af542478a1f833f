//! `manifest rm`.

use super::named;
use super::store::Store;
use crate::commands::each::Each;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["manifest rm"],
    usage: "MANIFEST_LIST [MANIFEST_LIST...]",
    about: "Forget manifest lists that are kept here",
    flags: &[],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let store = Store::new(session.config.directory());
    let mut each = Each::default();
    for name in &matches.args {
        let list = named("manifest list", name)?.canonical();
        if store.exists(&list) {
            store.remove(&list)?;
        } else {
            each.failed(Failure::new(format!(
                "No such manifest: {}",
                named("manifest list", name)?.familiar()
            )));
        }
    }
    each.finish()
}
