//! Volume plugins: the methods `VolumeDriver.*` of Docker's plugin protocol, version 1.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::api::plugin;

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<&'a BTreeMap<String, String>>,
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    mountpoint: String,
    volume: Option<Shown>,
    err: String,
}

/// A volume as its plugin shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Shown {
    #[serde(deserialize_with = "engine_api::null_is_default")]
    pub mountpoint: String,
    #[serde(deserialize_with = "engine_api::null_is_default")]
    pub created_at: String,
    #[serde(deserialize_with = "engine_api::null_is_default")]
    pub status: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Activated {
    implements: Vec<String>,
}

async fn ask(driver: &str, method: &str, question: &Question<'_>) -> Result<Answer> {
    let answer: Answer = plugin::call(driver, &format!("VolumeDriver.{method}"), question).await?;
    if answer.err.is_empty() {
        return Ok(answer);
    }
    Err(Error::internal(format!("VolumeDriver.{method}: {}", answer.err)))
}

/// Has a plugin make a volume; gives the place that it names.
///
/// # Errors
/// There is no such plugin, it keeps no volumes, or it refuses.
pub async fn create(driver: &str, name: &str, options: &BTreeMap<String, String>) -> Result<String> {
    let missing = || {
        Error::not_found(format!("error looking up volume plugin {driver}: plugin \"{driver}\" not found"))
    };
    let activated: Activated = plugin::call(driver, "Plugin.Activate", &serde_json::json!({}))
        .await
        .map_err(|cause| if cause.kind() == errdefs::Kind::NotFound { missing() } else { cause })?;
    if !activated.implements.iter().any(|subsystem| subsystem == "VolumeDriver") {
        return Err(Error::not_found(format!(
            "error looking up volume plugin {driver}: plugin does not implement VolumeDriver interface"
        )));
    }
    ask(driver, "Create", &Question { name, opts: Some(options), ..Question::default() }).await?;
    // Not every plugin knows a place before the first mount.
    Ok(ask(driver, "Path", &Question { name, ..Question::default() }).await.unwrap_or_default().mountpoint)
}

/// What a plugin knows of a volume.
///
/// # Errors
/// The plugin does not answer, or has no such volume.
pub async fn get(driver: &str, name: &str) -> Result<Shown> {
    let answer = ask(driver, "Get", &Question { name, ..Question::default() }).await?;
    Ok(answer.volume.unwrap_or_default())
}

/// Has a plugin mount a volume for a container; gives the place.
///
/// # Errors
/// The plugin does not answer, or refuses.
pub async fn mount(driver: &str, name: &str, container: &str) -> Result<String> {
    let answer = ask(driver, "Mount", &Question { name, id: Some(container), ..Question::default() }).await?;
    if !answer.mountpoint.starts_with('/') {
        return Err(Error::internal(format!("plugin {driver} mounts volume {name} nowhere")));
    }
    Ok(answer.mountpoint)
}

/// Tells a plugin that a container uses a volume no more.
///
/// # Errors
/// The plugin does not answer, or refuses.
pub async fn unmount(driver: &str, name: &str, container: &str) -> Result<()> {
    ask(driver, "Unmount", &Question { name, id: Some(container), ..Question::default() }).await.map(drop)
}

/// Has a plugin remove a volume.
///
/// # Errors
/// The plugin does not answer, or refuses.
pub async fn remove(driver: &str, name: &str) -> Result<()> {
    ask(driver, "Remove", &Question { name, ..Question::default() }).await.map(drop)
}
