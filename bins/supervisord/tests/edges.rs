//! Where the daemon meets others than gRPC clients on its socket: Prometheus, TCP with certificates, clients that
//! ask what there is, people who configure it.

mod stage;

use containerd_api::services::leases::v1::CreateRequest;
use containerd_api::services::leases::v1::leases_client::LeasesClient;
use containerd_api::services::version::v1::version_client::VersionClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use stage::Stage;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn prometheus_finds_calls_and_process() {
    let address = free_address();
    let config = format!("[metrics]\naddress = '{address}'\ngrpc_histogram = true");
    let stage = Stage::with(&config).await;
    let mut version = VersionClient::new(stage.channel.clone());
    for _ in 0..3 {
        version.version(()).await.unwrap();
    }
    let page = get(&address, "/v1/metrics");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let labels =
        "grpc_method=\"Version\",grpc_service=\"containerd.services.version.v1.Version\",grpc_type=\"unary\"";
    for line in [
        &format!("grpc_server_started_total{{{labels}}} 3"),
        &format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 3"),
        &format!("grpc_server_msg_received_total{{{labels}}} 3"),
        &format!("grpc_server_msg_sent_total{{{labels}}} 3"),
        &format!("grpc_server_handling_seconds_bucket{{{labels},le=\"+Inf\"}} 3"),
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
}

/// An authority, and what it signs: certificate and key in PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn over_tcp_only_certificates_of_the_authority_are_let_in() {
    let (ours, other) = (Authority::new(), Authority::new());
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = ours.sign();
    let address = free_address();
    let config = format!(
        "[grpc]\ntcp_address = '{address}'\ntcp_tls_cert = '{}'\ntcp_tls_key = '{}'\ntcp_tls_ca = '{}'",
        file("cert", &certificate),
        file("key", &key),
        file("ca", &ours.pem)
    );
    let _stage = Stage::with(&config).await;
    // It listens there a moment after the socket.
    while TcpStream::connect(&address).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let ask = async |identity: Option<(String, String)>| {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ours.pem)).domain_name("localhost");
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::new(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        VersionClient::new(channel).version(()).await.map_err(|error| format!("{error:?}"))
    };
    assert!(ask(Some(ours.sign())).await.unwrap().into_inner().version.starts_with('v'));
    ask(None).await.unwrap_err();
    ask(Some(other.sign())).await.unwrap_err();
    // Without TLS at all.
    let plain = Endpoint::new(format!("http://{address}")).unwrap().connect_lazy();
    VersionClient::new(plain).version(()).await.unwrap_err();
}

#[tokio::test]
async fn reflection_tells_the_services_and_their_files() {
    let stage = Stage::new().await;
    let ask = async |request: MessageRequest| -> ServerReflectionResponse {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let mut client = ServerReflectionClient::new(stage.channel.clone());
        let stream = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
        stream.into_inner().message().await.unwrap().unwrap()
    };
    let listed = ask(MessageRequest::ListServices(String::new())).await.message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let names: Vec<&str> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        "containerd.services.tasks.v1.Tasks",
        "containerd.services.content.v1.Content",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"containerd.task.v2.Task"), "shims' services are not ours: {names:?}");
    let symbol = MessageRequest::FileContainingSymbol("containerd.services.tasks.v1.Tasks".into());
    let found = ask(symbol).await.message_response.unwrap();
    assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)), "{found:?}");
}

fn supervisord(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisord"));
    command.arg("--config").arg(config).args(arguments).output().unwrap()
}

#[test]
fn configurations_are_shown_and_migrated() {
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("c.toml");
    std::fs::write(
        &file,
        "version = 2\nroot = '/r'\nimports = ['more*.toml']\n[grpc]\naddress = '/a.sock'\n\
         [plugins.'io.containerd.snapshotter.v1.overlayfs']\nsync_remove = true",
    )
    .unwrap();
    std::fs::write(top.path().join("more-1.toml"), "[plugins.overlayfs]\nupperdir_label = true").unwrap();
    let said = |arguments: &[&str]| {
        let output = supervisord(&file, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let migrated = said(&["config", "migrate"]);
    assert!(
        migrated.contains("version = 4") && migrated.contains("[plugins.\"io.containerd.server.v1.grpc\"]")
    );
    assert!(!migrated.contains("upperdir_label") && migrated.contains("more*.toml"), "{migrated}");
    let dumped = said(&["--address", "/b.sock", "config", "dump"]);
    for line in ["address = \"/b.sock\"", "root = \"/r\"", "sync_remove = true", "upperdir_label = true"] {
        assert!(dumped.contains(line), "{line} is not in\n{dumped}");
    }
    // What is dumped is a configuration.
    let again = top.path().join("again.toml");
    std::fs::write(&again, &dumped).unwrap();
    assert_eq!(String::from_utf8(supervisord(&again, &["config", "dump"]).stdout).unwrap(), dumped);

    for (text, complaint) in [
        ("[plugins.cri]\nx = 1", "CRI is not served yet"),
        ("[debug]\naddress = '/d'", "There are no Go profiles"),
        ("[proxy_plugins.far]\ntype = 'content'\naddress = '/x'", "proxy_plugins.\"far\""),
        ("imports = ['absent.toml']", "absent.toml"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = supervisord(&file, &["config", "dump"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(complaint), "{said}");
    }
    let top = top.path().display();
    let text = format!(
        "version = 2\nroot = '{top}/root'\nstate = '{top}/state'\nrequired_plugins = ['io.containerd.x.v1.y']"
    );
    std::fs::write(&file, text).unwrap();
    let said = supervisord(&file, &["--address", &format!("{top}/s.sock")]);
    assert!(
        String::from_utf8(said.stderr).unwrap().contains("required plugin io.containerd.x.v1.y not included")
    );
}

#[tokio::test]
async fn a_person_learns_what_is_kept_and_which_hosts_are_asked() {
    let mut stage = Stage::with("version = 4").await;
    let (root, file) = (stage.top.path().join("root"), stage.top.path().join("config.toml"));
    let root = root.to_str().unwrap();
    let said = |arguments: &[&str]| {
        let output = supervisord(&file, arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let mut create = tonic::Request::new(CreateRequest { id: "kept".into(), ..Default::default() });
    create.metadata_mut().insert("containerd-namespace", "here".parse().unwrap());
    LeasesClient::new(stage.channel.clone()).create(create).await.unwrap();
    stage.kill();
    let (code, told, _) = said(&["--root", root, "fsck"]);
    assert!(code == Some(0) && told.contains("here  lease kept  kept by until it is deleted\n"), "{told}");
    let blobs = Path::new(root).join("io.containerd.content.v1.content/blobs/sha256");
    std::fs::write(blobs.join("0".repeat(64)), "x").unwrap();
    let (code, told, _) = said(&["--root", root, "fsck", "--hash"]);
    assert!(code == Some(0) && told.contains("no record names it"), "{told}");
    assert!(told.ends_with("2 objects, 1 that nothing keeps, 0 at fault\n"), "{told}");
    assert!(blobs.join("0".repeat(64)).exists(), "looking takes nothing away");
    let (code, _, complaint) = said(&["--root", "/no/such", "fsck"]);
    assert!(code == Some(1) && complaint.contains("there are no records at /no/such"), "{complaint}");
    assert!(!Path::new("/no/such").exists(), "asking makes nothing");

    let (_, told, _) = said(&["hosts", "127.0.0.1:5000/a"]);
    let line = "1. https://127.0.0.1:5000/v2  for resolve, pull, push, certificate not verified";
    assert!(told.contains(line), "{told}");
}
