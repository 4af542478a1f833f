//! Lists and maps for which Docker's API document knows no null: an empty one is shown instead.
//!
//! Inside the engine they are absent, for a client's absent list is not always an empty one.

use http::Response;

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
    if let Some(filled) = filled(bytes, paths) {
        *answer.body_mut() = Body::from(filled);
    }
}

/// What an open brace of a document is of: an object with the field that is being read, or a list.
enum Open<'a> {
    Object(&'a [u8]),
    List,
}

/// A document of ours with its nulls at these paths exchanged; `None` when there are none. It is read once and no
/// value of it is made: lists of a thousand containers come this way.
fn filled(json: &[u8], paths: &[&str]) -> Option<Vec<u8>> {
    const NULL: &[u8] = b"null";
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut written = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' => open.push(Open::Object(b"")),
            b'[' => open.push(Open::List),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let end = end_of_string(json, at + 1);
                // A name is what a colon follows: the encoder puts no space between.
                if let (Some(b':'), Some(Open::Object(name))) = (json.get(end + 1), open.last_mut()) {
                    *name = &json[at + 1..end];
                }
                at = end;
            }
            b'n' => {
                if let Some(empty) = paths.iter().find_map(|path| empty_at(path, &open)) {
                    written.extend_from_slice(&json[copied..at]);
                    written.extend_from_slice(empty);
                    copied = at + NULL.len();
                }
                at += NULL.len() - 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return None;
    }
    written.extend_from_slice(json.get(copied..).unwrap_or_default());
    Some(written)
}

/// Where the quote is that ends a string.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at.min(json.len().saturating_sub(1))
}

/// What stands instead of a null at this place, if the path is the place's.
fn empty_at(path: &str, open: &[Open<'_>]) -> Option<&'static [u8]> {
    let (names, empty) = path.split_at(path.len() - 2);
    let mut places = open.iter();
    let is_there = names.split('.').all(|name| match places.next() {
        Some(Open::Object(own)) => *own == name.as_bytes(),
        Some(Open::List) => name == "*",
        None => false,
    });
    let is_whole = is_there && places.next().is_none();
    is_whole.then_some(if empty == "[]" { b"[]" } else { b"{}" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(json: &str, paths: &[&str]) -> Option<String> {
        filled(json.as_bytes(), paths).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn nulls_become_empty_and_nothing_else_changes() {
        let json = r#"{"A":[{"L":null,"M":null},{"L":{"x":1}}],"B":null,"C":["null",null]}"#;
        let wanted = r#"{"A":[{"L":{},"M":null},{"L":{"x":1}}],"B":[],"C":["null",null]}"#;
        assert_eq!(fill(json, &["A.*.L{}", "B[]", "D[]"]).unwrap(), wanted);
        assert_eq!(fill(json, &["A.*.x[]", "L[]", "C[]"]), None);
        assert_eq!(fill(r#"[{"L":null}]"#, &["*.L[]"]).unwrap(), r#"[{"L":[]}]"#);
    }

    #[test]
    fn texts_are_passed_over() {
        let json = r#"{"a\"b":"{\\","B":null,"c":"\"B\":null"}"#;
        assert_eq!(fill(json, &["B[]"]).unwrap(), r#"{"a\"b":"{\\","B":[],"c":"\"B\":null"}"#);
    }

    proptest! {
        /// As if the value had been read, changed, and written.
        #[test]
        fn any_document_is_filled(texts in prop::collection::vec(".{0,6}", 3), is_null: bool) {
            let value = if is_null { serde_json::Value::Null } else { serde_json::json!([texts[0]]) };
            let document = serde_json::json!({"B": value, "A": {(texts[1].clone()): texts[2], "B": null}});
            let json = document.to_string();
            let read = fill(&json, &["B[]"]).unwrap_or(json);
            let mut wanted = document;
            if is_null {
                wanted["B"] = serde_json::json!([]);
            }
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&read).unwrap(), wanted);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = filled(&bytes, &["a[]", "*.b{}"]);
        }
    }
}
