//! Any bytes as a runtime's log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci_runtime::{LogMark, Runtime};

fuzz_target!(|bytes: &[u8]| {
    let log = std::env::temp_dir().join(format!("wherry-fuzz-log-{}", std::process::id()));
    std::fs::write(&log, bytes).unwrap();
    let runtime = Runtime { binary: "runc".into(), root: "/".into(), log, systemd_cgroup: false };
    let _ = runtime.last_error(LogMark::default()).unwrap();
});
