//! `version`.

use engine_api::system::Version;
use engine_client::ApiVersion;
use serde_json::json;
use serde_json::value::RawValue;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, KeyOrder, Template, align, inspect, time};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["version"],
    usage: "",
    about: "Show the versions of client and engine",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::text("format", "Go template to show with, or 'json'").short('f')];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let server = session.engine.get("/version").fetch::<Box<RawValue>>().await;
    let api = if server.is_ok() { session.engine.version().await? } else { ApiVersion::NEWEST };
    let format = match matches.text_or_empty("format") {
        "json" => "{{json .}}",
        format => format,
    };
    let (server, failure) = match server {
        Ok(server) => (Some(server), None),
        Err(error) => (None, Some(Failure::from(error))),
    };
    if format.is_empty() {
        output::print(client_text(session, api))?;
        if let Some(server) = server {
            output::print(server_text(&serde_json::from_str(server.get())?))?;
        }
    } else {
        let text = format!(
            "{{\"Client\":{},\"Server\":{}}}",
            client(session, api),
            server.as_ref().map_or("null", |server| server.get())
        );
        let mut data: serde_json::Value = serde_json::from_str(&text)?;
        if let Some(time) = data.pointer_mut("/Server/Components/0/Details/BuildTime") {
            *time = built_at(time.as_str().unwrap_or_default()).into();
        }
        let named = |reason: String| {
            reason
                .replace("template: :", "template: version:")
                .replace("executing \"\"", "executing \"version\"")
        };
        let template = Template::parse(format, KeyOrder::of(&text))
            .map_err(|reason| {
                Failure::new(format!("template parsing error: {}", named(reason))).with_code(64)
            })?
            .typed();
        let shown = template.execute(&inspect::value_of(&data)).or_else(|_| {
            name_as_go(&mut data);
            template.render(&inspect::value_of(&data))
        });
        match shown {
            Ok(shown) => output::println(shown)?,
            Err(reason) => {
                output::println("")?;
                return Err(Failure::new(named(reason)));
            }
        }
    }
    failure.map_or(Ok(Exit::OK), Err)
}

/// Templates may name fields as Go does where JSON differs, and ask for what we lack.
fn name_as_go(data: &mut serde_json::Value) {
    for part in ["Client", "Server"] {
        let Some(fields) = data[part].as_object_mut() else { continue };
        let version = fields.get("ApiVersion").cloned().unwrap_or_default();
        fields.insert("APIVersion".to_owned(), version);
        for name in ["GitCommit", "GoVersion", "BuildTime", "KernelVersion"] {
            fields.entry(name).or_insert_with(|| "".into());
        }
        fields.entry("Experimental").or_insert(false.into());
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A build's time as people read it; what is none stays as it is.
fn built_at(text: &str) -> String {
    match time::unix_of(text) {
        0 => text.to_owned(),
        seconds => time::ctime(seconds),
    }
}

fn client(session: &Session, api: ApiVersion) -> serde_json::Value {
    json!({
        "Version": env!("CARGO_PKG_VERSION"), "ApiVersion": api.to_string(), "DefaultAPIVersion": ApiVersion::NEWEST.to_string(),
        "Os": std::env::consts::OS, "Arch": architecture(), "Context": session.context,
    })
}

fn client_text(session: &Session, api: ApiVersion) -> String {
    let downgraded = if api == ApiVersion::NEWEST {
        String::new()
    } else {
        format!(" (downgraded from {})", ApiVersion::NEWEST)
    };
    let rows = [
        (" Version:", env!("CARGO_PKG_VERSION").to_owned()),
        (" API version:", format!("{api}{downgraded}")),
        (" OS/Arch:", format!("{}/{}", std::env::consts::OS, architecture())),
        (" Context:", session.context.clone()),
    ];
    let lines: String = rows.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect();
    align(&format!("Client: Wherry\n{lines}"), 20).replace("  \n", "\n")
}

fn server_text(server: &Version) -> String {
    let platform =
        if server.platform.name.is_empty() { String::new() } else { format!(" {}", server.platform.name) };
    let mut text = format!("\nServer:{platform}\n");
    let engine = server.components.iter().find(|component| component.name == "Engine");
    let details = engine.map(|engine| engine.details.clone()).unwrap_or_default();
    let detail =
        |name: &str, fallback: &str| details.get(name).cloned().unwrap_or_else(|| fallback.to_owned());
    let built = detail("BuildTime", &server.build_time);
    let built = built_at(&built);
    let minimum = &server.min_api_version;
    let minimum = if minimum.is_empty() { String::new() } else { format!(" (minimum version {minimum})") };
    text.push_str(" Engine:\n");
    for (name, value) in [
        ("Version:", server.version.clone()),
        ("API version:", format!("{}{minimum}", server.api_version)),
        ("Go version:", detail("GoVersion", &server.go_version)),
        ("Git commit:", detail("GitCommit", &server.git_commit)),
        ("Built:", built),
        ("OS/Arch:", format!("{}/{}", server.os, server.arch)),
        ("Experimental:", server.experimental.to_string()),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("  {name}\t{value}\n"));
        }
    }
    for component in server.components.iter().filter(|component| component.name != "Engine") {
        text.push_str(&format!(" {}:\n  Version:\t{}\n", component.name, component.version));
        for (name, value) in &component.details {
            text.push_str(&format!("  {name}:\t{value}\n"));
        }
    }
    align(&text, 20)
}
