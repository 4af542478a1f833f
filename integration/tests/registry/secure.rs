//! Debian's registry behind TLS and a password.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use integration::Daemon;
use integration::peer::free_port;

/// The one user.
pub const USER: &str = "captain";
/// The user's password.
pub const PASSWORD: &str = "secret";
/// The same, by bcrypt, as htpasswd(1) writes it.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// A running registry.
pub struct SecureRegistry {
    daemon: Daemon,
    /// `localhost:PORT`.
    pub host: String,
}

impl SecureRegistry {
    /// Starts it below `dir`, with a certificate that nobody vouches for.
    pub fn start(dir: &Path) -> io::Result<SecureRegistry> {
        fs::create_dir_all(dir)?;
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        fs::write(dir.join("htpasswd"), format!("{USER}:{HASH}\n"))?;
        let port = free_port()?;
        let config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n\
             auth:\n  htpasswd:\n    realm: harbour\n    path: {root}/htpasswd\n\
             http:\n  addr: 127.0.0.1:{port}\n  tls:\n    certificate: {root}/cert.pem\n    key: {root}/key.pem\n",
            root = dir.display()
        );
        fs::write(dir.join("registry.yml"), config)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(dir.join("registry.yml"));
        let daemon = Daemon::start(command, &dir.join("registry.log"))?;
        integration::until("the registry's port", || TcpStream::connect(("127.0.0.1", port)).ok());
        Ok(SecureRegistry { daemon, host: format!("localhost:{port}") })
    }
}

impl Drop for SecureRegistry {
    fn drop(&mut self) {
        let _ = self.daemon.stop();
    }
}
