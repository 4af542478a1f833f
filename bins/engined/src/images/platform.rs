//! Platforms as clients name them: JSON in new parameters, `os/architecture/variant` in old ones.

use engine_api::image::Platform;
use errdefs::{Error, Result};

use super::resolve::architecture;

/// Reads a `platform` parameter of JSON; `None` when it is absent.
///
/// # Errors
/// It is no JSON of a platform.
pub fn of_json(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    let platform: Platform = serde_json::from_str(text).map_err(|_| bad(text))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Error::invalid_argument("both os and architecture must be provided"));
    }
    let is_word = |text: &String| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if ![&platform.os, &platform.architecture, &platform.variant].into_iter().all(is_word) {
        return Err(bad(text));
    }
    Ok(Some(normal(platform)))
}

fn bad(text: &str) -> Error {
    Error::invalid_argument(format!("failed to parse platform: {text:?} is no JSON of a platform"))
}

/// Several of them.
///
/// # Errors
/// As [`of_json`].
pub fn all_of_json(texts: &[String]) -> Result<Vec<Platform>> {
    // One that is empty names none: what was meant for it must not happen to the whole image.
    let named = |text: &String| of_json(text)?.ok_or_else(|| bad(text));
    texts.iter().map(named).collect()
}

/// Other names of architectures in Go's words.
fn normal(mut platform: Platform) -> Platform {
    platform.architecture = match platform.architecture.as_str() {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "i386" | "i686" => "386".to_owned(),
        other => other.to_owned(),
    };
    platform
}

/// Whether an image for `found` is what `wanted` means: an absent variant means any.
pub fn fits(wanted: &Platform, found: &Platform) -> bool {
    let variant = |platform: &Platform| match (platform.architecture.as_str(), platform.variant.as_str()) {
        ("arm64", "v8") | ("amd64", "v1") => String::new(),
        (_, variant) => variant.to_owned(),
    };
    let os = if found.os.is_empty() { "linux" } else { &found.os };
    let found_architecture = if found.architecture.is_empty() { architecture() } else { &found.architecture };
    wanted.os == os
        && wanted.architecture == found_architecture
        && (variant(wanted).is_empty() || variant(wanted) == variant(found))
}

/// `linux/arm64/v8`.
pub fn shown(platform: &Platform) -> String {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/")
}

/// In the supervisor's words.
pub fn to_supervisor(platform: &Platform) -> containerd_api::types::Platform {
    containerd_api::types::Platform {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os_version: platform.os_version.clone(),
        ..containerd_api::types::Platform::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_is_read_and_variants_are_compared() {
        let arm = of_json(r#"{"os":"linux","architecture":"aarch64"}"#).unwrap().unwrap();
        assert_eq!(shown(&arm), "linux/arm64");
        let v8 = Platform { variant: "v8".into(), ..arm.clone() };
        assert!(fits(&arm, &v8) && fits(&v8, &arm));
        let arm7 = Platform { architecture: "arm".into(), variant: "v7".into(), ..arm.clone() };
        assert!(!fits(&arm7, &Platform { variant: "v6".into(), ..arm7.clone() }) && !fits(&arm, &arm7));
        assert!(of_json("").unwrap().is_none());
        let crooked = r#"{"os":"linux","architecture":"a/b"}"#;
        for bad in ["linux/amd64", "{}", r#"{"os":"linux"}"#, "[]", crooked] {
            assert!(of_json(bad).is_err(), "{bad}");
        }
        assert!(all_of_json(&[String::new()]).is_err() && all_of_json(&[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            let _ = of_json(&text);
        }
    }
}
