//! What files and flags come to.

use super::*;
use errdefs::Kind;
use std::time::Duration;

fn parsed(text: &str) -> Result<Config> {
    with(text, &Flags::default())
}

fn with(text: &str, flags: &Flags) -> Result<Config> {
    Config::resolve(files::parse(text)?, flags)
}

#[test]
fn defaults_stand_alone() {
    let config = parsed("").unwrap();
    assert_eq!(config.grpc.path, Path::new("/run/wherry/supervisord/supervisord.sock"));
    assert_eq!(config.ttrpc.path, Path::new("/run/wherry/supervisord/supervisord.sock.ttrpc"));
    let (root, overlay) = config.overlay.unwrap();
    assert_eq!(root, Path::new("/var/lib/wherry/supervisord").join(OVERLAY));
    assert_eq!((config.max_send_bytes, config.timeouts), (16 << 20, Timeouts::default()));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(!overlay.sync_commit && config.tcp.is_none() && config.metrics.is_none());
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags { address: Some("/x/a.sock".into()), root: Some("/x/r".into()), ..Flags::default() };
    let config = with("root = '/y'\n[grpc]\naddress = '/y/s'\n[ttrpc]\naddress = '/y/t'", &flags).unwrap();
    assert_eq!(
        (config.root.as_path(), config.grpc.path.as_path()),
        (Path::new("/x/r"), Path::new("/x/a.sock"))
    );
    assert_eq!(config.ttrpc.path, Path::new("/x/a.sock.ttrpc"));
    assert_eq!(config.table["plugins"][GRPC]["address"].as_str(), Some("/x/a.sock"));
}

#[test]
fn sockets_have_owners() {
    let config = parsed("version = 2\n[grpc]\nuid = 7\ngid = 8\n[ttrpc]\ngid = 9").unwrap();
    assert_eq!((config.grpc.uid, config.grpc.group.as_str()), (Some(7), "8"));
    assert_eq!((config.ttrpc.uid, config.ttrpc.group.as_str()), (Some(7), "9"));
    let config = parsed("version = 4\n[plugins.'io.containerd.server.v1.grpc']\ngroup = 'g'").unwrap();
    assert_eq!((config.ttrpc.uid, config.ttrpc.group.as_str()), (None, "g"));
}

#[test]
fn tcp_has_a_whole_identity() {
    let tcp =
        parsed("[grpc]\ntcp_address = 'a:1'\ntcp_tls_cert = '/c'\ntcp_tls_key = '/k'\ntcp_tls_ca = '/a'");
    let tcp = tcp.unwrap().tcp.unwrap();
    assert_eq!(tcp.identity, Some(("/c".into(), "/k".into())));
    assert_eq!(tcp.client_authority, Some("/a".into()));
    for bad in ["tcp_tls_cert = '/c'", "tcp_tls_ca = '/a'"] {
        assert!(parsed(&format!("[grpc]\ntcp_address = 'a:1'\n{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn timeouts_are_honoured() {
    let config = parsed(
        "[timeouts]\n'io.containerd.timeout.task.state' = '1s'\n'io.containerd.timeout.shim.load' = '1m'\n\
         'io.containerd.timeout.bolt.open' = '0s'\n'x' = '1s'",
    );
    let config = config.unwrap();
    assert_eq!(config.timeouts.task_state, Duration::from_secs(1));
    assert_eq!(config.timeouts.shim_load, Duration::from_secs(60));
    assert_eq!(config.timeouts.shim_cleanup, Timeouts::default().shim_cleanup);
    assert_eq!(config.warnings, ["unknown key timeouts.\"x\""]);
    assert!(parsed("[timeouts]\n'io.containerd.timeout.task.state' = '0s'").is_err());
}

#[test]
fn snapshotters_may_be_other_processes() {
    let config = parsed(
        "[proxy_plugins.far]\ntype = 'snapshot'\naddress = 'unix:///far.sock'\ncapabilities = ['rebase']\nodd = 1\n\
         [proxy_plugins.far.exports]\nroot = '/far'",
    );
    let config = config.unwrap();
    let [far] = config.proxies.as_slice() else { panic!("{:?}", config.proxies) };
    assert_eq!((far.name.as_str(), far.address.as_path()), ("far", std::path::Path::new("/far.sock")));
    assert_eq!(
        (far.exports["root"].as_str(), far.capabilities.as_slice()),
        ("/far", &["rebase".to_owned()][..])
    );
    assert_eq!(config.warnings, ["unknown key proxy_plugins.\"far\".odd"]);
}

#[test]
fn snapshotters_can_be_left_out() {
    let config = parsed("disabled_plugins = ['io.containerd.snapshotter.v1.native', 'cri']").unwrap();
    assert!(config.native.is_none() && config.overlay.is_some());
    let config = parsed("version = 1\ndisabled_plugins = ['overlayfs']").unwrap();
    assert!(config.overlay.is_none());
}

#[test]
fn unknown_keys_warn_and_unsupported_ones_are_refused() {
    let config = parsed("nonsense = 1\n[plugins.'io.containerd.grpc.v1.x']\nx = 1\n[grpc]\nodd = 2").unwrap();
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    for bad in [
        "temp = '/t'",
        "[debug]\naddress = '/d'",
        "[cgroup]\npath = 'x'",
        "[proxy_plugins.x]\ntype = 'content'\naddress = '/x'",
        "[plugins.'io.containerd.grpc.v1.cri']\nx = 1",
        "[plugins.'io.containerd.snapshotter.v1.overlayfs']\nslow_chown = true",
        "version = 2\ndisabled_plugins = ['io.containerd.gc.v1.scheduler']",
    ] {
        assert_eq!(parsed(bad).unwrap_err().kind(), Kind::Unimplemented, "{bad}");
    }
    for bad in [
        "version = 5",
        "root = ''",
        "[proxy_plugins.x]\ntype = 'snapshot'",
        "[proxy_plugins.x]\ntype = 'odd'\naddress = '/x'",
        "[proxy_plugins.native]\ntype = 'snapshot'\naddress = '/x'",
        "root = '/a'\nstate = '/a'",
        "oom_score = 'x'",
        "a = ",
        "[debug]\nlevel = 'x'",
        "version = 2\ndisabled_plugins = ['x']",
        "[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '5'",
    ] {
        assert_eq!(parsed(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
    parsed("imports = []\ndisabled_plugins = ['cri']\n[metrics]\naddress = ''\n[plugins.cri]\nx = 1")
        .unwrap();
}
