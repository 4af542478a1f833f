//! All commands and groups: one file a verb.

mod build;
mod checkpoint;
mod container;
mod context;
mod each;
mod image;
mod inspecting;
mod listing;
mod manifest;
mod network;
mod prune;
mod system;
mod transfer;
mod volume;

use crate::grammar::{Command, Group};

/// Every command.
pub const ALL: &[&Command] = &[
    &build::COMMAND,
    &build::prune::COMMAND,
    &checkpoint::create::COMMAND,
    &checkpoint::ls::COMMAND,
    &checkpoint::rm::COMMAND,
    &crate::completion::COMMAND,
    &container::attach::COMMAND,
    &container::commit::COMMAND,
    &container::cp::COMMAND,
    &container::create::COMMAND,
    &container::diff::COMMAND,
    &container::exec::COMMAND,
    &container::export::COMMAND,
    &container::inspect::COMMAND,
    &container::kill::COMMAND,
    &container::logs::COMMAND,
    &container::ls::COMMAND,
    &container::pause::COMMAND,
    &container::port::COMMAND,
    &container::prune::COMMAND,
    &container::rename::COMMAND,
    &container::restart::COMMAND,
    &container::rm::COMMAND,
    &container::run::COMMAND,
    &container::start::COMMAND,
    &container::stats::COMMAND,
    &container::stop::COMMAND,
    &container::top::COMMAND,
    &container::unpause::COMMAND,
    &container::update::COMMAND,
    &container::wait::COMMAND,
    &context::create::COMMAND,
    &context::export::COMMAND,
    &context::import::COMMAND,
    &context::inspect::COMMAND,
    &context::ls::COMMAND,
    &context::rm::COMMAND,
    &context::show::COMMAND,
    &context::update::COMMAND,
    &context::r#use::COMMAND,
    &image::history::COMMAND,
    &image::import::COMMAND,
    &image::inspect::COMMAND,
    &image::load::COMMAND,
    &image::ls::COMMAND,
    &image::prune::COMMAND,
    &image::pull::COMMAND,
    &image::push::COMMAND,
    &image::rm::COMMAND,
    &image::save::COMMAND,
    &image::tag::COMMAND,
    &manifest::annotate::COMMAND,
    &manifest::create::COMMAND,
    &manifest::inspect::COMMAND,
    &manifest::push::COMMAND,
    &manifest::rm::COMMAND,
    &network::connect::COMMAND,
    &network::create::COMMAND,
    &network::disconnect::COMMAND,
    &network::inspect::COMMAND,
    &network::ls::COMMAND,
    &network::prune::COMMAND,
    &network::rm::COMMAND,
    &system::df::COMMAND,
    &system::dial_stdio::COMMAND,
    &system::events::COMMAND,
    &system::info::COMMAND,
    &system::inspect::COMMAND,
    &system::login::COMMAND,
    &system::logout::COMMAND,
    &system::prune::COMMAND,
    &system::search::COMMAND,
    &system::version::COMMAND,
    &volume::create::COMMAND,
    &volume::inspect::COMMAND,
    &volume::ls::COMMAND,
    &volume::prune::COMMAND,
    &volume::rm::COMMAND,
    &volume::update::COMMAND,
];

/// The build commands, which are the buildx plugin's where it is.
pub const BUILD_PATHS: &[&str] = build::COMMAND.paths;

/// Words that lead to verbs.
pub const GROUPS: &[Group] = &[
    Group { name: "builder", about: "Manage builds" },
    Group { name: "checkpoint", about: "Manage checkpoints" },
    Group { name: "container", about: "Manage containers" },
    Group { name: "context", about: "Manage contexts" },
    Group { name: "image", about: "Manage images" },
    Group { name: "manifest", about: "Manage manifests and manifest lists" },
    Group { name: "network", about: "Manage networks" },
    Group { name: "system", about: "Manage the engine" },
    Group { name: "volume", about: "Manage volumes" },
];

/// Whether Docker has this command, and this program leaves it out.
pub fn elsewhere(path: &str) -> bool {
    const WORDS: &[&str] = &["config", "node", "plugin", "secret", "service", "stack", "swarm", "trust"];
    WORDS.contains(&path.split(' ').next().unwrap_or(path))
}
