//! `cp`: between a container and the local file system, as `cp -a` does.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine_api::container::PathStat;
use engine_client::{Error, Response};

use crate::commands::container::archives::{self, Copied};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::os_text;
use crate::output;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["container cp", "cp"],
    usage: "CONTAINER:SRC_PATH DEST_PATH|-\nSRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files between a container and the local file system",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("archive", "Keep owner and group").short('a'),
    Flag::bool("follow-link", "Follow a symbolic link as source").short('L'),
    Flag::bool("quiet", "Do not tell what was copied").short('q'),
];

/// How often the amount copied is shown.
const TICK: Duration = Duration::from_millis(75);
const MODE_DIRECTORY: u32 = 1 << 31;
const MODE_SYMLINK: u32 = 1 << 27;

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let (source, target) = (matches.arg(0), matches.arg(1));
    match (container_path(source), container_path(target)) {
        (Some((_, "")), None) => Err(Failure::new("the path in the container is empty: / is its root")),
        (Some((container, path)), None) => from_container(session, matches, container, path, target).await,
        (None, Some((container, path))) => to_container(session, matches, source, container, path).await,
        (Some(_), Some(_)) => Err(Failure::new("copying between containers is not supported")),
        (None, None) => Err(Failure::new("must specify at least one container source")),
    }
}

/// `CONTAINER:PATH`; a path that begins with `/` or `.` is a local one.
fn container_path(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['/', '.']) {
        return None;
    }
    text.split_once(':').filter(|(container, _)| !container.is_empty())
}

async fn from_container(
    session: &Session,
    matches: &Matches,
    container: &str,
    path: &str,
    target: &str,
) -> Result<Exit, Failure> {
    let mut path = rooted(path);
    if matches.flag("follow-link") {
        path = followed(session, container, path).await?;
    }
    let request = session.engine.get(&format!("/containers/{container}/archive")).query("path", &path);
    let mut answer = request.send().await?;
    if target == "-" {
        while let Some(chunk) = answer.chunk().await? {
            output::print(&chunk)?;
        }
        return Ok(Exit::OK);
    }
    let stat = stat_of(&answer)?;
    let plan = local_plan(&path, &stat, target)?;
    let copied = Copied::default();
    let copying = archives::unpack(answer, plan, copied.clone());
    told(matches, "Copying from container", &copied, copying).await?;
    if !is_quiet(matches) {
        output::note(format!("Successfully copied {copied} to {}", absolute(target)?));
    }
    Ok(Exit::OK)
}

/// Where a container's archive goes: into `directory`, its root renamed.
fn local_plan(path: &str, stat: &PathStat, target: &str) -> Result<archives::Plan, Failure> {
    let is_directory = stat.mode & MODE_DIRECTORY != 0;
    let contents = path.ends_with("/.");
    let local = Path::new(target);
    if local.is_dir() {
        let rename = contents.then(|| PathBuf::from("."));
        return Ok(archives::Plan { directory: local.to_owned(), rename });
    }
    if local.exists() && is_directory {
        return Err(Failure::new("cannot copy directory"));
    }
    if target.ends_with('/') && !is_directory {
        return Err(Failure::new("no such directory"));
    }
    let trimmed = Path::new(target.trim_end_matches('/'));
    let parent = trimmed.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(Failure::new(format!(
            "invalid output path: directory {:?} does not exist",
            parent.display().to_string()
        )));
    }
    let name = trimmed.file_name().ok_or_else(|| Failure::new("invalid output path"))?;
    Ok(archives::Plan { directory: parent.to_owned(), rename: Some(PathBuf::from(name)) })
}

async fn to_container(
    session: &Session,
    matches: &Matches,
    source: &str,
    container: &str,
    path: &str,
) -> Result<Exit, Failure> {
    let mut path = rooted(path);
    let mut stat = stat(session, container, &path).await?;
    if stat.as_ref().is_some_and(|stat| stat.mode & MODE_SYMLINK != 0) {
        path = followed(session, container, path).await?;
        stat = self::stat(session, container, &path).await?;
    }
    let exists_as_directory = stat.as_ref().is_some_and(|stat| stat.mode & MODE_DIRECTORY != 0);
    let put = |directory: &str| {
        session
            .engine
            .put(&format!("/containers/{container}/archive"))
            .query("path", directory)
            .query("noOverwriteDirNonDir", "true")
            .query_some("copyUIDGID", if matches.flag("archive") { "true" } else { "" })
    };
    if source == "-" {
        if !exists_as_directory {
            return Err(Failure::new(format!("destination \"{container}:{path}\" must be a directory")));
        }
        put(&path).body("application/x-tar", tokio::io::stdin()).done().await?;
        return Ok(Exit::OK);
    }
    if source.is_empty() {
        return Err(Failure::new("source can not be empty"));
    }
    let local = Path::new(source.trim_end_matches('/'));
    let contents = source.ends_with("/.") || source == ".";
    let metadata = if matches.flag("follow-link") { local.metadata() } else { local.symlink_metadata() };
    let metadata = metadata.map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Failure::new("not a directory"),
        _ => Failure::new(format!("lstat {source}: {}", os_text(&error))),
    })?;
    if source.ends_with('/') && !local.is_dir() {
        return Err(Failure::new("not a directory"));
    }
    let (directory, name) = match (&stat, metadata.is_dir()) {
        (Some(_), _) if exists_as_directory => {
            let own = std::path::absolute(local)?;
            let own = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (path.clone(), if contents { ".".to_owned() } else { own })
        }
        (Some(_), true) => return Err(Failure::new("cannot copy directory")),
        (None, false) if path.ends_with('/') => return Err(Failure::new("no such directory")),
        _ => {
            let trimmed = path.trim_end_matches('/');
            let (parent, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
            (if parent.is_empty() { "/".to_owned() } else { parent.to_owned() }, name.to_owned())
        }
    };
    let copied = Copied::default();
    let body = copied.counting(archives::pack(local, &name, matches.flag("follow-link"))?);
    let copying = async { Ok(put(&directory).body("application/x-tar", body).done().await?) };
    told(matches, "Copying to container", &copied, copying).await?;
    if !is_quiet(matches) {
        output::note(format!("Successfully copied {copied} to {container}:{path}"));
    }
    Ok(Exit::OK)
}

/// Without `--quiet`, a person at a terminal is told.
fn is_quiet(matches: &Matches) -> bool {
    if matches.changed("quiet") { matches.flag("quiet") } else { !io::stdout().is_terminal() }
}

/// Copies, and shows on a terminal how much was copied so far, unless nothing is to be told.
async fn told(
    matches: &Matches,
    what: &str,
    copied: &Copied,
    copying: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    if is_quiet(matches) || !io::stderr().is_terminal() {
        return copying.await;
    }
    tokio::pin!(copying);
    let mut ticks = tokio::time::interval(TICK);
    let done = loop {
        tokio::select! {
            done = &mut copying => break done,
            _ = ticks.tick() => output::mark(format!("\r\x1b[2K{what} - {copied}")),
        }
    };
    output::mark("\r\x1b[2K");
    done
}

/// A local path from the root; a slash at its end stays.
fn absolute(path: &str) -> Result<String, Failure> {
    Ok(std::path::absolute(path)?.display().to_string())
}

/// Container paths begin at its root.
fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

async fn stat(session: &Session, container: &str, path: &str) -> Result<Option<PathStat>, Failure> {
    let request = session.engine.head(&format!("/containers/{container}/archive")).query("path", path);
    match request.send().await {
        Ok(answer) => Ok(Some(stat_of(&answer)?)),
        Err(error) if error.is_not_found() => {
            // HEAD has no body to tell a missing container from a missing path.
            session.engine.get(&format!("/containers/{container}/json")).done().await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn stat_of(answer: &Response<'_>) -> Result<PathStat, Failure> {
    let header = answer.header("x-docker-container-path-stat").unwrap_or_default();
    let json = STANDARD
        .decode(header)
        .map_err(|error| Failure::new(format!("cannot read the path's stat: {error}")))?;
    Ok(serde_json::from_slice(&json)?)
}

/// The path that a symbolic link leads to, one step.
async fn followed(session: &Session, container: &str, path: String) -> Result<String, Failure> {
    let missing = || Error::Daemon {
        status: 404,
        message: format!("Could not find the file {path} in container {container}"),
    };
    let stat = stat(session, container, &path).await?.ok_or_else(missing)?;
    if stat.mode & MODE_SYMLINK == 0 {
        return Ok(path);
    }
    if stat.link_target.starts_with('/') {
        return Ok(stat.link_target);
    }
    let parent = path.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent);
    Ok(format!("{parent}/{}", stat.link_target))
}
