//! `restore`: brings a checkpointed container back to life.

use super::{Command, Context, create, delete};
use crate::container::Id;
use crate::criu::options::{self, Places};
use crate::failure::{Failure, Tried};
use crate::launch::{self, Relay, Request, Restore};
use crate::words::{Grammar, Words, switch, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "restore",
        arguments: "<container-id>",
        about: "restore a container from a checkpoint",
        least: 1,
        most: 1,
        options: &[
            options::OPTIONS,
            create::OPTIONS,
            &[
                switch("detach", Some('d'), "leave the container running"),
                switch("no-subreaper", None, "do not adopt the container's orphans"),
                value("lsm-profile", None, "TYPE:NAME", "another AppArmor or SELinux profile"),
                value("lsm-mount-context", None, "LABEL", "another SELinux label of mounts"),
            ],
        ],
        ends_at_argument: false,
    },
    runs_foreign_code: true,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let id = Id::parse(&words.arguments[0])?;
    let bundle = create::open_bundle(words)?;
    let streams = create::streams(words)?;
    let request = Request {
        id: &id,
        bundle: &bundle,
        streams: &streams,
        no_pivot: words.has("no-pivot"),
        no_new_keyring: words.has("no-new-keyring"),
        starts_later: false,
        manager: context.global.manager,
        rootless: context.global.rootless,
        notify: None,
    };
    let relay = if streams.detach { None } else { Some(Relay::start()?) };
    if relay.is_some() && !words.has("no-subreaper") {
        rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))
            .tried("cannot become a subreaper")?;
    }
    let places = Places::read(words);
    let restore = Restore { request: &request, places: &places, words, criu: &context.global.criu };
    let restored = launch::restore(&context.store(), &restore)?;
    let Some(relay) = relay else { return Ok(0) };
    let code = relay.wait(restored.pid, restored.console, None)?;
    delete::destroy(&restored.container)?;
    Ok(code)
}
