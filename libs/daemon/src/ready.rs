//! Telling the service manager where the daemon stands (sd_notify(3)).

use std::io;
use std::os::unix::net::UnixDatagram;

/// Says that the daemon serves.
///
/// # Errors
/// The manager's socket is named but cannot be reached.
pub fn ready() -> io::Result<()> {
    notify("READY=1")
}

/// Says that the daemon is going down.
///
/// # Errors
/// As [`ready`].
pub fn stopping() -> io::Result<()> {
    notify("STOPPING=1")
}

/// Sends one message to `NOTIFY_SOCKET`; without a manager there is nothing to do.
fn notify(message: &str) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(address) => send(address.as_encoded_bytes(), message),
        None => Ok(()),
    }
}

fn send(address: &[u8], message: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_gets_the_message() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_encoded_bytes(), "READY=1").unwrap();
        let mut buffer = [0; 16];
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }
}
