//! Devices of vendors: the Container Device Interface, and `--gpus` on top of it.

mod edits;
mod registry;
mod request;

use std::path::PathBuf;

use engine_api::host_config::DeviceRequest;
use errdefs::{Error, Result};
use runtime_spec::Spec;

/// Qualified names of all devices that are described in the directories, in order.
pub fn names(directories: &[PathBuf]) -> Vec<String> {
    registry::Registry::load(directories).names()
}

/// Gives a container the devices that it asks for; of two with one name, the later directory's is meant.
///
/// # Errors
/// A request names no driver of ours, or devices that nobody describes.
pub fn give(spec: &mut Spec, requests: &[DeviceRequest], directories: &[PathBuf]) -> Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    let registry = registry::Registry::load(directories);
    let mut names = Vec::new();
    for request in requests {
        names.extend(request::names(request, &registry)?);
    }
    let unknown: Vec<&str> =
        names.iter().filter(|name| registry.find(name).is_none()).map(String::as_str).collect();
    if !unknown.is_empty() {
        let mut text =
            format!("CDI device injection failed: unresolvable CDI devices {}", unknown.join(", "));
        for broken in registry.broken() {
            text.push_str(&format!("; {broken}"));
        }
        return Err(Error::invalid_argument(text));
    }
    let mut used: Vec<&PathBuf> = Vec::new();
    for name in &names {
        let Some((file, device)) = registry.find(name) else { continue };
        // What holds for all devices of a file is done once.
        if !used.contains(&&file.path) {
            edits::apply(spec, &file.content.container_edits)?;
            used.push(&file.path);
        }
        edits::apply(spec, &device.container_edits)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cdi(device: &str) -> DeviceRequest {
        DeviceRequest {
            driver: "cdi".into(),
            device_ids: Some(vec![device.into()]),
            ..DeviceRequest::default()
        }
    }

    fn gpus(count: i64) -> DeviceRequest {
        DeviceRequest { count, capabilities: Some(vec![vec!["gpu".into()]]), ..DeviceRequest::default() }
    }

    fn given(requests: &[DeviceRequest]) -> Result<Spec> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("vendor.json"),
            r#"{"cdiVersion":"0.6.0","kind":"vendor.com/net","containerEdits":{"env":["ALL=1"]},
                "devices":[{"name":"nic0","containerEdits":{"env":["NIC=0"],
                  "deviceNodes":[{"path":"/dev/nic0","hostPath":"/dev/null"}],
                  "mounts":[{"hostPath":"/tmp","containerPath":"/nic","options":["ro","rbind"]}],
                  "hooks":[{"hookName":"createContainer","path":"/bin/hook","args":["hook","x"]}],
                  "additionalGids":[7]}}]}"#,
        )
        .unwrap();
        std::fs::write(
            directory.path().join("nvidia.yaml"),
            "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [GPU=all]\n\
             - name: \"0\"\n  containerEdits:\n    env:\n    - GPU=0\n",
        )
        .unwrap();
        let mut spec = Spec {
            process: Some(runtime_spec::Process::default()),
            linux: Some(runtime_spec::Linux::default()),
            ..Spec::default()
        };
        give(&mut spec, requests, &[directory.path().to_owned()]).map(|()| spec)
    }

    #[test]
    fn a_named_device_is_given_whole() {
        let spec = given(&[cdi("vendor.com/net=nic0")]).unwrap();
        let process = spec.process.unwrap();
        assert_eq!(process.env, ["ALL=1", "NIC=0"]);
        assert_eq!(process.user.additional_gids, [7]);
        let linux = spec.linux.unwrap();
        assert_eq!(
            (linux.devices[0].path.as_str(), linux.devices[0].major, linux.devices[0].minor),
            ("/dev/nic0", 1, 3)
        );
        assert!(linux.resources.unwrap().devices.iter().any(|rule| rule.allow && rule.major == Some(1)));
        assert_eq!(spec.mounts[0].options, ["ro", "rbind"]);
        assert_eq!(spec.hooks.unwrap().create_container[0].args, ["hook", "x"]);
    }

    #[test]
    fn gpus_are_the_vendors() {
        assert_eq!(given(&[gpus(-1)]).unwrap().process.unwrap().env, ["GPU=all"]);
        assert_eq!(given(&[gpus(1)]).unwrap().process.unwrap().env, ["GPU=0"]);
    }

    #[test]
    fn what_nobody_describes_is_refused() {
        let text = |request: DeviceRequest| given(&[request]).unwrap_err().to_string();
        assert!(text(cdi("vendor.com/net=nic9")).contains("unresolvable CDI devices vendor.com/net=nic9"));
        assert!(text(gpus(2)).contains("nvidia.com/gpu=1"));
        let other = DeviceRequest {
            driver: "other".into(),
            capabilities: Some(vec![vec!["tpu".into()]]),
            ..DeviceRequest::default()
        };
        assert_eq!(text(other), "could not select device driver \"other\" with capabilities: [[tpu]]");
    }
}
