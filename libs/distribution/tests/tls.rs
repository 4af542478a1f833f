//! Registries behind TLS and proxies: own authorities, client certificates, insecure ones, tunnels.

#[allow(dead_code)] // each file uses a part
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use errdefs::Kind;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use server::{Reply, Seen, Server, read, reply, target};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use wherry_distribution::{Anonymous, HostsConfig, Proxies};

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// An authority with files of it and of what it signed, and a server that shows the one.
struct Authority {
    files: TempDir,
    issuer: Issuer,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("ca.pem"), issuer.pem()).unwrap();
        let authority = Authority { files, issuer };
        authority.sign("client");
        authority
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().unwrap().to_owned()
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "registry.test".to_owned(), name.to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate, key)
    }

    /// The server's side; with `mutual` only clients of this authority are let in.
    fn acceptor(&self, mutual: bool) -> TlsAcceptor {
        let (certificate, key) = self.sign("server");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn abc(_: &Seen) -> Reply {
    reply(200, "abc")
}

/// A directory of hosts with one file for the server.
fn hosts(root: &Path, server: &Server, name: &str, text: &str) -> HostsConfig {
    let directory = root.join(&server.address);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(name), text).unwrap();
    HostsConfig { directories: vec![root.to_owned()], ..HostsConfig::default() }
}

async fn fetch(server: &Server, hosts: &HostsConfig) -> errdefs::Result<Vec<u8>> {
    let repository = server.repository_by("a/b", hosts, Proxies::default(), Arc::new(Anonymous));
    read(&repository, &target(b"abc"), 0).await
}

#[tokio::test]
async fn an_authority_of_ones_own() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(false), abc).await;
    let root = tempfile::tempdir().unwrap();
    // Loopback may be insecure by itself, so TLS is asked for in so many words.
    let bare = format!("server = \"https://{}\"\n", server.address);
    let error = fetch(&server, &hosts(root.path(), &server, "hosts.toml", &bare)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains("certificate"), "{}", error.chain());
    for trusted in [
        format!("{bare}ca = \"{}\"\n", authority.path("ca.pem")),
        format!("{bare}ca = [\"{}\"]\n", authority.path("ca.pem")),
        format!("{bare}[host.\"https://{}\"]\nca = \"{}\"\n", server.address, authority.path("ca.pem")),
        format!("{bare}skip_verify = true\n"),
    ] {
        let hosts = hosts(root.path(), &server, "hosts.toml", &trusted);
        assert_eq!(fetch(&server, &hosts).await.unwrap(), b"abc", "{trusted}");
    }
    let strange = Authority::new();
    let other = format!("{bare}ca = \"{}\"\n", strange.path("ca.pem"));
    assert!(fetch(&server, &hosts(root.path(), &server, "hosts.toml", &other)).await.is_err());
    let missing = format!("{bare}ca = \"/does/not/exist.pem\"\n");
    let error = fetch(&server, &hosts(root.path(), &server, "hosts.toml", &missing)).await.unwrap_err();
    assert!(error.chain().contains("/does/not/exist.pem"), "{}", error.chain());
}

#[tokio::test]
async fn clients_show_certificates() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(true), abc).await;
    let root = tempfile::tempdir().unwrap();
    let bare = format!("server = \"https://{}\"\nca = \"{}\"\n", server.address, authority.path("ca.pem"));
    assert!(fetch(&server, &hosts(root.path(), &server, "hosts.toml", &bare)).await.is_err());
    let (certificate, key) = (authority.path("client.pem"), authority.path("client.key"));
    let both = authority.path("both.pem");
    let text = [&certificate, &key].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    std::fs::write(&both, text).unwrap();
    for client in
        [format!("[[\"{certificate}\", \"{key}\"]]"), format!("[\"{both}\"]"), format!("\"{both}\"")]
    {
        let hosts = hosts(root.path(), &server, "hosts.toml", &format!("{bare}client = {client}\n"));
        assert_eq!(fetch(&server, &hosts).await.unwrap(), b"abc", "{client}");
    }
    let strange = Authority::new();
    let other = format!(
        "{bare}client = [[\"{}\", \"{}\"]]\n",
        strange.path("client.pem"),
        strange.path("client.key")
    );
    assert!(fetch(&server, &hosts(root.path(), &server, "hosts.toml", &other)).await.is_err());
}

#[tokio::test]
async fn dockers_directory_of_certificates() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(true), abc).await;
    let root = tempfile::tempdir().unwrap();
    for (name, file) in [("ca.crt", "ca.pem"), ("client.cert", "client.pem"), ("client.key", "client.key")] {
        let text = std::fs::read_to_string(authority.path(file)).unwrap();
        hosts(root.path(), &server, name, &text);
    }
    let hosts = HostsConfig { directories: vec![root.path().to_owned()], ..HostsConfig::default() };
    assert_eq!(fetch(&server, &hosts).await.unwrap(), b"abc");
}

#[tokio::test]
async fn insecure_registries_by_tls_or_without() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor(false), abc).await;
    assert_eq!(fetch(&server, &HostsConfig::default()).await.unwrap(), b"abc", "TLS that nobody vouches for");
    let plain = Server::start(abc).await;
    assert_eq!(fetch(&plain, &HostsConfig::default()).await.unwrap(), b"abc", "no TLS at all");
    let root = tempfile::tempdir().unwrap();
    for server in [&server, &plain] {
        let text = format!("server = \"{}\"\nskip_verify = true\n", server.address);
        let hosts = hosts(root.path(), server, "hosts.toml", &text);
        assert_eq!(fetch(server, &hosts).await.unwrap(), b"abc");
    }
}

/// A proxy that knows one host by the name `registry.test`, and what it was told.
async fn proxy(host: SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let told = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let text = String::from_utf8(head.clone()).unwrap();
                told.lock().unwrap().push(text.clone());
                if !text.to_lowercase().contains("proxy-authorization: basic dtpw") {
                    client.write_all(b"HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    return;
                }
                let mut server = TcpStream::connect(host).await.unwrap();
                if text.starts_with("CONNECT ") {
                    client.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.unwrap();
                } else {
                    server.write_all(&head).await.unwrap();
                }
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, heads)
}

#[tokio::test]
async fn proxies_stand_between() {
    let authority = Authority::new();
    for over_tls in [true, false] {
        let server = match over_tls {
            true => Server::start_tls(authority.acceptor(false), abc).await,
            false => Server::start(abc).await,
        };
        let (proxy, told) = proxy(server.address.parse().unwrap()).await;
        let scheme = if over_tls { "https" } else { "http" };
        let named = Server { address: "registry.test:5000".into(), seen: server.seen.clone() };
        let root = tempfile::tempdir().unwrap();
        let text =
            format!("server = \"{scheme}://registry.test:5000\"\nca = \"{}\"\n", authority.path("ca.pem"));
        let hosts = hosts(root.path(), &named, "hosts.toml", &text);
        let by = |url: String, none: &str| {
            let proxies = Proxies::parse(&url, &url, none).unwrap();
            named.repository_by("a/b", &hosts, proxies, Arc::new(Anonymous))
        };
        let repository = by(format!("http://u:p@{proxy}"), "");
        for _ in 0..2 {
            assert_eq!(read(&repository, &target(b"abc"), 0).await.unwrap(), b"abc");
        }
        let first = told.lock().unwrap()[0].lines().next().unwrap().to_owned();
        if over_tls {
            assert_eq!(first, "CONNECT registry.test:5000 HTTP/1.1");
        } else {
            assert!(first.starts_with("GET http://registry.test:5000/v2/a/b/blobs/sha256:"), "{first}");
        }
        assert_eq!(told.lock().unwrap().len(), 1, "one connection for both");
        assert_eq!(server.log().len(), 2);
        // The proxy wants a password, and it is not our registry's 401.
        let error = read(&by(format!("http://{proxy}"), ""), &target(b"abc"), 0).await.unwrap_err();
        assert!(error.chain().to_lowercase().contains("prox"), "{}", error.chain());
        assert_eq!(server.log().len(), 2);
        // Nobody resolves this name but the proxy.
        assert!(read(&by(format!("http://u:p@{proxy}"), "registry.test"), &target(b"abc"), 0).await.is_err());
    }
}
