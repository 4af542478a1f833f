//! A daemon of a test's own, and a connection to it.

#![allow(dead_code)]

use containerd_api::Dial;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// A daemon of the test's own.
pub struct Stage {
    pub top: tempfile::TempDir,
    daemon: Child,
    pub channel: Channel,
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::with("").await
    }

    /// With a configuration file.
    pub async fn with(config: &str) -> Stage {
        let top = tempfile::tempdir().unwrap();
        let socket = top.path().join("s.sock");
        let file = top.path().join("config.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervisord"));
        for (flag, name) in [("--address", "s.sock"), ("--root", "root"), ("--state", "state")] {
            command.arg(flag).arg(top.path().join(name));
        }
        command.arg("--config").arg(file);
        let daemon = command.stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < end, "supervisord does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
        let channel = Endpoint::from_static("http://s").connect_with_connector(Dial(socket)).await.unwrap();
        Stage { top, daemon, channel }
    }
}

impl Stage {
    /// Ends the daemon at once.
    pub fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
