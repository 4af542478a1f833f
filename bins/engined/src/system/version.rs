//! Versions of the programs.

use std::collections::BTreeMap;

use engine_api::system::{Component, Platform, Version};

use crate::api::versions::{MAX, MIN};
use crate::engine::Engine;

/// `GET /version`.
pub async fn version(engine: &Engine) -> Version {
    let own = env!("CARGO_PKG_VERSION");
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let details = [
        ("ApiVersion", MAX.to_string()),
        ("MinAPIVersion", MIN.to_string()),
        ("Os", "linux".to_owned()),
        ("Arch", crate::images::resolve::architecture().to_owned()),
        ("KernelVersion", kernel.clone()),
        ("Experimental", "false".to_owned()),
        ("GitCommit", String::new()),
        ("GoVersion", String::new()),
        ("BuildTime", String::new()),
    ];
    let component = |name: &str, version: &str, details: BTreeMap<String, String>| Component {
        name: name.into(),
        version: version.into(),
        details,
    };
    let mut components =
        vec![component("Engine", own, details.map(|(key, value)| (key.to_owned(), value)).into())];
    if let Ok((version, revision)) = engine.supervisor.hello().await {
        components.push(component(
            "containerd",
            &version,
            BTreeMap::from([("GitCommit".to_owned(), revision)]),
        ));
    }
    Version {
        platform: Platform { name: "Wherry".into() },
        components,
        version: own.into(),
        api_version: MAX.to_string(),
        min_api_version: MIN.to_string(),
        os: "linux".into(),
        arch: crate::images::resolve::architecture().into(),
        kernel_version: kernel,
        ..Version::default()
    }
}
