//! The client against registries that misbehave, each a few lines of HTTP in this file.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use errdefs::Kind;
use reference::{Digest, Reference};
use sha2::Digest as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wherry_distribution::{
    Anonymous, BlobSource, Credential, Credentials, HostsConfig, Limits, Pushed, Repository, Target, Transport, body_of,
};

#[derive(Clone, Debug, Default)]
struct Seen {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Close after this many bytes of the body.
    cut: Option<usize>,
}

fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, body: body.into(), ..Reply::default() }
}

impl Reply {
    fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap().to_string(), seen: Arc::default() };
        let (seen, handler): (_, Handler) = (server.seen.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, handler.clone(), seen.clone()));
            }
        });
        server
    }

    fn log(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn repository(&self, name: &str, credentials: Arc<dyn Credentials>) -> Repository {
        let reference = Reference::parse_normalized(&format!("{}/{name}", self.address)).unwrap();
        let hosts = HostsConfig { default_scheme: "http".into(), ..HostsConfig::default() };
        let limits = Limits { attempts: 4, first_wait: Duration::from_millis(2), stall: Duration::from_millis(300) };
        let hosts = hosts.hosts(reference.domain()).unwrap();
        Repository::new(reference, hosts, Arc::new(Transport::new()), credentials, limits)
    }
}

async fn serve(stream: TcpStream, handler: Handler, seen: Arc<Mutex<Vec<Seen>>>) {
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
            stream.write_all(body).await?;
            stream.flush().await
        };
        if sent.await.is_err() || reply.cut.is_some() {
            return;
        }
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::parse(&format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))).unwrap()
}

fn target(bytes: &[u8]) -> Target {
    Target { media_type: "application/x".into(), digest: digest(bytes), size: bytes.len() as u64, urls: Vec::new() }
}

fn data() -> Vec<u8> {
    (0..200_000u32).flat_map(u32::to_le_bytes).collect()
}

async fn read(repository: &Repository, target: &Target, offset: u64) -> errdefs::Result<Vec<u8>> {
    let mut blob = repository.fetch_blob(target, offset).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

struct Login(&'static str, &'static str);

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
fn start(seen: &Seen) -> usize {
    let range = seen.headers.get("range").map(String::as_str).unwrap_or("bytes=0-");
    range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
}

#[tokio::test]
async fn a_blob_is_resumed_where_the_connection_broke() {
    let whole = data();
    let size = whole.len();
    let server = Server::start({
        let whole = whole.clone();
        move |seen| {
            let from = start(seen);
            let mut reply = reply(if from > 0 { 206 } else { 200 }, whole[from..].to_vec());
            if from > 0 {
                reply = reply.with("content-range", format!("bytes {from}-{}/{size}", size - 1));
            }
            reply.cut = Some(150_000.min(size - from));
            reply
        }
    })
    .await;
    let repository = server.repository("a/b", Arc::new(Anonymous));
    assert_eq!(read(&repository, &target(&whole), 0).await.unwrap(), whole);
    let log = server.log();
    assert_eq!(log.len(), size.div_ceil(150_000), "no byte twice");
    assert_eq!(start(&log[1]), 150_000);
    // And a download that another process began.
    assert_eq!(read(&repository, &target(&whole), 700_000).await.unwrap(), whole[700_000..]);
}

#[tokio::test]
async fn a_host_that_ignores_ranges_is_read_from_the_start_again() {
    let whole = data();
    let server = Server::start({
        let whole = whole.clone();
        let tries = Mutex::new(0);
        move |_| {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            let mut reply = reply(200, whole.clone());
            reply.cut = (*tries < 3).then_some(*tries * 200_000);
            reply
        }
    })
    .await;
    let repository = server.repository("a/b", Arc::new(Anonymous));
    assert_eq!(read(&repository, &target(&whole), 0).await.unwrap(), whole);
}

#[tokio::test]
async fn a_blob_without_progress_fails_in_the_end() {
    let server = Server::start(|_| Reply { cut: Some(0), ..reply(200, data()) }).await;
    let repository = server.repository("a/b", Arc::new(Anonymous));
    assert!(read(&repository, &target(&data()), 0).await.is_err());
    assert!(server.log().len() <= 5);
}

#[tokio::test]
async fn too_many_bytes_are_refused() {
    let server = Server::start(|_| reply(200, data())).await;
    let repository = server.repository("a/b", Arc::new(Anonymous));
    let mut short = target(&data());
    short.size -= 1;
    assert_eq!(read(&repository, &short, 0).await.unwrap_err().kind(), Kind::FailedPrecondition);
}

#[tokio::test]
async fn tokens_are_fetched_kept_and_renewed() {
    let tokens = Arc::new(Mutex::new(0));
    let auth = Server::start({
        let tokens = tokens.clone();
        move |seen| {
            assert!(seen.headers.contains_key("authorization"));
            let mut tokens = tokens.lock().unwrap();
            *tokens += 1;
            reply(200, format!(r#"{{"token":"t{tokens}","expires_in":3600}}"#))
        }
    })
    .await;
    let realm = format!("http://{}/token", auth.address);
    let server = Server::start({
        let tokens = tokens.clone();
        move |seen| {
            let current = format!("Bearer t{}", tokens.lock().unwrap());
            // The second token is taken back after one use.
            match seen.headers.get("authorization") {
                Some(sent) if *sent == current && current != "Bearer t0" => reply(200, "abc"),
                _ => reply(401, "").with("www-authenticate", format!(r#"Bearer realm="{realm}",service="s",scope="x:y:z""#)),
            }
        }
    })
    .await;
    let repository = server.repository("a/b", Arc::new(Login("u", "p")));
    for _ in 0..3 {
        assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    }
    assert_eq!(*tokens.lock().unwrap(), 1, "one token for three requests");
    let asked = &auth.log()[0].path;
    for part in ["service=s", "scope=x%3Ay%3Az", "scope=repository%3Aa%2Fb%3Apull"] {
        assert!(asked.contains(part), "{asked}");
    }
    // The registry forgets the token: it is fetched once more.
    *tokens.lock().unwrap() = 7;
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    assert_eq!(*tokens.lock().unwrap(), 8);
}

#[tokio::test]
async fn basic_and_denied() {
    let server = Server::start(|seen| match seen.headers.get("authorization").map(String::as_str) {
        Some("Basic dTpw") => reply(200, "abc"),
        _ => reply(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
            .with("www-authenticate", r#"Basic realm="r""#),
    })
    .await;
    let good = server.repository("a/b", Arc::new(Login("u", "p")));
    assert_eq!(read(&good, &target(b"abc"), 0).await.unwrap(), b"abc");
    for bad in [server.repository("a/b", Arc::new(Login("u", "x"))), server.repository("a/b", Arc::new(Anonymous))] {
        let error = read(&bad, &target(b"abc"), 0).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.chain().contains("authentication required"), "{}", error.chain());
    }
}

#[tokio::test]
async fn credentials_go_to_nobody_else() {
    let other = Server::start(|seen| match seen.path.as_str() {
        "/foreign" => reply(401, "").with("www-authenticate", r#"Basic realm="give""#),
        _ => reply(200, "abc"),
    })
    .await;
    let elsewhere = format!("http://{}", other.address);
    let server = Server::start({
        let elsewhere = elsewhere.clone();
        move |seen| match seen.headers.get("authorization") {
            None => reply(401, "").with("www-authenticate", r#"Basic realm="r""#),
            Some(_) if seen.path.contains(&digest(b"abc").to_string()) => {
                reply(307, "").with("location", format!("{elsewhere}/storage?secret=1"))
            }
            Some(_) => reply(404, ""),
        }
    })
    .await;
    let repository = server.repository("a/b", Arc::new(Login("u", "p")));
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    // CVE-2020-15157: a manifest's own URL asks for credentials.
    let mut foreign = target(b"foreign");
    foreign.urls = vec![format!("{elsewhere}/foreign")];
    assert!(read(&repository, &foreign, 0).await.is_err());
    for seen in other.log() {
        assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
    }
    assert!(other.log().iter().any(|seen| seen.path == "/foreign"));
}

#[tokio::test]
async fn references_are_resolved_by_head_or_get() {
    let body = br#"{"schemaVersion":2}"#;
    let told = digest(body);
    let server = Server::start({
        let told = told.clone();
        move |seen| {
            let good = reply(200, body).with("content-type", "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
            match seen.path.as_str() {
                "/v2/told/manifests/latest" => good.with("docker-content-digest", told.to_string()),
                "/v2/untold/manifests/1" => good,
                "/v2/liar/manifests/1" => good.with("docker-content-digest", digest(b"x").to_string()),
                path if path.ends_with(told.as_str()) => good,
                path if path.starts_with("/v2/liar/manifests/sha256") => good,
                "/v2/huge/manifests/1" => reply(200, vec![b' '; 9 << 20]),
                "/v2/shaky/manifests/1" => reply(503, ""),
                _ => reply(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
            }
        }
    })
    .await;
    let at = |name: &str| server.repository(name, Arc::new(Anonymous));
    for name in ["told:latest", "untold:1"] {
        let found = at(name).resolve().await.unwrap();
        assert_eq!((found.digest.clone(), found.size), (told.clone(), body.len() as u64));
        assert_eq!(found.media_type, "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(at(name).fetch_manifest(&found).await.unwrap().as_ref(), body);
    }
    let lie = at("liar:1").resolve().await.unwrap();
    assert_eq!(at("liar:1").fetch_manifest(&lie).await.unwrap_err().kind(), Kind::FailedPrecondition);
    assert_eq!(at("huge:1").resolve().await.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(at("gone:1").resolve().await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(at("shaky:1").resolve().await.unwrap_err().kind(), Kind::Unavailable);
    let tries = server.log().iter().filter(|seen| seen.path.contains("shaky") && seen.method == "HEAD").count();
    assert_eq!(tries, 4);
}

#[tokio::test]
async fn mirrors_are_tried_first_and_told_whose_they_are() {
    let body = b"{}";
    let mirror = Server::start(|_| reply(404, "")).await;
    let server = Server::start(move |_| {
        reply(200, body).with("content-type", "a/b").with("docker-content-digest", digest(body).to_string())
    })
    .await;
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("_default");
    std::fs::create_dir(&directory).unwrap();
    let text = format!("server = \"http://{}\"\n[host.\"http://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n", server.address, mirror.address);
    std::fs::write(directory.join("hosts.toml"), text).unwrap();
    let config = HostsConfig { directories: vec![root.path().into()], ..HostsConfig::default() };
    let reference = Reference::parse_normalized("example.test/a/b:1").unwrap();
    let repository = Repository::new(
        reference,
        config.hosts("example.test").unwrap(),
        Arc::new(Transport::new()),
        Arc::new(Anonymous),
        Limits::default(),
    );
    repository.resolve().await.unwrap();
    assert_eq!(mirror.log()[0].path, "/v2/a/b/manifests/1?ns=example.test");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn blobs_are_pushed_mounted_or_found() {
    let whole = Arc::new(data());
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.split('?').next().unwrap_or_default()) {
        ("HEAD", path) if path.ends_with(digest(b"there").as_str()) => reply(200, ""),
        ("HEAD", _) => reply(404, ""),
        ("POST", _) if seen.path.contains("mount=") && seen.path.contains("from=c%2Fd") => reply(201, ""),
        ("POST", _) => reply(202, "").with("location", "/v2/a/b/blobs/uploads/id?_state=s"),
        ("PUT", _) if seen.path.contains("_state=s&digest=sha256") => reply(201, ""),
        ("DELETE", _) => reply(204, ""),
        _ => reply(400, ""),
    })
    .await;
    let repository = server.repository("a/b:1", Arc::new(Anonymous));
    let source = |bytes: Arc<Vec<u8>>| -> BlobSource {
        Arc::new(move || {
            let (sender, pieces) = tokio::sync::mpsc::channel(1);
            let bytes = bytes.clone();
            tokio::spawn(async move {
                for piece in bytes.chunks(100_000) {
                    if sender.send(Ok(piece.to_vec().into())).await.is_err() {
                        return;
                    }
                }
            });
            body_of(pieces)
        })
    };
    let there = Arc::new(b"there".to_vec());
    assert_eq!(repository.push_blob(&target(&there), &source(there.clone()), &[]).await.unwrap(), Pushed::Present);
    let sources = ["c/d".to_owned()];
    assert_eq!(repository.push_blob(&target(&whole), &source(whole.clone()), &sources).await.unwrap(), Pushed::Mounted);
    assert_eq!(repository.push_blob(&target(&whole), &source(whole.clone()), &[]).await.unwrap(), Pushed::Uploaded);
    let log = server.log();
    assert_eq!(log.last().unwrap().body, *whole);
    // A registry that refuses the mount gets the upload.
    let other = ["e/f".to_owned()];
    assert_eq!(repository.push_blob(&target(&whole), &source(whole.clone()), &other).await.unwrap(), Pushed::Uploaded);
}
