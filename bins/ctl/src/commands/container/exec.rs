//! `exec`.

use engine_api::Words;
use engine_api::exec::{ExecCreate, ExecCreated, ExecInspect, ExecStart};

use crate::commands::container::{attached, exit_status};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::{self, environment};
use crate::session::Session;
use crate::streams::{self, Ended, Flow};
use crate::terminal;

pub const COMMAND: Command = Command {
    paths: &["container exec", "exec"],
    usage: "CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    flags: &[FLAGS],
    arity: Arity::AtLeast(2),
    stops_at_positional: true,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("detach", "Run the command in the background").short('d'),
    Flag::text("detach-keys", "Keys that detach from the command"),
    Flag::list("env", "Set an environment variable").short('e').check(environment::check).since(25),
    Flag::list("env-file", "File of environment variables").since(25),
    Flag::bool("interactive", "Keep stdin open even when nobody is attached").short('i'),
    Flag::bool("privileged", "Give the command all privileges"),
    Flag::bool("tty", "Give the command a terminal").short('t'),
    Flag::text("user", "User or uid, and group or gid, of the command (user[:group])").short('u'),
    Flag::text("workdir", "Directory to run the command in").short('w').since(35),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let engine = &session.engine;
    let container = matches.arg(0);
    let detach = matches.flag("detach");
    let tty = matches.flag("tty");
    let stdin = matches.flag("interactive") && !detach;
    let (keys, keys_text) = session.detach_keys(matches.text("detach-keys"))?;
    let console_size =
        terminal::window().filter(|_| tty).map(|(rows, columns)| [u64::from(rows), u64::from(columns)]);
    let env = environment(matches.list("env-file"), matches.list("env"))?;
    let create = ExecCreate {
        user: matches.string("user"),
        privileged: matches.flag("privileged"),
        tty,
        console_size,
        attach_stdin: stdin,
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach,
        detach_keys: keys_text,
        env: (!env.is_empty()).then_some(env),
        working_dir: matches.string("workdir"),
        cmd: Some(Words(matches.args[1..].to_vec())),
    };
    if stdin && tty {
        // A container that is not there is the greater mistake.
        attached::inspect(session, container).await?;
        attached::check_tty(stdin, tty)?;
    }
    let created: ExecCreated =
        engine.post(&format!("/containers/{container}/exec")).json(&create)?.fetch().await?;
    let path = format!("/exec/{}", created.id);
    let start = ExecStart { detach, tty, console_size };
    if detach {
        engine.post(&format!("{path}/start")).json(&start)?.done().await?;
        return Ok(Exit::OK);
    }
    let connection = engine.post(&format!("{path}/start")).json(&start)?.hijack().await?;
    let flow = Flow { tty, stdin, stdout: true, stderr: true, detach: keys };
    let main = streams::flow(connection, flow);
    if attached::beside(main, tty.then(|| streams::follow_window(engine, &path))).await? == Ended::Detached {
        return Err(Failure::new("read escape sequence"));
    }
    let ended: ExecInspect = engine.get(&format!("{path}/json")).fetch().await?;
    Ok(Exit(exit_status::of_code(ended.exit_code.unwrap_or(0))))
}
