//! What a device changes of a container's spec (CDI specification, containerEdits).

use errdefs::{Error, Result};
use runtime_spec::{Device, DeviceRule, Hook, Hooks, Mount, NetDevice, Spec};
use rustix::fs::FileType;
use serde::Deserialize;

/// Changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Edits {
    pub env: Vec<String>,
    pub device_nodes: Vec<DeviceNode>,
    pub net_devices: Vec<NetworkDevice>,
    pub mounts: Vec<EditMount>,
    pub hooks: Vec<EditHook>,
    #[serde(alias = "additionalGIDs")]
    pub additional_gids: Vec<u32>,
    pub intel_rdt: Option<serde_json::Value>,
}

/// A device node; what is not said is that of the host's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceNode {
    pub path: String,
    pub host_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub major: Option<i64>,
    pub minor: Option<i64>,
    pub file_mode: Option<u32>,
    pub permissions: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A link of the host that moves into the container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkDevice {
    pub host_interface_name: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EditMount {
    pub host_path: String,
    pub container_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub options: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EditHook {
    pub hook_name: String,
    pub path: String,
    pub args: Vec<String>,
    pub env: Vec<String>,
    pub timeout: Option<i64>,
}

/// Makes the changes.
///
/// # Errors
/// A device node is not there, or a hook has no such moment.
pub fn apply(spec: &mut Spec, edits: &Edits) -> Result<()> {
    let failed = |text: String| Error::invalid_argument(format!("CDI device injection failed: {text}"));
    if edits.intel_rdt.is_some() {
        return Err(failed("intelRdt is not supported".into()));
    }
    let process = spec.process.get_or_insert_default();
    for variable in &edits.env {
        let name = variable.split('=').next();
        process.env.retain(|other| other.split('=').next() != name);
        process.env.push(variable.clone());
    }
    for gid in &edits.additional_gids {
        if *gid != 0 && !process.user.additional_gids.contains(gid) {
            process.user.additional_gids.push(*gid);
        }
    }
    let linux = spec.linux.get_or_insert_default();
    for node in &edits.device_nodes {
        let device = device(node).map_err(|text| failed(format!("device {}: {text}", node.path)))?;
        let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
        if device.kind != "p" {
            linux.resources.get_or_insert_default().devices.push(DeviceRule {
                allow: true,
                kind: device.kind.clone(),
                major: Some(device.major),
                minor: Some(device.minor),
                access: access.to_owned(),
            });
        }
        linux.devices.retain(|other| other.path != device.path);
        linux.devices.push(device);
    }
    for device in &edits.net_devices {
        let name = NetDevice { name: device.name.clone() };
        linux.net_devices.insert(device.host_interface_name.clone(), name);
    }
    spec.mounts.extend(edits.mounts.iter().map(|mount| Mount {
        destination: mount.container_path.clone(),
        source: mount.host_path.clone(),
        kind: if mount.kind.is_empty() { "bind".into() } else { mount.kind.clone() },
        options: if mount.options.is_empty() { vec!["rbind".into()] } else { mount.options.clone() },
        ..Mount::default()
    }));
    for hook in &edits.hooks {
        let hooks = spec.hooks.get_or_insert_default();
        let list = moment(hooks, &hook.hook_name)
            .ok_or_else(|| failed(format!("unknown hook name {:?}", hook.hook_name)))?;
        list.push(Hook {
            path: hook.path.clone(),
            args: hook.args.clone(),
            env: hook.env.clone(),
            timeout: hook.timeout,
        });
    }
    Ok(())
}

fn moment<'a>(hooks: &'a mut Hooks, name: &str) -> Option<&'a mut Vec<Hook>> {
    Some(match name {
        "prestart" => &mut hooks.prestart,
        "createRuntime" => &mut hooks.create_runtime,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        "poststop" => &mut hooks.poststop,
        _ => return None,
    })
}

fn device(node: &DeviceNode) -> std::result::Result<Device, String> {
    let mut device = Device {
        path: node.path.clone(),
        kind: node.kind.clone(),
        major: node.major.unwrap_or_default(),
        minor: node.minor.unwrap_or_default(),
        file_mode: node.file_mode,
        uid: node.uid,
        gid: node.gid,
    };
    if !device.kind.is_empty() && (node.major.is_some() || device.kind == "p") {
        return Ok(device);
    }
    let path = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let stat = rustix::fs::stat(path.as_str()).map_err(|cause| std::io::Error::from(cause).to_string())?;
    device.kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => "c",
        FileType::BlockDevice => "b",
        FileType::Fifo => "p",
        _ => return Err("not a device node".into()),
    }
    .to_owned();
    device.major = i64::from(rustix::fs::major(stat.st_rdev));
    device.minor = i64::from(rustix::fs::minor(stat.st_rdev));
    device.file_mode = device.file_mode.or(Some(stat.st_mode & 0o7777));
    Ok(device)
}
