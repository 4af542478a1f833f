//! Lists and maps for which Docker's API document knows no null: an empty one is shown instead.
//!
//! Inside the engine they are absent, for a client's absent list is not always an empty one.

use http::Response;
use serde_json::Value;

use super::body::Body;

/// By the pattern of a route: `[]` after a list, `{}` after a map, `*` for every element.
const FILLED: [(&str, &[&str]); 9] = [
    (
        "/containers/{id*}/json",
        &[
            "GraphDriver.Data{}",
            "HostConfig.Binds[]",
            "HostConfig.BlkioDeviceReadBps[]",
            "HostConfig.BlkioDeviceReadIOps[]",
            "HostConfig.BlkioDeviceWriteBps[]",
            "HostConfig.BlkioDeviceWriteIOps[]",
            "HostConfig.BlkioWeightDevice[]",
            "HostConfig.CapAdd[]",
            "HostConfig.CapDrop[]",
            "HostConfig.DeviceCgroupRules[]",
            "HostConfig.DeviceRequests[]",
            "HostConfig.Devices[]",
            "HostConfig.ExtraHosts[]",
            "HostConfig.GroupAdd[]",
            "HostConfig.Links[]",
            "HostConfig.SecurityOpt[]",
            "HostConfig.Ulimits[]",
            "HostConfig.VolumesFrom[]",
            "Config.Labels{}",
        ],
    ),
    ("/images/json", &["*.Labels{}", "*.RepoTags[]", "*.RepoDigests[]"]),
    (
        "/images/{name*}/json",
        &["GraphDriver.Data{}", "Config.Labels{}", "Config.Volumes{}", "RepoTags[]", "RepoDigests[]"],
    ),
    ("/volumes", &["Volumes[]", "Volumes.*.Labels{}", "Volumes.*.Options{}", "Warnings[]"]),
    ("/volumes/{name}", &["Labels{}", "Options{}"]),
    ("/volumes/create", &["Labels{}", "Options{}"]),
    ("/volumes/prune", &["VolumesDeleted[]"]),
    ("/networks/prune", &["NetworksDeleted[]"]),
    ("/containers/{id*}/update", &["Warnings[]"]),
];

/// Fills what the document knows no null for.
pub fn fill(pattern: &str, answer: &mut Response<Body>) {
    let Some((_, paths)) = FILLED.iter().find(|(of, _)| *of == pattern) else { return };
    let Body::Whole(Some(bytes)) = answer.body() else { return };
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return };
    for path in *paths {
        let empty = if path.ends_with("[]") {
            Value::Array(Vec::new())
        } else {
            Value::Object(serde_json::Map::new())
        };
        let names: Vec<&str> = path[..path.len() - 2].split('.').collect();
        put(&mut value, &names, &empty);
    }
    if let Ok(mut bytes) = serde_json::to_vec(&value) {
        bytes.push(b'\n');
        *answer.body_mut() = Body::from(bytes);
    }
}

/// Exchanges a null at the end of a path.
fn put(value: &mut Value, path: &[&str], empty: &Value) {
    match (path, value) {
        ([], value) if value.is_null() => *value = empty.clone(),
        (["*", rest @ ..], Value::Array(list)) => list.iter_mut().for_each(|item| put(item, rest, empty)),
        ([name, rest @ ..], Value::Object(object)) => {
            if let Some(inner) = object.get_mut(*name) {
                put(inner, rest, empty);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nulls_become_empty_and_nothing_else_changes() {
        let mut value = json!({"A": [{"L": null, "M": null}, {"L": {"x": 1}}], "B": null});
        put(&mut value, &["A", "*", "L"], &json!({}));
        put(&mut value, &["B"], &json!([]));
        put(&mut value, &["C"], &json!([]));
        assert_eq!(value, json!({"A": [{"L": {}, "M": null}, {"L": {"x": 1}}], "B": []}));
    }
}
