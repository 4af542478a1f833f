//! `image inspect`.

use engine_client::ApiVersion;

use crate::commands::inspecting::{self, FORMAT};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image inspect"],
    usage: "IMAGE [IMAGE...]",
    about: "Show all about one or more images",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] =
    &[FORMAT, Flag::text("platform", "Show this platform of the image (os[/arch[/variant]])")];

const PLATFORM_SINCE: ApiVersion = ApiVersion { major: 1, minor: 49 };

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let platform = matches.text_or_empty("platform");
    if !platform.is_empty() {
        session.engine.require("--platform", PLATFORM_SINCE).await?;
    }
    let platform = platform_json(platform);
    inspecting::each(matches, |name| {
        session.engine.get(&format!("/images/{name}/json")).query_some("platform", &platform)
    })
    .await
}

/// `os/arch/variant` as the API takes it from version 1.48 on; empty for empty.
pub fn platform_json(text: &str) -> String {
    let mut parts = text.split('/');
    let (Some(os), Some(architecture)) = (parts.next(), parts.next()) else { return String::new() };
    let mut platform = serde_json::json!({"os": os, "architecture": architecture});
    if let Some(variant) = parts.next() {
        platform["variant"] = variant.into();
    }
    platform.to_string()
}
