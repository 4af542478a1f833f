//! The records on the wire: Docker's names, Go's habits.

use serde_json::json;
use wherry_engine_api::container::{Config, CreateRequest, Summary};
use wherry_engine_api::host_config::{HostConfig, UpdateRequest};
use wherry_engine_api::stats::Stats;

#[test]
fn null_and_missing_are_the_default() {
    let row: Summary =
        serde_json::from_value(json!({"Id": "a", "Names": null, "Ports": null, "Unheard": [1]})).unwrap();
    assert_eq!(row, Summary { id: "a".into(), ..Summary::default() });
}

#[test]
fn a_create_request_is_flat() {
    let body = json!({"Image": "x", "Cmd": "one", "Entrypoint": ["a", "b"],
        "HostConfig": {"Memory": 5, "UTSMode": "host", "BlkioDeviceReadIOps": null, "PortBindings": {"80/tcp": null}},
        "NetworkingConfig": {"EndpointsConfig": {"n": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}}});
    let request: CreateRequest = serde_json::from_value(body).unwrap();
    assert_eq!(request.config.cmd.as_ref().unwrap().0, ["one"]);
    let host = request.host_config.as_ref().unwrap();
    assert_eq!((host.resources.memory, host.uts_mode.as_str()), (5, "host"));
    assert_eq!(host.port_bindings["80/tcp"], None);
    let again = serde_json::to_value(&request).unwrap();
    assert_eq!(again["HostConfig"]["Memory"], 5);
    assert_eq!(
        again["NetworkingConfig"]["EndpointsConfig"]["n"]["IPAMConfig"],
        json!({"IPv4Address": "1.2.3.4"})
    );
    assert_eq!(serde_json::from_value::<CreateRequest>(again).unwrap(), request);
}

#[test]
fn a_wrong_type_in_an_embedded_struct_is_an_error() {
    assert!(serde_json::from_value::<HostConfig>(json!({"Memory": "much"})).is_err());
    assert!(serde_json::from_value::<UpdateRequest>(json!({"CpuShares": []})).is_err());
    assert!(serde_json::from_value::<CreateRequest>(json!({"Tty": 3})).is_err());
}

#[test]
fn empty_fields_go_as_in_go() {
    let config = serde_json::to_value(Config::default()).unwrap();
    assert_eq!(config["Cmd"], json!(null));
    assert!(config.get("ExposedPorts").is_none());
    assert!(config.get("StopTimeout").is_none());
    let host = serde_json::to_value(HostConfig::default()).unwrap();
    assert_eq!(host["Binds"], json!(null));
    assert_eq!(host["ConsoleSize"], json!([0, 0]));
    assert_eq!(host["LogConfig"], json!({"Type": "", "Config": {}}));
    assert!(host.get("Tmpfs").is_none());
}

#[test]
fn stats_are_in_snake_case() {
    let stats: Stats = serde_json::from_value(
        json!({"pids_stats": {"current": 3}, "precpu_stats": {"cpu_usage": {"total_usage": 7}}}),
    )
    .unwrap();
    assert_eq!((stats.pids_stats.current, stats.precpu_stats.cpu_usage.total_usage), (3, 7));
}
