//! A registry of a few lines: what it answers is each test's own.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reference::{Digest, Reference};
use sha2::Digest as _;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wherry_distribution::{
    Anonymous, BlobSource, Credential, Credentials, HostsConfig, Limits, Proxies, Repository, Target,
    Transport, body_of,
};

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

#[derive(Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Close after this many bytes of the body.
    pub cut: Option<usize>,
    /// Close without any answer.
    pub hang_up: bool,
    /// Send the body a byte at a time, with this rest between.
    pub drip: Option<Duration>,
}

pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, body: body.into(), ..Reply::default() }
}

impl Reply {
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Short waits: the tests' hosts are as ready as they get.
pub const LIMITS: Limits = Limits {
    attempts: 4,
    first_wait: Duration::from_millis(2),
    stall: Duration::from_millis(300),
    least: 1000,
};

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
pub struct Server {
    pub address: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves by plain HTTP on loopback.
    pub async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        Server::listen(None, Arc::new(handler)).await
    }

    /// Serves by TLS on loopback.
    pub async fn start_tls(
        tls: TlsAcceptor,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::listen(Some(tls), Arc::new(handler)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, handler: Handler) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap().to_string(), seen: Arc::default() };
        let seen = server.seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, handler, seen) = (tls.clone(), handler.clone(), seen.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, handler, seen).await,
                        // A handshake that fails is the client's to tell.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, handler, seen).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// What was asked so far.
    pub fn log(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A repository here, asked by plain HTTP.
    pub fn repository(&self, name: &str, credentials: Arc<dyn Credentials>) -> Repository {
        let hosts = HostsConfig { default_scheme: "http".into(), ..HostsConfig::default() };
        self.repository_by(name, &hosts, Proxies::default(), credentials)
    }

    /// A repository here, found by `hosts`.
    pub fn repository_by(
        &self,
        name: &str,
        hosts: &HostsConfig,
        proxies: Proxies,
        credentials: Arc<dyn Credentials>,
    ) -> Repository {
        let reference = Reference::parse_normalized(&format!("{}/{name}", self.address)).unwrap();
        let hosts = hosts.hosts(reference.domain()).unwrap();
        Repository::new(reference, hosts, Arc::new(Transport::new(proxies)), credentials, LIMITS)
    }

    /// A repository here, asked by plain HTTP and nobody, so hard.
    pub fn repository_with(&self, name: &str, limits: Limits) -> Repository {
        let reference = Reference::parse_normalized(&format!("{}/{name}", self.address)).unwrap();
        let hosts = HostsConfig { default_scheme: "http".into(), ..HostsConfig::default() };
        let hosts = hosts.hosts(reference.domain()).unwrap();
        Repository::new(
            reference,
            hosts,
            Arc::new(Transport::new(Proxies::default())),
            Arc::new(Anonymous),
            limits,
        )
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, handler: Handler, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = Seen::default();
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace();
        request.method = words.next().unwrap_or_default().to_owned();
        request.path = words.next().unwrap_or_default().to_owned();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim().split_once(':') else { break };
            request.headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = request.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        request.body = vec![0; length];
        if stream.read_exact(&mut request.body).await.is_err() {
            return;
        }
        let reply = handler(&request);
        if reply.hang_up {
            return;
        }
        let is_head = request.method == "HEAD";
        seen.lock().unwrap().push(request);
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !reply.headers.iter().any(|(name, _)| name == "content-length") {
            head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
        }
        head.push_str("\r\n");
        let body = if is_head { &[][..] } else { &reply.body[..reply.cut.unwrap_or(reply.body.len())] };
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            match reply.drip {
                None => stream.write_all(body).await?,
                Some(rest) => {
                    for byte in body {
                        stream.write_all(&[*byte]).await?;
                        stream.flush().await?;
                        tokio::time::sleep(rest).await;
                    }
                }
            }
            stream.flush().await
        };
        if sent.await.is_err() || reply.cut.is_some() {
            return;
        }
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::parse(&format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))).unwrap()
}

pub fn target(bytes: &[u8]) -> Target {
    Target {
        media_type: "application/x".into(),
        digest: digest(bytes),
        size: bytes.len() as u64,
        urls: Vec::new(),
    }
}

pub fn data() -> Vec<u8> {
    (0..200_000u32).flat_map(u32::to_le_bytes).collect()
}

pub async fn read(repository: &Repository, target: &Target, offset: u64) -> errdefs::Result<Vec<u8>> {
    let mut blob = repository.fetch_blob(target, offset).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Answers every question with one name and password.
pub struct Login(pub &'static str, pub &'static str);

impl Credentials for Login {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> Pin<Box<dyn Future<Output = errdefs::Result<Credential>> + Send + 'a>> {
        Box::pin(async { Ok(Credential::Basic { username: self.0.into(), secret: self.1.into() }) })
    }
}

/// Where a Range header wants to start.
pub fn start(seen: &Seen) -> usize {
    let range = seen.headers.get("range").map(String::as_str).unwrap_or("bytes=0-");
    range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
}

/// Bytes to be pushed.
pub fn source(bytes: Arc<Vec<u8>>) -> BlobSource {
    Arc::new(move |from, length| {
        let (sender, pieces) = tokio::sync::mpsc::channel(1);
        let bytes = bytes.clone();
        tokio::spawn(async move {
            let wanted = &bytes[from as usize..][..length as usize];
            for piece in wanted.chunks(100_000) {
                if sender.send(Ok(piece.to_vec().into())).await.is_err() {
                    return;
                }
            }
        });
        body_of(pieces)
    })
}
