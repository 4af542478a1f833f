//! Any hosts.toml: hosts with an authority, or an error that names the file.
#![no_main]

use distribution::HostsConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let root = tempfile::tempdir().expect("a directory");
    let directory = root.path().join("r.example");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::write(directory.join("hosts.toml"), text).expect("a file");
    let config = HostsConfig { directories: vec![root.path().to_owned()], ..HostsConfig::default() };
    match config.hosts("r.example") {
        Ok(hosts) => assert!(!hosts.is_empty() && hosts.iter().all(|host| !host.authority.is_empty())),
        Err(error) => assert!(error.chain().contains("hosts.toml")),
    }
});
