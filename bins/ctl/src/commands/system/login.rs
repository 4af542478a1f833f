//! `login`.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use engine_api::auth::{AuthConfig, AuthResponse};
use engine_client::{Credentials, HUB_SERVER};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output;
use crate::session::Session;
use crate::terminal::Signals;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

pub const COMMAND: Command = Command {
    paths: &["login"],
    usage: "[SERVER]",
    about: "Log in to a registry",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::text("password", "Password or token").short('p'),
    Flag::bool("password-stdin", "Read the password from stdin"),
    Flag::text("username", "User name").short('u'),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let server = match matches.arg(0) {
        "" | "docker.io" => HUB_SERVER.to_owned(),
        server => server
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned(),
    };
    let mut config = session.config.clone();
    let mut auth = asked(matches, &Credentials::new(&mut config).get(&server)?).await?;
    auth.server_address.clone_from(&server);
    let answer: AuthResponse = session.engine.post("/auth").json(&auth)?.fetch().await?;
    if !answer.identity_token.is_empty() {
        auth.password.clear();
        auth.identity_token = answer.identity_token;
    }
    Credentials::new(&mut config).store(&auth)?;
    if config.text("credsStore").is_none() && config.texts("credHelpers").is_empty() {
        output::note(format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning.\n",
            config.path().display()
        ));
    }
    output::println(if answer.status.is_empty() { "Login Succeeded" } else { &answer.status })?;
    Ok(Exit::OK)
}

/// User and password from flags, stdin, what is stored, or the person.
async fn asked(matches: &Matches, stored: &AuthConfig) -> Result<AuthConfig, Failure> {
    let mut auth = AuthConfig { username: matches.string("username"), ..AuthConfig::default() };
    if let Some(password) = matches.text("password") {
        if matches.flag("password-stdin") {
            return Err(Failure::new(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
        output::note("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        auth.password = password.to_owned();
    }
    if matches.flag("password-stdin") {
        if auth.username.is_empty() {
            return Err(Failure::new("the --password-stdin option requires --username to be set"));
        }
        io::stdin().read_to_string(&mut auth.password)?;
        auth.password.truncate(auth.password.trim_end_matches(['\r', '\n']).len());
    }
    if auth.username.is_empty() && auth.password.is_empty() && !stored.username.is_empty() {
        return Ok(stored.clone());
    }
    if (auth.username.is_empty() || auth.password.is_empty()) && !io::stdin().is_terminal() {
        return Err(Failure::new("Error: Cannot perform an interactive login from a non TTY device"));
    }
    if auth.username.is_empty() {
        auth.username = prompt("Username: ")?;
    }
    if auth.password.is_empty() {
        auth.password = hidden_prompt("Password: ").await?;
    }
    if auth.username.is_empty() || auth.password.is_empty() {
        return Err(Failure::new("Error: Non-null Username and Password Required"));
    }
    Ok(auth)
}

fn prompt(text: &str) -> Result<String, Failure> {
    output::print(text)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Without showing what is typed.
async fn hidden_prompt(text: &'static str) -> Result<String, Failure> {
    let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(io::Error::from)?;
    let mut signals = Signals::catch(&[SIGINT, SIGTERM])?;
    let prompt = tokio::task::spawn_blocking(move || prompt(text));
    // Whoever ends us here gets the terminal back as it was.
    let answer = tokio::select! {
        answer = prompt => answer.map_err(io::Error::other)?,
        number = signals.next() => Err(Failure::silent(u8::try_from(128 + number).unwrap_or(u8::MAX))),
    };
    let restored = tcsetattr(io::stdin(), OptionalActions::Flush, &before).map_err(io::Error::from);
    let _ = writeln!(io::stdout());
    restored?;
    answer
}
