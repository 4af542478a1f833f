//! `--platform`: `OS[/ARCHITECTURE[/VARIANT]]`, or an architecture alone.

use serde_json::json;

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// A platform that images are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: String,
}

impl Platform {
    /// Parses; the words are the ones that registries know: `x86_64` is `amd64`, `aarch64` is `arm64`.
    ///
    /// # Errors
    /// Docker's words for what is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-()*".contains(&byte))
        };
        let lower = text.to_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        if parts.len() > 3 {
            return Err(format!("{text:?}: cannot parse platform specifier: invalid argument"));
        }
        if let Some(bad) = parts.iter().find(|part| !is_word(part)) {
            return Err(format!(
                "{bad:?} is an invalid component of {text:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
            ));
        }
        match parts[..] {
            [os] if SYSTEMS.contains(&os) => Ok(Self::of(os, this_architecture(), "")),
            ["macos"] => Ok(Self::of("darwin", this_architecture(), "")),
            [architecture] if is_architecture(architecture) => Ok(Self::of("linux", architecture, "")),
            [os, architecture] => Ok(Self::of(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::of(os, architecture, variant)),
            _ => Err(format!("{text:?}: unknown operating system or architecture: invalid argument")),
        }
    }

    fn of(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = match (architecture, variant) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", if variant == "v1" { "" } else { variant }),
            ("aarch64" | "arm64", variant) => {
                ("arm64", if matches!(variant, "8" | "v8") { "" } else { variant })
            }
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        let os = if os == "macos" { "darwin" } else { os };
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// `linux/arm/v7`.
    pub fn shown(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!("/{}", self.variant) };
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    /// As the API takes it from version 1.48 on.
    fn json(&self) -> String {
        let mut platform = json!({"os": self.os, "architecture": self.architecture});
        if !self.variant.is_empty() {
            platform["variant"] = self.variant.as_str().into();
        }
        platform.to_string()
    }
}

fn this_architecture() -> &'static str {
    std::env::consts::ARCH
}

fn is_architecture(word: &str) -> bool {
    const KNOWN: &[&str] = &[
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
        "i386",
        "x86_64",
        "x86-64",
        "aarch64",
        "armhf",
        "armel",
    ];
    KNOWN.contains(&word)
}

/// A platform as the API takes it in queries; empty for empty.
///
/// # Errors
/// The text is no platform.
pub fn platform_json(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    Ok(Platform::parse(text).map_err(|reason| format!("invalid platform: {reason}"))?.json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn platforms_in_all_forms() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("LINUX/x86_64", "linux/amd64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm64/v8", "linux/arm64"),
            ("arm64", "linux/arm64"),
            ("armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().shown(), shown);
        }
        assert!(Platform::parse("linux").unwrap().shown().starts_with("linux/"));
        for text in ["", "a/b/c/d", "linux/", "sunos9000", "a b/c"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            platform_json("linux/arm/v6").unwrap(),
            r#"{"architecture":"arm","os":"linux","variant":"v6"}"#
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_platform(text in "[a-z0-9]{1,6}(/[a-z0-9]{1,6}){0,2}") {
            if let Ok(platform) = Platform::parse(&text) {
                prop_assert_eq!(Platform::parse(&platform.shown()), Ok(platform));
            }
        }
    }
}
