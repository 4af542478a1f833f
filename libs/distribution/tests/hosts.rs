//! Layouts of `hosts.toml` directories, each with the hosts that come of it, in the order in which they are asked.

use std::time::Duration;
use wherry_distribution::{Host, HostsConfig};

/// The files of a directory, the registry that is asked for, and the hosts: scheme, place, `(rps)` for what it may
/// be asked for if not everything, `ns` when it is told whose mirror it is.
type Layout = (&'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

const R: &str = "r.example";
const NONE: &str = "";

#[rustfmt::skip]
const LAYOUTS: [Layout; 40] = [
    // Where a registry's directory is looked for.
    (&[], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", NONE)], R, &["Https r.example/v2"]),
    (&[("other.example/hosts.toml", "server = 'https://o.example'")], R, &["Https r.example/v2"]),
    (&[("_default/hosts.toml", "server = 'https://o.example'")], R, &["Https o.example/v2 ns"]),
    (&[("_default/hosts.toml", "server = 'https://o.example'"), ("r.example/hosts.toml", NONE)], R, &["Https r.example/v2"]),
    (&[("r.example_5000_/hosts.toml", "server = 'https://o.example'")], "r.example:5000", &["Https o.example/v2 ns"]),
    (&[("r.example:5000/hosts.toml", "server = 'https://o.example'")], "r.example:5000", &["Https o.example/v2 ns"]),
    (&[("r.example/hosts.toml", "server = 'https://o.example'")], "r.example:5000", &["Https r.example:5000/v2"]),
    (&[("r.example_5000_/hosts.toml", "server = 'https://a'"), ("r.example:5000/hosts.toml", "server = 'https://b'")], "r.example:5000", &["Https a/v2 ns"]),
    (&[("docker.io/hosts.toml", "[host.'https://m.example']")], "docker.io", &["Https m.example/v2 ns", "Https registry-1.docker.io/v2"]),
    (&[("registry-1.docker.io/hosts.toml", "[host.'https://m.example']")], "docker.io", &["Https registry-1.docker.io/v2"]),
    // The registry itself.
    (&[("r.example/hosts.toml", "server = 'https://r.example'")], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'http://r.example'")], R, &["Http r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'r.example'")], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'localhost:5000'")], R, &["Insecure localhost:5000/v2 ns"]),
    (&[("r.example/hosts.toml", "server = ''")], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example/v2'")], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example/'")], R, &["Https r.example/v2"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example/sub'")], R, &["Https r.example/sub/v2"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example/sub/v2/'")], R, &["Https r.example/sub/v2"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example/sub'\noverride_path = true")], R, &["Https r.example/sub"]),
    (&[("r.example/hosts.toml", "server = 'https://r.example'\noverride_path = true")], R, &["Https r.example"]),
    (&[("r.example/hosts.toml", "capabilities = ['pull']")], R, &["Https r.example/v2 (p)"]),
    (&[("r.example/hosts.toml", "skip_verify = true")], R, &["Https r.example/v2 unverified"]),
    // Mirrors before it.
    (&[("r.example/hosts.toml", "[host.'https://m.example']")], R, &["Https m.example/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'http://m.example:5000']")], R, &["Http m.example:5000/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'m.example']")], R, &["Https m.example/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://z']\n[host.'https://a']\n[host.'https://m']")], R, &["Https z/v2 ns", "Https a/v2 ns", "Https m/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m'.header]\nx = '1'\n[host.'https://a']")], R, &["Https m/v2 ns", "Https a/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m']\ncapabilities = ['pull', 'resolve']")], R, &["Https m/v2 (rp) ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m']\ncapabilities = ['resolve']")], R, &["Https m/v2 (r) ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m']\ncapabilities = []")], R, &["Https m/v2 () ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m/v2/proxy']\noverride_path = true")], R, &["Https m/v2/proxy ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m/v2/proxy']")], R, &["Https m/v2/proxy/v2 ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m']\nskip_verify = true")], R, &["Https m/v2 unverified ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'m']\nskip_verify = true")], R, &["Insecure m/v2 unverified ns", "Https r.example/v2"]),
    (&[("r.example/hosts.toml", "[host.'https://m']\ndial_timeout = '1.5s'")], R, &["Https m/v2 after 1.5s ns", "Https r.example/v2"]),
    // The registry among its mirrors is not asked twice, and a server that is a mirror ends the list.
    (&[("r.example/hosts.toml", "[host.'https://r.example']\n[host.'https://m']")], R, &["Https r.example/v2", "Https m/v2 ns"]),
    (&[("r.example/hosts.toml", "server = 'https://m'\n[host.'https://m']")], R, &["Https m/v2 ns"]),
    (&[("_default/hosts.toml", "[host.'https://m']\ncapabilities = ['pull']")], "localhost:5000", &["Https m/v2 (p) ns", "Insecure localhost:5000/v2"]),
];

fn shown(host: &Host) -> String {
    let mut text = format!("{:?} {}{}", host.schemes, host.authority, host.path);
    let able = host.capabilities;
    if !(able.pull && able.resolve && able.push) {
        let words = [(able.resolve, "r"), (able.pull, "p"), (able.push, "s")];
        text += &format!(
            " ({})",
            words.iter().filter(|(may, _)| *may).map(|(_, word)| *word).collect::<String>()
        );
    }
    if host.tls.skip_verify {
        text += " unverified";
    }
    if let Some(timeout) = host.connect_timeout {
        text += &format!(" after {timeout:?}");
    }
    if host.mirror_of.is_some() {
        text += " ns";
    }
    text
}

fn written(files: &[(&str, &str)]) -> (tempfile::TempDir, HostsConfig) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let config = HostsConfig { directories: vec![root.path().to_owned()], ..HostsConfig::default() };
    (root, config)
}

#[test]
fn layouts_give_hosts() {
    for (files, registry, expected) in LAYOUTS {
        let (_root, config) = written(files);
        let hosts = config.hosts(registry).unwrap_or_else(|error| panic!("{files:?}: {}", error.chain()));
        assert_eq!(hosts.iter().map(shown).collect::<Vec<_>>(), expected, "{files:?} for {registry}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_files_name() {
    for text in [
        "server = [",
        "server = 'ftp://r'",
        "server = 'https://u@r'",
        "[host.'https://m?x']",
        "[host]\n'https://m' = 1",
        "capabilities = ['fetch']",
        "capabilities = 1",
        "ca = 1",
        "client = ['a', 'b', 'c']",
        "skip_verify = 'true'",
        "override_path = 1",
        "dial_timeout = 5",
        "dial_timeout = 'soon'",
        "dial_timeout = '5 s'",
    ] {
        let (_root, config) = written(&[("r.example/hosts.toml", text)]);
        let error = config.hosts(R).expect_err(text);
        assert_eq!(error.kind(), errdefs::Kind::InvalidArgument, "{text}");
        assert!(error.chain().contains("r.example/hosts.toml"), "{}", error.chain());
    }
}

#[test]
fn the_first_root_that_has_the_registry_counts() {
    let (first, _) = written(&[("other.example/hosts.toml", "server = 'https://one'")]);
    let (second, _) = written(&[("r.example/hosts.toml", "server = 'https://two'")]);
    let directories = vec![first.path().to_owned(), "/no/such".into(), second.path().to_owned()];
    let config = HostsConfig { directories, ..HostsConfig::default() };
    assert_eq!(config.hosts(R).unwrap()[0].authority, "two");
    assert_eq!(config.hosts("other.example").unwrap()[0].authority, "one");
}

#[test]
fn timeouts_are_times() {
    let (_root, config) = written(&[("r.example/hosts.toml", "dial_timeout = '250ms'")]);
    assert_eq!(config.hosts(R).unwrap()[0].connect_timeout, Some(Duration::from_millis(250)));
    let (_root, config) = written(&[("r.example/hosts.toml", "dial_timeout = '0s'")]);
    assert_eq!(config.hosts(R).unwrap()[0].connect_timeout, None);
}
