//! `import`.

use reference::Reference;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::environment::os_text;
use crate::output::progress::{self, Sink};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image import", "import"],
    usage: "file|URL|- [REPOSITORY[:TAG]]",
    about: "Make an image of a file system's tar archive",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::list("change", "Dockerfile instruction to apply").short('c'),
    Flag::text("message", "Commit message").short('m'),
    Flag::text("platform", "Platform of the image").since(32),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let source = matches.arg(0);
    let remote = source.starts_with("http://") || source.starts_with("https://");
    let name = matches.args.get(1);
    if let Some(name) = name {
        Reference::parse_normalized(name)?;
    }
    let mut request = session
        .engine
        .post("/images/create")
        .query("fromSrc", if remote { source } else { "-" })
        .query_some("repo", name.map(String::as_str).unwrap_or_default())
        .query_some("message", matches.text_or_empty("message"))
        .query_some("platform", matches.text_or_empty("platform"));
    for change in matches.list("change") {
        request = request.query("changes", change);
    }
    if source == "-" {
        request = request.body("text/plain", tokio::io::stdin());
    } else if !remote {
        let file = std::fs::File::open(source)
            .map_err(|error| Failure::new(format!("open {source}: {}", os_text(&error))))?;
        request = request.body("text/plain", tokio::fs::File::from_std(file));
    }
    progress::show(request.json_lines().await?, Sink::Stdout).await?;
    Ok(Exit::OK)
}
