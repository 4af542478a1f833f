//! A road to a registry that is cut again and again, and that counts what went over it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Forwards connections to a host on loopback.
pub struct Wire {
    /// `localhost:PORT`.
    pub host: String,
    state: Arc<State>,
}

struct State {
    /// Bytes that a connection carries before it is cut; 0 is no limit.
    cut_after: AtomicU64,
    /// Milliseconds between two pieces.
    pause: AtomicU64,
    /// Bytes that came from the host.
    carried: AtomicU64,
    random: AtomicU64,
}

impl Wire {
    /// A wire to `host`, uncut.
    pub fn to(host: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wire = Wire {
            host: format!("localhost:{}", listener.local_addr().expect("an address").port()),
            state: Arc::new(State {
                cut_after: AtomicU64::new(0),
                pause: AtomicU64::new(0),
                carried: AtomicU64::new(0),
                random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            }),
        };
        let (host, state) = (host.replace("localhost", "127.0.0.1"), wire.state.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (host, state) = (host.clone(), state.clone());
                std::thread::spawn(move || {
                    if let Ok(server) = TcpStream::connect(&host) {
                        state.carry(client, server);
                    }
                });
            }
        });
        wire
    }

    /// From now on a connection is cut somewhere within this many bytes; 0 for never.
    pub fn cut_within(&self, bytes: u64) {
        self.state.cut_after.store(bytes, Ordering::SeqCst);
    }

    /// From now on there is a pause before every piece of at most 16 KiB.
    pub fn slow(&self, pause: Duration) {
        self.state.pause.store(pause.as_millis() as u64, Ordering::SeqCst);
    }

    /// Bytes that came from the host so far.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::SeqCst)
    }
}

impl State {
    /// A number below `limit`, another each time (xorshift).
    fn below(&self, limit: u64) -> u64 {
        let next = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^ (x << 17)
        };
        let before = self.random.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |x| Some(next(x)));
        next(before.unwrap_or(1)) % limit.max(1)
    }

    fn carry(&self, mut client: TcpStream, mut server: TcpStream) {
        let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        let limit = self.cut_after.load(Ordering::SeqCst);
        let mut left = if limit == 0 { u64::MAX } else { self.below(limit) };
        let mut piece = vec![0; 16 << 10];
        while left > 0 {
            let pause = self.pause.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(pause));
            let Ok(count) = server.read(&mut piece) else { break };
            let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 || client.write_all(&piece[..count]).is_err() {
                break;
            }
            left -= count as u64;
            self.carried.fetch_add(count as u64, Ordering::SeqCst);
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}
