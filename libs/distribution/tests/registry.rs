//! The client against registries that misbehave.

#[allow(dead_code)] // each file uses a part
mod server;

use std::sync::{Arc, Mutex};

use errdefs::Kind;
use reference::Reference;
use server::{Login, Reply, Seen, Server, data, digest, read, reply, source, start, target};
use wherry_distribution::{Anonymous, HostsConfig, Limits, Proxies, Pushed, Repository, Transport};

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

/// A server that sends a byte now and then is no progress: the next mirror is asked, and goes on where it stopped.
#[tokio::test]
async fn a_blob_that_trickles_comes_from_elsewhere_or_fails() {
    let drip = Some(std::time::Duration::from_millis(10));
    let whole = data();
    let size = whole.len();
    let ranges = {
        let whole = whole.clone();
        move |seen: &Seen, drip| {
            let from = start(seen);
            let reply = reply(if from > 0 { 206 } else { 200 }, whole[from..].to_vec());
            let reply = reply.with("content-range", format!("bytes {from}-{}/{size}", size - 1));
            Reply { drip, ..reply }
        }
    };
    let slow = Server::start({
        let ranges = ranges.clone();
        move |seen| ranges(seen, drip)
    })
    .await;
    let alone = slow.repository("a/b", Arc::new(Anonymous));
    let failed = read(&alone, &target(&whole), 0).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unavailable, "{}", failed.chain());
    assert!(failed.chain().contains("sends less than"), "{}", failed.chain());
    assert!(slow.log().len() as u32 >= server::LIMITS.attempts);

    let quick = Server::start(move |seen| ranges(seen, None)).await;
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("_default");
    std::fs::create_dir(&directory).unwrap();
    let text = format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", quick.address, slow.address);
    std::fs::write(directory.join("hosts.toml"), text).unwrap();
    let hosts = HostsConfig { directories: vec![root.path().into()], ..HostsConfig::default() };
    let both = quick.repository_by("a/b", &hosts, Proxies::default(), Arc::new(Anonymous));
    assert_eq!(read(&both, &target(&whole), 0).await.unwrap(), whole);
    assert!(start(&quick.log()[0]) > 0, "what came is kept");
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
                _ => reply(401, "")
                    .with("www-authenticate", format!(r#"Bearer realm="{realm}",service="s",scope="x:y:z""#)),
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
    for bad in
        [server.repository("a/b", Arc::new(Login("u", "x"))), server.repository("a/b", Arc::new(Anonymous))]
    {
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
            let good = reply(200, body)
                .with("content-type", "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
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
    let tries =
        server.log().iter().filter(|seen| seen.path.contains("shaky") && seen.method == "HEAD").count();
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
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
        server.address, mirror.address
    );
    std::fs::write(directory.join("hosts.toml"), text).unwrap();
    let config = HostsConfig { directories: vec![root.path().into()], ..HostsConfig::default() };
    let reference = Reference::parse_normalized("example.test/a/b:1").unwrap();
    let repository = Repository::new(
        reference,
        config.hosts("example.test").unwrap(),
        Arc::new(Transport::new(Proxies::default())),
        Arc::new(Anonymous),
        Limits::default(),
    );
    repository.resolve().await.unwrap();
    assert_eq!(mirror.log()[0].path, "/v2/a/b/manifests/1?ns=example.test");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn blobs_are_pushed_mounted_or_found() {
    let whole = Arc::new([data(), data()].concat());
    let server =
        Server::start(|seen| match (seen.method.as_str(), seen.path.split('?').next().unwrap_or_default()) {
            ("HEAD", path) if path.ends_with(digest(b"there").as_str()) => reply(200, ""),
            ("HEAD", _) => reply(404, ""),
            ("POST", _) if seen.path.contains("mount=") && seen.path.contains("from=c%2Fd") => reply(201, ""),
            ("POST", _) => reply(202, "").with("location", "/v2/a/b/blobs/uploads/id?_state=s"),
            ("PATCH", _) => reply(202, "").with("location", "/v2/a/b/blobs/uploads/id?_state=t"),
            ("PUT", _) if seen.path.contains("_state=t&digest=sha256") => reply(201, ""),
            ("DELETE", _) => reply(204, ""),
            _ => reply(400, ""),
        })
        .await;
    let repository = server.repository("a/b:1", Arc::new(Anonymous));
    let there = Arc::new(b"there".to_vec());
    assert_eq!(
        repository.push_blob(&target(&there), &source(there.clone()), &[]).await.unwrap(),
        Pushed::Present
    );
    let sources = ["c/d".to_owned()];
    assert_eq!(
        repository.push_blob(&target(&whole), &source(whole.clone()), &sources).await.unwrap(),
        Pushed::Mounted
    );
    assert_eq!(
        repository.push_blob(&target(&whole), &source(whole.clone()), &[]).await.unwrap(),
        Pushed::Uploaded
    );
    let log = server.log();
    assert_eq!(log[log.len() - 2].body, *whole);
    // A registry that refuses the mount gets the upload.
    let other = ["e/f".to_owned()];
    assert_eq!(
        repository.push_blob(&target(&whole), &source(whole.clone()), &other).await.unwrap(),
        Pushed::Uploaded
    );
}

/// A registry's side of uploads: what it takes, and where it breaks.
#[derive(Default)]
struct Uploads {
    held: Vec<u8>,
    /// Bytes of a request after which the connection breaks, each once.
    cuts: Vec<usize>,
    longest: Option<usize>,
    is_done: bool,
}

impl Uploads {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let place = "/v2/a/b/blobs/uploads/id";
        match seen.method.as_str() {
            "HEAD" => reply(404, ""),
            "POST" => {
                self.held.clear();
                reply(202, "").with("location", place)
            }
            "GET" => {
                let last = self.held.len().saturating_sub(1);
                reply(204, "").with("location", place).with("range", format!("0-{last}"))
            }
            "PATCH" | "PUT" if self.longest.is_some_and(|longest| seen.body.len() > longest) => {
                reply(413, "")
            }
            "PATCH" => {
                if let Some(range) = seen.headers.get("content-range") {
                    let (from, to) = range.split_once('-').unwrap();
                    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                    if from != self.held.len() || to + 1 - from != seen.body.len() {
                        return reply(416, "");
                    }
                }
                let cut = self.cuts.pop().map(|cut| cut % seen.body.len().max(1));
                self.held.extend_from_slice(&seen.body[..cut.unwrap_or(seen.body.len())]);
                match cut {
                    Some(_) => Reply { hang_up: true, ..Reply::default() },
                    None => {
                        reply(202, "").with("location", place).with("range", format!("0-{}", self.held.len()))
                    }
                }
            }
            "PUT" => {
                self.held.extend_from_slice(&seen.body);
                let is_right = seen.path.contains(&digest(&self.held).as_str().replace(':', "%3A"));
                self.is_done = is_right;
                reply(if is_right { 201 } else { 400 }, "")
            }
            _ => reply(400, ""),
        }
    }
}

async fn uploads(uploads: Uploads) -> (Server, Arc<Mutex<Uploads>>) {
    let state = Arc::new(Mutex::new(uploads));
    let shared = state.clone();
    (Server::start(move |seen| shared.lock().unwrap().answer(seen)).await, state)
}

#[tokio::test]
async fn an_upload_is_resumed_where_the_connection_broke() {
    let whole = Arc::new([data(), data()].concat());
    let wanted = target(&whole);
    for cuts in [vec![0, 1, 2], vec![1 << 20, 700_000, 999], vec![whole.len() - 1], vec![12_345; 8]] {
        let (server, state) = uploads(Uploads { cuts: cuts.clone(), ..Uploads::default() }).await;
        let repository = server.repository("a/b:1", Arc::new(Anonymous));
        let pushed = repository.push_blob(&wanted, &source(whole.clone()), &[]).await;
        assert_eq!(pushed.unwrap(), Pushed::Uploaded, "{cuts:?}");
        let state = state.lock().unwrap();
        assert!(state.is_done && state.held == *whole, "{cuts:?}");
        let sent: usize = server.log().iter().map(|seen| seen.body.len()).sum();
        assert!(sent <= whole.len() * (cuts.len() + 1));
    }
}

#[tokio::test]
async fn long_bodies_go_in_chunks_where_they_are_refused() {
    let whole = Arc::new([data(), data()].concat());
    let (server, state) =
        uploads(Uploads { longest: Some(700_000), cuts: vec![5, 600_000], ..Uploads::default() }).await;
    let repository = server.repository_with("a/b:1", Limits { attempts: 9, ..server::LIMITS });
    // 16 MiB are longer than the whole: halved until they fit.
    let pushed = repository.push_blob(&target(&whole), &source(whole.clone()), &[]).await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    assert!(state.lock().unwrap().is_done);
}
