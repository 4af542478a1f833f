//! Which of an index's images fits (image-index.md#platform-variants).

use crate::spec::Platform;

/// Platforms that are wanted, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    wanted: Vec<Platform>,
}

impl Platform {
    /// The platform that this program was built for.
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { architecture: architecture.into(), os: "linux".into(), ..Platform::default() }.normalized()
    }

    /// One spelling for each platform: `x86_64` is amd64, `arm64/v8` is arm64, `arm` is `arm/v7`.
    #[must_use]
    pub fn normalized(mut self) -> Platform {
        self.os = self.os.to_lowercase();
        if self.os == "macos" {
            self.os = "darwin".into();
        }
        let (architecture, variant) = (self.architecture.to_lowercase(), self.variant.to_lowercase());
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("i386" | "386", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        (self.architecture, self.variant) = (architecture.to_owned(), variant.to_owned());
        self
    }

    /// Itself and what also runs on it, best first.
    fn runs(self) -> Vec<Platform> {
        let normal = self.normalized();
        let number = |variant: &str| variant.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
        let with = |architecture: &str, variant: String| Platform {
            architecture: architecture.into(),
            variant,
            ..normal.clone()
        };
        let mut runs = vec![normal.clone()];
        match (normal.architecture.as_str(), number(&normal.variant)) {
            ("amd64", Some(level)) => {
                runs.extend((2..level).rev().map(|level| with("amd64", format!("v{level}"))));
                runs.push(with("amd64", String::new()));
            }
            ("arm", Some(level)) => {
                runs.extend((5..level).rev().map(|level| with("arm", format!("v{level}"))))
            }
            ("arm64", _) => {
                if !normal.variant.is_empty() {
                    runs.push(with("arm64", String::new()));
                }
                runs.extend((5..=8).rev().map(|level| with("arm", format!("v{level}"))));
            }
            _ => {}
        }
        runs
    }
}

impl Matcher {
    /// What runs on `platforms`; none means anything.
    pub fn new(platforms: impl IntoIterator<Item = Platform>) -> Matcher {
        Matcher { wanted: platforms.into_iter().flat_map(Platform::runs).collect() }
    }

    /// Takes anything.
    pub fn is_any(&self) -> bool {
        self.wanted.is_empty()
    }

    /// How good a platform is: 0 is best, `None` does not do. No platform fits all.
    pub fn rank(&self, platform: Option<&Platform>) -> Option<usize> {
        let Some(platform) = platform.filter(|_| !self.is_any()) else { return Some(0) };
        let platform = platform.clone().normalized();
        self.wanted.iter().position(|wanted| {
            let same = |a: &str, b: &str| a == b;
            same(&wanted.os, &platform.os)
                && same(&wanted.architecture, &platform.architecture)
                && same(&wanted.variant, &platform.variant)
                && (wanted.os_version.is_empty()
                    || platform.os_version.is_empty()
                    || wanted.os_version == platform.os_version)
        })
    }
}

impl From<&containerd_api::types::Platform> for Platform {
    fn from(message: &containerd_api::types::Platform) -> Platform {
        Platform {
            architecture: message.architecture.clone(),
            os: message.os.clone(),
            os_version: message.os_version.clone(),
            os_features: Vec::new(),
            variant: message.variant.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        Platform { os: next(), architecture: next(), variant: next(), ..Platform::default() }
    }

    #[test]
    fn variants_rank() {
        for (wanted, order, refused) in [
            ("linux/amd64", vec!["linux/x86_64"], vec!["linux/386", "linux/amd64/v2", "windows/amd64"]),
            (
                "linux/amd64/v3",
                vec!["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"],
                vec!["linux/amd64/v4"],
            ),
            (
                "linux/arm/v7",
                vec!["linux/arm", "linux/arm/v6", "linux/arm/v5"],
                vec!["linux/arm/v8", "linux/arm64"],
            ),
            ("linux/arm64", vec!["linux/arm64/v8", "linux/arm/v8", "linux/arm/v7"], vec!["linux/amd64"]),
        ] {
            let matcher = Matcher::new([platform(wanted)]);
            let ranks: Vec<_> = order.iter().map(|p| matcher.rank(Some(&platform(p))).unwrap()).collect();
            assert!(ranks.is_sorted() && ranks[0] == 0, "{wanted}: {ranks:?}");
            for p in refused {
                assert_eq!(matcher.rank(Some(&platform(p))), None, "{wanted} {p}");
            }
        }
        assert_eq!(Matcher::new([]).rank(Some(&platform("plan9/mips"))), Some(0));
    }
}
