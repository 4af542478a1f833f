//! A sender of bytes, run as a program of its own where a port is published.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// Sends `mib` MiB to `address` and waits until the other side has read and closed.
pub fn send(address: &str, mib: usize) {
    let mut stream = TcpStream::connect(address).expect("a port that listens");
    let block = vec![7; 1 << 20];
    for _ in 0..mib {
        stream.write_all(&block).expect("a reader");
    }
    stream.shutdown(Shutdown::Write).expect("an open connection");
    let _ = stream.read_to_end(&mut Vec::new());
}
