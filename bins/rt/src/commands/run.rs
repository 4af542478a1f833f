//! `run`: creates a container, starts its program, and stays unless detached.

use super::{Command, Context, create, delete};
use crate::container::Id;
use crate::failure::{Failure, Tried};
use crate::launch::{self, Notify, Outcome, Relay, Request};
use crate::words::{Grammar, Words, switch};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "run",
        arguments: "<container-id>",
        about: "create and run a container",
        least: 1,
        most: 1,
        options: &[
            create::OPTIONS,
            &[
                switch("detach", Some('d'), "leave the container running"),
                switch("keep", None, "do not delete the container after it exits"),
                switch("no-subreaper", None, "do not adopt the container's orphans"),
            ],
        ],
        ends_at_argument: false,
    },
    runs_foreign_code: true,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    make(context, words).map_err(|failure| failure.within("runc run failed"))
}

fn make(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let id = Id::parse(&words.arguments[0])?;
    let mut bundle = create::open_bundle(words)?;
    let notify = Notify::from_environment(&context.store(), &id, &mut bundle.spec);
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
        notify: notify.as_ref(),
    };
    let relay = if streams.detach { None } else { Some(Relay::start()?) };
    if relay.is_some() && !words.has("no-subreaper") {
        // Any number but 0 is yes.
        rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))
            .tried("cannot become a subreaper")?;
    }
    let created = launch::create(&context.store(), &request, context.log)?;
    let (pid, container) = (created.pid, &created.container);
    let started = launch::let_go(&created.channel).and_then(|outcome| {
        let hooked = launch::after_start(container, &outcome);
        match outcome {
            Outcome::Program => hooked,
            Outcome::None(failure) => Err(failure),
        }
    });
    if let Err(failure) = started {
        delete::destroy(container)?;
        return Err(failure);
    }
    let Some(relay) = relay else {
        notify.map_or(Ok(()), |notify| notify.await_ready(pid))?;
        return Ok(0);
    };
    let code = relay.wait(pid, created.console, notify).or_else(|failure| {
        delete::kill(container)?;
        delete::destroy(container)?;
        Err(failure)
    })?;
    if !words.has("keep") {
        delete::destroy(container)?;
    }
    Ok(code)
}
