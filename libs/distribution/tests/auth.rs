//! Tokens in all their ways, and hosts that want to be asked later.

#[allow(dead_code)] // each file uses a part
mod server;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use errdefs::Kind;
use server::{Login, Seen, Server, read, reply, target};
use wherry_distribution::{Anonymous, Credential, Credentials};

/// Answers every question with the same.
struct Known(Credential);

impl Credentials for Known {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> Pin<Box<dyn Future<Output = errdefs::Result<Credential>> + Send + 'a>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A registry that takes the token `good` alone; its challenge names `realm`.
async fn guarded(challenge: String) -> Server {
    Server::start(move |seen| match seen.headers.get("authorization").map(String::as_str) {
        Some("Bearer good") => reply(200, "abc"),
        _ => reply(401, "").with("www-authenticate", challenge.clone()),
    })
    .await
}

async fn authority(answer: impl Fn(&Seen) -> server::Reply + Send + Sync + 'static) -> (Server, String) {
    let server = Server::start(answer).await;
    let realm = format!("http://{}/token", server.address);
    (server, realm)
}

#[tokio::test]
async fn an_identity_token_is_traded_by_post() {
    let (auth, realm) = authority(|seen| match seen.method.as_str() {
        "POST" => reply(200, r#"{"access_token":"good","expires_in":60}"#),
        _ => reply(405, ""),
    })
    .await;
    let server = guarded(format!(r#"Bearer realm="{realm}",service="s&t""#)).await;
    let refresh = Known(Credential::Refresh { secret: "a+b/c=".into() });
    let repository = server.repository("a/b", Arc::new(refresh));
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    let asked = &auth.log()[0];
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    assert!(!asked.headers.contains_key("authorization"));
    let form = String::from_utf8(asked.body.clone()).unwrap();
    for part in [
        "grant_type=refresh_token",
        "service=s%26t",
        "scope=repository%3Aa%2Fb%3Apull",
        "refresh_token=a%2Bb%2Fc%3D",
        "client_id=",
    ] {
        assert!(form.split('&').any(|found| found.starts_with(part)), "{part} in {form}");
    }
}

#[tokio::test]
async fn nobody_gets_a_token_too() {
    let (auth, realm) = authority(|_| reply(200, r#"{"token":"good"}"#)).await;
    let server = guarded(format!(r#"Bearer realm="{realm}?x=y""#)).await;
    let repository = server.repository("a/b", Arc::new(Anonymous));
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    let asked = &auth.log()[0];
    assert_eq!(asked.path, "/token?x=y&scope=repository%3Aa%2Fb%3Apull", "a challenge without a scope");
    assert!(!asked.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_whole_header_is_sent_as_it_is() {
    let server = guarded("Bearer realm=\"http://nobody.test/\"".into()).await;
    let header = Known(Credential::Header("Bearer good".into()));
    let repository = server.repository("a/b", Arc::new(header));
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    let bad = Known(Credential::Header("Bearer bad".into()));
    let error = read(&server.repository("a/b", Arc::new(bad)), &target(b"abc"), 0).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn tokens_that_end_soon_are_renewed() {
    let count = Arc::new(Mutex::new(0));
    let shared = count.clone();
    let (_auth, realm) = authority(move |_| {
        *shared.lock().unwrap() += 1;
        reply(200, r#"{"token":"good","expires_in":1}"#)
    })
    .await;
    let server = guarded(format!(r#"Bearer realm="{realm}""#)).await;
    let repository = server.repository("a/b", Arc::new(Login("u", "p")));
    for renewed in 1..=2 {
        for _ in 0..2 {
            assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
        }
        assert_eq!(*count.lock().unwrap(), renewed);
        tokio::time::sleep(std::time::Duration::from_millis(950)).await;
    }
}

#[tokio::test]
async fn authorities_that_refuse_are_told_of() {
    let (_auth, realm) = authority(|_| reply(401, r#"{"details":"incorrect username or password"}"#)).await;
    let server = guarded(format!(r#"Bearer realm="{realm}""#)).await;
    let error =
        read(&server.repository("a/b", Arc::new(Login("u", "p"))), &target(b"abc"), 0).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.chain().contains("incorrect username or password"), "{}", error.chain());
    for nonsense in ["", "{}", r#"{"token":1}"#, "<html>"] {
        let (_auth, realm) = authority(move |_| reply(200, nonsense)).await;
        let server = guarded(format!(r#"Bearer realm="{realm}""#)).await;
        assert!(read(&server.repository("a/b", Arc::new(Anonymous)), &target(b"abc"), 0).await.is_err());
    }
    for challenge in [r#"Bearer realm="nowhere""#, r#"Bearer realm="ftp://x/""#, "Bearer", "Digest x=y", ""] {
        let server = guarded(challenge.to_owned()).await;
        let error = read(&server.repository("a/b", Arc::new(Login("u", "p"))), &target(b"abc"), 0).await;
        assert!(error.is_err(), "{challenge}");
    }
}

#[tokio::test]
async fn a_busy_host_is_asked_later() {
    let count = Mutex::new(0);
    let server = Server::start(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => reply(429, "").with("retry-after", "1"),
            2 | 3 => reply(503, ""),
            _ => reply(200, "abc"),
        }
    })
    .await;
    let started = Instant::now();
    let repository = server.repository("a/b", Arc::new(Anonymous));
    assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
    assert!(started.elapsed().as_millis() >= 500, "the host said when");
    assert_eq!(server.log().len(), 4);
}

#[tokio::test]
async fn a_login_tells_and_may_bring_an_identity_token() {
    let (auth, realm) = authority(|seen| match seen.headers.get("authorization").map(String::as_str) {
        Some("Basic dTpw") => reply(200, r#"{"token":"good","refresh_token":"identity"}"#),
        _ => reply(401, r#"{"details":"incorrect username or password"}"#),
    })
    .await;
    let server = guarded(format!(r#"Bearer realm="{realm}",service="s""#)).await;
    let identity = server.repository("a/b", Arc::new(Login("u", "p"))).login().await.unwrap();
    assert_eq!(identity.as_deref(), Some("identity"));
    assert_eq!(server.log()[0].path, "/v2/");
    for part in ["account=u", "offline_token=true", "client_id=", "service=s"] {
        assert!(auth.log()[0].path.contains(part), "{:?}", auth.log()[0]);
    }
    assert!(!auth.log()[0].path.contains("scope="));
    let error = server.repository("a/b", Arc::new(Login("u", "x"))).login().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/a/b/tags/list" => reply(200, r#"{"name":"a/b","tags":["1","2"]}"#)
            .with("link", "</v2/a/b/tags/list?last=2>; rel=\"next\""),
        "/v2/a/b/tags/list?last=2" => reply(200, r#"{"name":"a/b","tags":["3"]}"#),
        "/v2/empty/tags/list" => reply(200, r#"{"name":"empty","tags":null}"#),
        "/v2/round/tags/list" => reply(200, r#"{"tags":[]}"#).with("link", "<list>; rel=next"),
        _ => reply(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    })
    .await;
    let tags = async |name| server.repository(name, Arc::new(Anonymous)).tags().await;
    assert_eq!(tags("a/b").await.unwrap(), ["1", "2", "3"]);
    assert!(tags("empty").await.unwrap().is_empty());
    assert_eq!(tags("gone").await.unwrap_err().kind(), Kind::NotFound);
    assert!(tags("round").await.is_err());
}
