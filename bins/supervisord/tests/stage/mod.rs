//! A daemon of a test's own, and a connection to it.

#![allow(dead_code)]

use hyper_util::rt::TokioIo;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

#[derive(Clone)]
struct Connect(PathBuf);

impl Service<Uri> for Connect {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) })
    }
}

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
        let channel =
            Endpoint::from_static("http://s").connect_with_connector(Connect(socket)).await.unwrap();
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
