//! `run`: create, attach, wait, start, stream, exit with the container's code.

use engine_api::container::CreateRequest;

use crate::commands::container::attached::{self, Streams, Waiting};
use crate::commands::container::{create, exit_status};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::{container, container_flags};
use crate::output;
use crate::session::Session;
use crate::streams::{self, Ended, Flow};

pub const COMMAND: Command = Command {
    paths: &["container run", "run"],
    usage: "IMAGE [COMMAND] [ARG...]",
    about: "Create a container from an image and run it",
    flags: &[container_flags::FLAGS, FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: true,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("detach", "Run in the background and print the container's ID").short('d'),
    Flag::text("detach-keys", "Keys that detach from the container"),
    Flag::bool("sig-proxy", "Pass signals to the process").default("true"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let fail = |failure: Failure| session.prefixed(failure, &matches.path);
    let engine_failed = |failure: Failure| fail(failure.with_code(exit_status::ENGINE_FAILED));
    let mut request = container::request(matches).map_err(|error| engine_failed(Failure::new(error)))?;
    let detach = matches.flag("detach");
    if detach {
        if matches.changed("attach") {
            return Err(Failure::new("conflicting options: cannot specify both --attach and --detach"));
        }
        let config = &mut request.config;
        (config.attach_stdin, config.attach_stdout, config.attach_stderr, config.stdin_once) =
            (false, false, false, false);
    } else {
        attached::check_tty(request.config.attach_stdin, request.config.tty)
            .map_err(|failure| failure.with_code(1))?;
    }
    let created = create::create(session, matches, request.clone()).await.map_err(|failure| {
        // A file for the ID that cannot be written is found missing, as a program is.
        let code =
            if failure.code == exit_status::NOT_FOUND { failure.code } else { exit_status::ENGINE_FAILED };
        fail(failure.with_code(code))
    })?;
    if detach {
        let started = session.engine.post(&format!("/containers/{}/start", created.id)).done().await;
        started.map_err(|error| {
            fail(Failure { code: exit_status::of_start_error(&error), ..Failure::from(error) })
        })?;
        output::println(created.id)?;
        return Ok(Exit::OK);
    }
    foreground(session, matches, &created.id, &request).await
}

async fn foreground(
    session: &Session,
    matches: &Matches,
    id: &str,
    request: &CreateRequest,
) -> Result<Exit, Failure> {
    let config = &request.config;
    let fail = |failure: Failure| session.prefixed(failure, &matches.path);
    let engine_failed = |failure: Failure| fail(failure.with_code(exit_status::ENGINE_FAILED));
    let (keys, keys_text) = session.detach_keys(matches.text("detach-keys")).map_err(engine_failed)?;
    let signals = attached::proxied(!matches.changed("sig-proxy") || matches.flag("sig-proxy"), config.tty)?;
    let engine = &session.engine;
    let streams = Streams {
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        detach_keys: keys_text,
    };
    let attaches = streams.stdin || streams.stdout || streams.stderr;
    let connection = match attaches {
        true => {
            Some(attached::attach(engine, id, &streams).await.map_err(|error| engine_failed(error.into()))?)
        }
        false => None,
    };
    // Opened before the start: an exit in between would be missed.
    let removes = request.host_config.as_ref().is_some_and(|host| host.auto_remove);
    let waiting = Waiting::open(engine, id, if removes { "removed" } else { "next-exit" });
    let waiting = waiting.await.map_err(|error| engine_failed(error.into()))?;
    if let Err(error) = engine.post(&format!("/containers/{id}/start")).done().await {
        drop(connection);
        if removes {
            // The name must be free again when we return.
            let _ = waiting.exit().await;
        }
        return Err(fail(Failure { code: exit_status::of_start_error(&error), ..Failure::from(error) }));
    }
    if !attaches {
        output::println(id)?;
    }
    let flow = Flow {
        tty: config.tty,
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        detach: keys,
    };
    let main = async {
        if let Some(connection) = connection
            && streams::flow(connection, flow).await? == Ended::Detached
        {
            return Ok(Exit::OK);
        }
        waiting.exit().await
    };
    let object = format!("/containers/{id}");
    let main = attached::beside(main, config.tty.then(|| streams::follow_window(engine, &object)));
    attached::beside(main, signals.map(|signals| attached::forward_signals(engine, id, signals))).await
}
