//! `info`.

use engine_api::system::Info;
use serde_json::json;
use serde_json::value::RawValue;

use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, KeyOrder, Template, inspect, units};
use crate::plugins;
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["system info", "info"],
    usage: "",
    about: "Show all about the engine and its host",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[Flag::text("format", "Go template to show with, or 'json'").short('f')];

/// A line that is only its name.
const HEADING: &str = "\0";

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let answer = session.engine.get("/info").fetch::<Box<RawValue>>().await;
    let format = match matches.text_or_empty("format") {
        "json" => "{{json .}}",
        format => format,
    };
    if !format.is_empty() {
        return by_template(session, answer, format);
    }
    let mut text = format!(
        "Client: Wherry\n Version:    {}\n Context:    {}\n Debug Mode: {}\n{}\nServer:\n",
        env!("CARGO_PKG_VERSION"),
        session.context,
        session.debug,
        plugins_text(session),
    );
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            output::print(text)?;
            return Err(error.into());
        }
    };
    let info: Info = serde_json::from_str(answer.get())?;
    server(&mut text, &info);
    output::print(text)?;
    for warning in info.warnings.iter().flatten() {
        output::note(warning);
    }
    Ok(Exit::OK)
}

/// The client's plugins, those that are none with the reason.
fn plugins_text(session: &Session) -> String {
    let mut text = String::new();
    for plugin in plugins::all(&session.config) {
        if text.is_empty() {
            text.push_str(" Plugins:\n");
        }
        match plugin.metadata() {
            Ok(metadata) => {
                text.push_str(&format!(
                    "  {}: {} ({})\n",
                    plugin.name, metadata.short_description, metadata.vendor
                ));
                if !metadata.version.is_empty() {
                    text.push_str(&format!("    Version:  {}\n", metadata.version));
                }
                text.push_str(&format!("    Path:     {}\n", plugin.path.display()));
            }
            Err(reason) => output::note(format!(
                "WARNING: Plugin {:?} is not valid: {reason}",
                plugin.path.display().to_string()
            )),
        }
    }
    text
}

/// Plugins as templates see them.
fn plugins_json(session: &Session) -> Vec<serde_json::Value> {
    let describe = |plugin: plugins::Plugin| {
        let mut object = match plugin.metadata() {
            Ok(metadata) => serde_json::to_value(metadata).unwrap_or_default(),
            Err(reason) => json!({"Err": reason}),
        };
        object["Name"] = plugin.name.into();
        object["Path"] = plugin.path.display().to_string().into();
        object
    };
    plugins::all(&session.config).into_iter().map(describe).collect()
}

/// The engine's facts and the client's, through a template.
fn by_template(
    session: &Session,
    answer: Result<Box<RawValue>, engine_client::Error>,
    format: &str,
) -> Result<Exit, Failure> {
    let (raw, failure) = match answer {
        Ok(raw) => (raw.get().to_owned(), None),
        Err(error) => ("{}".to_owned(), Some(error)),
    };
    let template = Template::parse(format, KeyOrder::of(&raw))
        .map_err(|reason| Failure::new(format!("template parsing error: {reason}")).with_code(64))?
        .typed();
    let mut data: serde_json::Value = serde_json::from_str(&raw)?;
    let errors: Vec<String> = failure.iter().map(ToString::to_string).collect();
    if !errors.is_empty() || format.contains("ServerErrors") {
        data["ServerErrors"] = errors.into();
    }
    data["ClientInfo"] = json!({
        "Debug": session.debug, "Version": env!("CARGO_PKG_VERSION"), "Os": std::env::consts::OS, "Context": session.context,
        "Plugins": plugins_json(session), "Warnings": null,
    });
    match template.render(&inspect::value_of(&data)) {
        Ok(shown) => output::println(shown)?,
        // Without an engine there is nothing to ask for.
        Err(reason) => {
            output::println("")?;
            return Err(failure.map_or_else(|| Failure::new(reason), Failure::from));
        }
    }
    Ok(Exit::OK)
}

fn server(text: &mut String, info: &Info) {
    let mut line = |indent: usize, name: &str, value: &str| {
        let indent = " ".repeat(indent);
        text.push_str(&match value {
            HEADING => format!("{indent}{name}\n"),
            "" => format!("{indent}{name}:\n"),
            // Known to be empty, as opposed to what follows below.
            " " => format!("{indent}{name}: \n"),
            value => format!("{indent}{name}: {value}\n"),
        });
    };
    line(1, "Containers", &info.containers.to_string());
    line(2, "Running", &info.containers_running.to_string());
    line(2, "Paused", &info.containers_paused.to_string());
    line(2, "Stopped", &info.containers_stopped.to_string());
    line(1, "Images", &info.images.to_string());
    line(1, "Server Version", &info.server_version);
    line(1, "Storage Driver", &info.driver);
    for [name, value] in &info.driver_status {
        line(2, name, value);
    }
    line(1, "Logging Driver", &info.logging_driver);
    line(1, "Cgroup Driver", &info.cgroup_driver);
    line(1, "Cgroup Version", &info.cgroup_version);
    line(1, "Plugins", "");
    line(2, "Volume", &info.plugins.volume.join(" "));
    line(2, "Network", &info.plugins.network.join(" "));
    line(2, "Log", &info.plugins.log.join(" "));
    if !info.cdi_spec_dirs.is_empty() {
        line(1, "CDI spec directories", "");
        for directory in &info.cdi_spec_dirs {
            line(2, directory, HEADING);
        }
    }
    line(
        1,
        "Swarm",
        if info.swarm.local_node_state.is_empty() { "inactive" } else { &info.swarm.local_node_state },
    );
    line(1, "Runtimes", &info.runtimes.keys().cloned().collect::<Vec<_>>().join(" "));
    line(1, "Default Runtime", &info.default_runtime);
    line(1, "Init Binary", &info.init_binary);
    for (name, commit) in
        [("containerd", &info.containerd_commit), ("runc", &info.runc_commit), ("init", &info.init_commit)]
    {
        line(1, &format!("{name} version"), if commit.id.is_empty() { " " } else { &commit.id });
    }
    if !info.security_options.is_empty() {
        line(1, "Security Options", "");
        for option in &info.security_options {
            security(&mut line, option);
        }
    }
    line(1, "Kernel Version", &info.kernel_version);
    line(1, "Operating System", &info.operating_system);
    line(1, "OSType", &info.os_type);
    line(1, "Architecture", &info.architecture);
    line(1, "CPUs", &info.ncpu.to_string());
    line(1, "Total Memory", &units::bytes_size(info.mem_total as f64));
    line(1, "Name", &info.name);
    line(1, "ID", &info.id);
    line(1, "Docker Root Dir", &info.docker_root_dir);
    line(1, "Debug Mode", &info.debug.to_string());
    for (name, proxy) in
        [("HTTP Proxy", &info.http_proxy), ("HTTPS Proxy", &info.https_proxy), ("No Proxy", &info.no_proxy)]
    {
        if !proxy.is_empty() {
            line(1, name, proxy);
        }
    }
    for label in &info.labels {
        line(1, "Label", label);
    }
    line(1, "Experimental", &info.experimental_build.to_string());
    if let Some(registries) = &info.registry_config {
        line(1, "Insecure Registries", "");
        for (name, registry) in &registries.index_configs {
            if !registry.secure {
                text.push_str(&format!("  {name}\n"));
            }
        }
        for cidr in &registries.insecure_registry_cidrs {
            text.push_str(&format!("  {cidr}\n"));
        }
        for (index, mirror) in registries.mirrors.iter().flatten().enumerate() {
            text.push_str(&if index == 0 {
                format!(" Registry Mirrors:\n  {mirror}\n")
            } else {
                format!("  {mirror}\n")
            });
        }
    }
    text.push_str(&format!(" Live Restore Enabled: {}\n\n", info.live_restore_enabled));
}

/// `name=seccomp,profile=default` as a name with its settings below.
fn security(line: &mut impl FnMut(usize, &str, &str), option: &str) {
    let mut fields = option.split(',').filter_map(|field| field.split_once('='));
    let name = fields.next().map_or(option, |(_, name)| name);
    line(2, name, HEADING);
    for (key, value) in fields {
        let mut letters = key.chars();
        let key: String =
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect();
        line(3, &key, value);
    }
}
