//! `create`, and the creation that `run` begins with.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use engine_api::container::{CreateRequest, Created};
use engine_client::Error;
use reference::AnyReference;

use crate::commands::container::exit_status;
use crate::commands::image::pull;
use crate::grammar::{Arity, Command, Exit, Failure, Matches};
use crate::options::environment::os_text;
use crate::options::platform::Platform;
use crate::options::{container, container_flags, proxy};
use crate::output;
use crate::output::progress::Sink;
use crate::session::Session;
use crate::terminal;

pub const COMMAND: Command = Command {
    paths: &["container create", "create"],
    usage: "IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    flags: &[container_flags::FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: true,
    run: |session, matches| Box::pin(run(session, matches)),
};

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let fail = |error: String| session.prefixed(Failure::new(error).with_code(125), &matches.path);
    let request = container::request(matches).map_err(fail)?;
    pull_policy(matches).map_err(fail)?;
    let created = create(session, matches, request).await.map_err(|failure| failure.with_code(1))?;
    output::println(created.id)?;
    Ok(Exit::OK)
}

/// Creates a container, pulling its image when that is wanted.
///
/// # Errors
/// The engine refuses, or the file for the ID exists.
pub async fn create(
    session: &Session,
    matches: &Matches,
    mut request: CreateRequest,
) -> Result<Created, Failure> {
    let cid_file = matches.text_or_empty("cidfile");
    if !cid_file.is_empty() && Path::new(cid_file).exists() {
        return Err(Failure::new(format!(
            "container ID file found, make sure the other container isn't running or delete {cid_file}"
        )));
    }
    let pull_policy = pull_policy(matches).map_err(Failure::new)?;
    let platform = platform(matches)?;
    let cid_file = CidFile::create(cid_file)?;
    let image = match AnyReference::parse(&request.config.image)? {
        AnyReference::Named(name) => name.with_default_tag().familiar(),
        AnyReference::Digest(_) => request.config.image.clone(),
    };
    let given = request.config.env.clone().unwrap_or_default();
    let proxies = proxy::variables(&session.config, &session.engine.endpoint().to_string(), &given);
    if !proxies.is_empty() {
        request.config.env.get_or_insert_default().extend(proxies);
    }
    if request.config.tty
        && let (Some(host), Some((rows, columns))) = (&mut request.host_config, terminal::window())
    {
        host.console_size = [u64::from(rows), u64::from(columns)];
    }
    if pull_policy == "always" {
        pull_image(session, matches, &image, &platform).await?;
    }
    let created = match send(session, matches, &request, &platform).await {
        Err(error) if pull_policy == "missing" && is_missing_image(&error) => {
            if !matches.flag("quiet") {
                output::note(format!("Unable to find image '{image}' locally"));
            }
            pull_image(session, matches, &image, &platform).await?;
            send(session, matches, &request, &platform).await?
        }
        result => result?,
    };
    for warning in &created.warnings {
        output::note(format!("WARNING: {warning}"));
    }
    cid_file.write(&created.id)?;
    Ok(created)
}

/// When the image is pulled.
fn pull_policy(matches: &Matches) -> Result<&str, String> {
    match matches.text("pull").unwrap_or("missing") {
        policy @ ("always" | "missing" | "never") => Ok(policy),
        policy => Err(format!(
            "invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\""
        )),
    }
}

/// The file that `--cidfile` names: made before the container, gone again without one.
struct CidFile<'a> {
    path: &'a str,
    file: Option<fs::File>,
}

impl<'a> CidFile<'a> {
    fn create(path: &'a str) -> Result<Self, Failure> {
        if path.is_empty() {
            return Ok(Self { path, file: None });
        }
        let file = fs::File::create_new(path).map_err(|error| {
            let code = if error.kind() == ErrorKind::NotFound {
                exit_status::NOT_FOUND
            } else {
                exit_status::ENGINE_FAILED
            };
            Failure::new(format!("failed to create the container ID file: open {path}: {}", os_text(&error)))
                .with_code(code)
        })?;
        Ok(Self { path, file: Some(file) })
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.write_all(id.as_bytes()).map_err(|error| {
            Failure::new(format!("failed to write the container ID to the file ({}): {error}", self.path))
        })
    }
}

impl Drop for CidFile<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // A file that is gone already is as it should be.
            let _ = fs::remove_file(self.path);
        }
    }
}

/// `--platform` as the engine takes it; empty for none.
fn platform(matches: &Matches) -> Result<String, Failure> {
    match matches.platform() {
        text if text.is_empty() => Ok(text),
        text => Ok(Platform::parse(&text)
            .map_err(|reason| format!("error parsing specified platform: {reason}"))?
            .shown()),
    }
}

async fn pull_image(
    session: &Session,
    matches: &Matches,
    image: &str,
    platform: &str,
) -> Result<(), Failure> {
    let sink = if matches.flag("quiet") { Sink::Nowhere } else { Sink::Stderr };
    pull::pull(session, image, platform, sink).await
}

async fn send(
    session: &Session,
    matches: &Matches,
    request: &CreateRequest,
    platform: &str,
) -> Result<Created, Error> {
    session
        .engine
        .post("/containers/create")
        .query_some("name", matches.text_or_empty("name"))
        .query_some("platform", platform)
        .json(request)?
        .fetch()
        .await
}

/// The engine tells a missing image, or one of another platform, from other missing things only by text.
fn is_missing_image(error: &Error) -> bool {
    const TEXTS: &[&str] = &["No such image", "no such image", "the specified platform"];
    matches!(error, Error::Daemon { status: 404, message } if TEXTS.iter().any(|text| message.contains(text)))
}
