//! systemd's own manager, where the host runs one. Needs root.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use runtime_spec::Resources;
use wherry_cgroups::systemd::{SYSTEM_BUS, Scope, Systemd};
use wherry_cgroups::{Host, Mode};

#[test]
fn a_scope_holds_its_process_and_limits() {
    if !Path::new("/run/systemd/system").exists() {
        eprintln!("systemd does not run here");
        return;
    }
    let host = Host::detect().unwrap();
    let id = format!("test-{}", std::process::id());
    let scope = Scope::parse("wherry-unit.slice:wherry:x", &id, false).unwrap();
    let scope = Scope { unit: scope.unit.replace("-x.", &format!("-{id}.")), ..scope };
    let group = scope.cgroup(&host).unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let limits: Resources =
        serde_json::from_str(r#"{"memory":{"limit":67108864},"cpu":{"quota":50000},"pids":{"limit":20}}"#)
            .unwrap();
    let mut systemd = Systemd::connect(Path::new(SYSTEM_BUS), &host).unwrap();
    systemd.start(&scope, &[child.id()], &limits, &[]).unwrap();
    group.create().unwrap();
    group.apply(&limits).unwrap();
    group.add_process(child.id() as i32).unwrap();
    assert_eq!(group.processes().unwrap(), [child.id() as i32]);
    let read = |controller: &str, v1: &str, v2: &str| {
        let paths = group.paths();
        let file = match host.mode {
            Mode::V2 => paths[""].join(v2),
            _ => paths[controller].join(v1),
        };
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    };
    assert_eq!(read("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(read("pids", "pids.max", "pids.max"), "20");
    let more: Resources = serde_json::from_str(r#"{"pids":{"limit":30}}"#).unwrap();
    systemd.set(&scope, &more).unwrap();
    assert_eq!(read("pids", "pids.max", "pids.max"), "30");
    let again = systemd.start(&scope, &[std::process::id()], &limits, &[]).unwrap_err();
    assert!(again.to_string().starts_with(&format!("cannot start systemd unit {}: ", scope.unit)), "{again}");
    group.kill_all().unwrap();
    child.wait().unwrap();
    assert!(group.wait_empty(Duration::from_secs(10)).unwrap());
    systemd.stop(&scope).unwrap();
    systemd.stop(&scope).unwrap();
    group.remove().unwrap();
    assert!(!group.exists());
}
