//! From argv to an exit code: global flags, the command, its failure in words.

use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use crate::advice;
use crate::commands;
use crate::completion;
use crate::grammar::{
    self, Arity, Command, Exit, Failure, Flag, Matches, Resolved, closest, command_help, command_page,
    group_help, other_pages, resolve, root_help, root_page, usage_line,
};
use crate::output;
use crate::plugins;
use crate::session::{self, Session};

/// Flags before the command.
pub const GLOBAL_FLAGS: &[Flag] = &[
    Flag::text("config", "Directory of the client's configuration").default("~/.docker"),
    Flag::text("context", "Context that names the engine (wins over DOCKER_HOST)").short('c'),
    Flag::bool("debug", "Say more").short('D'),
    Flag::list("host", "Socket of the engine to speak to").short('H'),
    Flag::text("log-level", "Level of messages: debug, info, warn, error or fatal")
        .short('l')
        .default("info"),
    Flag::bool("tls", "Use TLS (implied by --tlsverify)"),
    Flag::text("tlscacert", "Certificates of the authorities to trust").default("~/.docker/ca.pem"),
    Flag::text("tlscert", "Certificate of the client").default("~/.docker/cert.pem"),
    Flag::text("tlskey", "Key of the client's certificate").default("~/.docker/key.pem"),
    Flag::bool("tlsverify", "Use TLS and verify the engine"),
    Flag::bool("version", "Print the version and end").short('v'),
];

/// Word that writes the manual pages into a directory.
const MAN: &str = "__man";

/// A wrong flag, as opposed to wrong arguments.
const USAGE_EXIT: u8 = 125;

/// Runs the program.
pub fn run(argv: Vec<String>) -> Exit {
    let program = program_name(argv.first().map(String::as_str).unwrap_or_default());
    match dispatch(&program, argv.get(1..).unwrap_or_default()) {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() {
                output::note(&failure.message);
            }
            if let Some(hint) = failure.hint.or_else(|| advice(&program, &failure.message)) {
                output::note(format!("hint: {hint}"));
            }
            Exit(failure.code)
        }
    }
}

/// The name by which it was called: scripts may call it `docker`.
fn program_name(argv0: &str) -> String {
    let base = argv0.rsplit('/').next().unwrap_or_default();
    if base.is_empty() { "ctl".to_owned() } else { base.to_owned() }
}

fn dispatch(program: &str, argv: &[String]) -> Result<Exit, Failure> {
    if let Some(word) =
        argv.first().filter(|word| matches!(word.as_str(), completion::ASK | completion::ASK_PLAIN))
    {
        return completion::answer(program, &argv[1..], word == completion::ASK);
    }
    if let [word, directory] = argv
        && word == MAN
    {
        return write_manual(program, Path::new(directory));
    }
    let globals: Vec<&'static Flag> = GLOBAL_FLAGS.iter().collect();
    let parsed = grammar::parse(&globals, true, argv).map_err(|error| {
        Failure::new(format!(
            "{}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information",
            error.0
        ))
        .with_code(USAGE_EXIT)
    })?;
    if parsed.flag("version") {
        output::println(format!("Wherry version {}", env!("CARGO_PKG_VERSION")))?;
        return Ok(Exit::OK);
    }
    check_log_level(&parsed)?;
    let mut words = aliased(&parsed);
    let mut help = parsed.help;
    if words.first().is_some_and(|word| word == "help") {
        words.remove(0);
        help = true;
    }
    match resolve(commands::ALL, commands::GROUPS, &words) {
        Resolved::Root => {
            let plugins = described(&session::config_of(&parsed));
            show_help(&root_help(program, commands::GROUPS, commands::ALL, &plugins, GLOBAL_FLAGS), help)
        }
        Resolved::Group(group, None) => {
            let asked = help || words.iter().any(|word| word == "--help" || word == "-h");
            show_help(&group_help(program, group, commands::ALL), asked)
        }
        Resolved::Group(group, Some(verb)) => Err(unknown(program, &format!("{} {verb}", group.name))),
        Resolved::Unknown(word) => match plugins::find(&session::config_of(&parsed), &word) {
            Some(plugin) => Err(run_plugin(&plugin, &parsed, words_of_plugin(argv, help))),
            None => Err(unknown(program, &word)),
        },
        Resolved::Command(command, depth) => {
            let path = words[..depth].join(" ");
            if command.paths == commands::BUILD_PATHS
                && let Some(buildx) = plugins::find(&session::config_of(&parsed), "buildx")
            {
                let globals = argv.len() - parsed.args.len();
                let build = argv[..globals]
                    .iter()
                    .cloned()
                    .chain(["buildx".into(), "build".into()])
                    .chain(words[depth..].iter().cloned());
                return Err(run_plugin(&buildx, &parsed, build.map(OsString::from).collect()));
            }
            if help {
                output::print(command_help(program, &path, command))?;
                return Ok(Exit::OK);
            }
            run_command(program, &parsed, command, &path, &words[depth..])
        }
    }
}

/// What a person may do about a failure; scripts get Docker's words and no more.
fn advice(program: &str, message: &str) -> Option<String> {
    std::io::stderr().is_terminal().then(|| advice::on(program, message)).flatten()
}

/// Refuses a flag that the engine would not understand, and so ignore.
async fn check_engine(session: &Session, flag: &Flag) -> Result<(), Failure> {
    if let Some(since) = flag.since {
        session.engine.require(&format!("--{}", flag.name), since).await?;
    }
    if flag.only_on_windows {
        let system = session.engine.ping().await?.os_type;
        if system != "windows" {
            return Err(Failure::new(format!(
                "\"--{}\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on {system}",
                flag.name
            )));
        }
    }
    Ok(())
}

/// Signatures of the old kind are verified by nobody here, and must not seem to be.
fn refuse_content_trust(matches: &Matches, flags: &[&'static Flag]) -> Result<(), Failure> {
    if !flags.iter().any(|flag| flag.name == "disable-content-trust") {
        return Ok(());
    }
    let wanted = std::env::var("DOCKER_CONTENT_TRUST")
        .is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "f" | "F" | "FALSE" | "False"));
    let disabled = if matches.changed("disable-content-trust") {
        matches.flag("disable-content-trust")
    } else {
        !wanted
    };
    if disabled {
        return Ok(());
    }
    Err(Failure::new("content trust (Notary v1 signatures) is not supported").with_hint(
        "Unset DOCKER_CONTENT_TRUST, and name images by digest where their content must be the one you know.",
    ))
}

/// Writes a manual page for the program and each command, at installation.
fn write_manual(program: &str, directory: &Path) -> Result<Exit, Failure> {
    fs::create_dir_all(directory)?;
    let root = root_page(program, commands::GROUPS, commands::ALL, GLOBAL_FLAGS);
    let pages = commands::ALL.iter().map(|command| command_page(program, command));
    let others = commands::ALL.iter().flat_map(|command| other_pages(program, command));
    for (name, text) in pages.chain(others).chain([root]) {
        fs::write(directory.join(name), text)?;
    }
    Ok(Exit::OK)
}

fn check_log_level(globals: &Matches) -> Result<(), Failure> {
    const LEVELS: &[&str] = &["panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"];
    match globals.text("log-level") {
        Some(level) if !LEVELS.contains(&level.to_lowercase().as_str()) => {
            Err(Failure::new(format!("Unable to parse logging level: {level}")))
        }
        _ => Ok(()),
    }
}

/// The words after the global flags; `builder` may be an alias of a plugin (`aliases` of config.json).
fn aliased(globals: &Matches) -> Vec<String> {
    let mut words = globals.args.clone();
    if words.first().is_some_and(|word| word == "builder") {
        let config = session::config_of(globals);
        let aliases = config.texts("aliases");
        if let Some((_, plugin)) = aliases.iter().find(|(name, _)| *name == "builder")
            && plugins::find(&config, plugin).is_some()
        {
            words[0] = (*plugin).to_owned();
        }
    }
    words
}

/// What a plugin gets: all words as typed, `help` as a flag at the end.
fn words_of_plugin(argv: &[String], help: bool) -> Vec<OsString> {
    let mut words: Vec<OsString> = argv.iter().map(OsString::from).collect();
    if help && let Some(at) = words.iter().position(|word| word == "help") {
        words.remove(at);
        words.push("--help".into());
    }
    words
}

/// Becomes the plugin, which speaks to our engine unless something names another.
fn run_plugin(plugin: &plugins::Plugin, globals: &Matches, words: Vec<OsString>) -> Failure {
    let caller = std::env::args().next().unwrap_or_default();
    let host = match session::names_no_engine(globals) {
        true => Some(engine_client::DEFAULT_HOST),
        false => None,
    };
    plugin.run(&caller, words, host)
}

/// Plugins that are fit to be shown, with what they do.
fn described(config: &engine_client::ConfigFile) -> Vec<(String, String)> {
    let shown = |plugin: plugins::Plugin| {
        let metadata = plugin.metadata().ok().filter(|metadata| !metadata.hidden)?;
        Some((format!("{}*", plugin.name), metadata.short_description))
    };
    plugins::all(config).into_iter().filter_map(shown).collect()
}

/// Help that was asked for is the output; else it goes to stderr.
fn show_help(text: &str, asked: bool) -> Result<Exit, Failure> {
    if asked {
        output::print(text)?;
    } else {
        output::note(text.trim_end());
    }
    Ok(Exit::OK)
}

fn unknown(program: &str, path: &str) -> Failure {
    let (group, verb) = path.rsplit_once(' ').map_or(("", path), |(group, verb)| (group, verb));
    if commands::elsewhere(path) {
        return Failure::new(format!("{program}: '{path}' is not implemented here"))
            .with_hint("Swarm, managed plugins and content trust are not part of this program.");
    }
    let prefix = if group.is_empty() { String::new() } else { format!("{group} ") };
    let verbs = commands::ALL
        .iter()
        .flat_map(|command| command.paths)
        .filter_map(|known| known.strip_prefix(&prefix));
    let groups = commands::GROUPS.iter().map(|group| group.name).filter(|_| group.is_empty());
    let near = closest(verb, verbs.filter(|verb| !verb.contains(' ')).chain(groups));
    let usage = if group.is_empty() { String::new() } else { format!("\nUsage:  {program} {group}\n") };
    let failure = Failure::new(format!(
        "{program}: unknown command: {program} {path}\n{usage}\nRun '{program}{}{group} --help' for more information",
        if group.is_empty() { "" } else { " " }
    ));
    match near {
        Some(near) => failure.with_hint(format!("Did you mean '{program} {prefix}{near}'?")),
        None => failure,
    }
}

fn run_command(
    program: &str,
    globals: &Matches,
    command: &'static Command,
    path: &str,
    words: &[String],
) -> Result<Exit, Failure> {
    let flags: Vec<&'static Flag> = command.flags().collect();
    let usage = usage_line(program, path, command);
    let mut matches = grammar::parse(&flags, command.stops_at_positional, words).map_err(|error| {
        Failure::new(format!(
            "{}\n\nUsage:  {usage}\n\nRun '{program} {path} --help' for more information",
            error.0
        ))
        .with_code(USAGE_EXIT)
    })?;
    if matches.help {
        output::print(command_help(program, path, command))?;
        return Ok(Exit::OK);
    }
    if let Some(complaint) = command.arity.complaint(matches.args.len()) {
        let see = if matches!(command.arity, Arity::AtLeast(_)) { "See" } else { "Run" };
        return Err(Failure::new(format!(
            "{program}: '{program} {path}' {complaint}\n\nUsage:  {usage}\n\n{see} '{program} {path} --help' for more information"
        )));
    }
    matches.path = path.to_owned();
    refuse_content_trust(&matches, &flags)?;
    let session = Session::open(program, globals, command.needs_engine())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        for flag in flags.iter().filter(|flag| matches.changed(flag.name)) {
            check_engine(&session, flag).await?;
        }
        (command.run)(&session, &matches).await
    });
    runtime.shutdown_background();
    result
}
