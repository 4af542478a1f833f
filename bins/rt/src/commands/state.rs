//! `state`: what a container is, as JSON.

use std::collections::BTreeMap;

use runtime_spec::Status;
use serde::Serialize;

use super::{Command, Context};
use crate::container::Container;
use crate::failure::Failure;
use crate::words::{Grammar, Words};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "state",
        arguments: "<container-id>",
        about: "print the state of a container",
        least: 1,
        most: 1,
        options: &[],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

/// runc's shape: the specification's state with the root, the time and the owner.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View<'a> {
    oci_version: &'a str,
    pub id: &'a str,
    pub pid: i32,
    pub status: Status,
    pub bundle: String,
    rootfs: String,
    pub created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    pub owner: &'a str,
}

impl<'a> View<'a> {
    /// The state now; `owner` is a user's name or empty.
    pub fn of(container: &'a Container, owner: &'a str) -> Result<View<'a>, Failure> {
        let record = &container.record;
        let status = container.status()?;
        Ok(View {
            oci_version: runtime_spec::VERSION,
            id: &record.id,
            pid: if status == Status::Stopped { 0 } else { record.init_process_pid },
            status,
            bundle: record.bundle.to_string_lossy().into_owned(),
            rootfs: record.rootfs.to_string_lossy().into_owned(),
            created: &record.created,
            annotations: &record.annotations,
            owner,
        })
    }
}

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let view = View::of(&container, "")?;
    let text = serde_json::to_string_pretty(&view).map_err(|error| Failure::new(error.to_string()))?;
    print!("{text}");
    Ok(0)
}
