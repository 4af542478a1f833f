//! What the runtime says of itself.

use crate::bundle::Bundle;

#[test]
fn features_are_the_specifications() {
    let bundle = Bundle::new(&["true"]);
    let features: serde_json::Value = serde_json::from_str(&bundle.rt(&["features"]).ok()).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    assert_eq!(features["linux"]["namespaces"].as_array().unwrap().len(), 8);
    assert_eq!(features["linux"]["cgroup"]["systemd"], true);
    assert_eq!(
        features["linux"]["intelRdt"],
        serde_json::json!({"enabled": true, "schemata": true, "monitoring": true})
    );
    let options = features["mountOptions"].as_array().unwrap();
    assert!(options.contains(&"rro".into()) && options.contains(&"idmap".into()));
}

#[test]
fn a_new_configuration_runs() {
    let bundle = Bundle::new(&["true"]);
    bundle.rt(&["spec"]).fails(1, "File config.json exists");
    bundle.run().ok();
}
