//! Which hosts serve a registry, in the order of trying: hosts.toml, mirrors, the registry itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use errdefs::{Error, Result};
use toml::{Table, Value};

use crate::host::{Capabilities, Host, Schemes, TlsFiles, in_network, is_loopback, name_of};

/// How hosts are found.
#[derive(Clone, Debug, Default)]
pub struct HostsConfig {
    /// Directories in the form of containerd's `certs.d`; the first that knows the registry counts.
    pub directories: Vec<PathBuf>,
    /// Registries that need no valid TLS: `host`, `host:port` or a network in CIDR form.
    pub insecure: Vec<String>,
    /// URLs of mirrors of Docker Hub.
    pub mirrors: Vec<String>,
    /// `http` or `https`; empty decides by the host.
    pub default_scheme: String,
}

impl HostsConfig {
    /// The hosts of `domain`, best first.
    ///
    /// # Errors
    /// InvalidArgument: a configuration file is malformed; the text names it.
    pub fn hosts(&self, domain: &str) -> Result<Vec<Host>> {
        for directory in &self.directories {
            if let Some(hosts) = self.read_directory(directory, domain)? {
                return Ok(hosts);
            }
        }
        let mut hosts = Vec::new();
        if domain == reference::DEFAULT_DOMAIN {
            for mirror in &self.mirrors {
                let mut host = self.parse_url(mirror, false)?;
                host.capabilities = Capabilities::READ;
                host.mirror_of = Some(domain.to_owned());
                hosts.push(host);
            }
        }
        hosts.push(self.origin(domain)?);
        Ok(hosts)
    }

    /// The directory that has a say in the hosts of `domain`: the first found below `directories`.
    pub fn directory(&self, domain: &str) -> Option<PathBuf> {
        self.directories.iter().find_map(|root| host_directory(root, domain))
    }

    fn origin(&self, domain: &str) -> Result<Host> {
        let schemes = match self.default_scheme.as_str() {
            "http" => Schemes::Http,
            "" | "https" if self.is_insecure(domain) => Schemes::Insecure,
            "" | "https" => Schemes::Https,
            other => return Err(Error::invalid_argument(format!("scheme {other:?} is not http or https"))),
        };
        Ok(Host::origin(domain, schemes))
    }

    fn is_insecure(&self, authority: &str) -> bool {
        is_loopback(authority)
            || self.insecure.iter().any(|entry| {
                let entry =
                    entry.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
                entry == authority || entry == name_of(authority) || in_network(entry, name_of(authority))
            })
    }

    fn read_directory(&self, root: &Path, domain: &str) -> Result<Option<Vec<Host>>> {
        let Some(directory) = host_directory(root, domain) else { return Ok(None) };
        let file = directory.join("hosts.toml");
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let bad = |cause: String| {
                    Error::invalid_argument(format!("cannot read {}: {cause}", file.display()))
                };
                let table = text.parse::<Table>().map_err(|error| bad(error.to_string()))?;
                self.read_table(&table, &directory, domain).map(Some).map_err(|error| bad(error.chain()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut host = self.origin(domain)?;
                host.tls = certificates_in(&directory);
                Ok(Some(vec![host]))
            }
            Err(error) => Err(Error::unknown(format!("cannot read {}", file.display())).with_source(error)),
        }
    }

    fn read_table(&self, table: &Table, directory: &Path, domain: &str) -> Result<Vec<Host>> {
        let mut hosts = Vec::new();
        for (url, settings) in table.get("host").and_then(Value::as_table).into_iter().flatten() {
            let settings = settings
                .as_table()
                .ok_or_else(|| Error::invalid_argument(format!("host {url:?} is no table")))?;
            let mut host = self.host_from(url, settings, directory)?;
            let own_name = host.authority == Host::origin(domain, Schemes::Https).authority;
            host.mirror_of = (!own_name).then(|| domain.to_owned());
            hosts.push(host);
        }
        // The settings at the top are the registry's own.
        let mut server = match table.get("server").and_then(Value::as_str) {
            Some(url) if !url.is_empty() => self.host_from(url, table, directory)?,
            _ => {
                let origin = self.origin(domain)?;
                let parsed = self.host_from(&origin.authority, table, directory)?;
                Host { schemes: origin.schemes, authority: origin.authority, ..parsed }
            }
        };
        let own_name = server.authority == Host::origin(domain, Schemes::Https).authority;
        server.mirror_of = (!own_name).then(|| domain.to_owned());
        if !hosts.iter().any(|host| host.authority == server.authority && host.path == server.path) {
            hosts.push(server);
        }
        Ok(hosts)
    }

    fn host_from(&self, url: &str, settings: &Table, directory: &Path) -> Result<Host> {
        let override_path = flag(settings, "override_path")?;
        let mut host = self.parse_url(url, override_path)?;
        host.tls.skip_verify = flag(settings, "skip_verify")?;
        if host.tls.skip_verify && host.schemes == Schemes::Https && !url.contains("://") {
            host.schemes = Schemes::Insecure;
        }
        if let Some(words) = settings.get("capabilities") {
            host.capabilities = capabilities(words)?;
        }
        host.connect_timeout = dial_timeout(settings.get("dial_timeout"))?;
        host.tls.authorities =
            strings(settings.get("ca"))?.into_iter().map(|path| directory.join(path)).collect();
        host.tls.identity = identity(settings.get("client"), directory)?;
        for (name, value) in settings.get("header").and_then(Value::as_table).into_iter().flatten() {
            for value in strings(Some(value))? {
                host.headers.push((name.clone(), value));
            }
        }
        Ok(host)
    }

    fn parse_url(&self, url: &str, override_path: bool) -> Result<Host> {
        let bad = || Error::invalid_argument(format!("host {url:?} is no URL of a registry"));
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, url),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path.trim_end_matches('/')),
            None => (rest, ""),
        };
        if authority.is_empty() || authority.contains(['@', '?', '#', ' ']) {
            return Err(bad());
        }
        let schemes = match scheme {
            Some("http") => Schemes::Http,
            Some("https") => Schemes::Https,
            Some(_) => return Err(bad()),
            None if self.default_scheme == "http" => Schemes::Http,
            None if self.is_insecure(authority) => Schemes::Insecure,
            None => Schemes::Https,
        };
        let path = match (path, override_path) {
            ("", true) => String::new(),
            (path, true) => format!("/{path}"),
            ("", false) => "/v2".to_owned(),
            (path, false) if path == "v2" || path.ends_with("/v2") => format!("/{path}"),
            (path, false) => format!("/{path}/v2"),
        };
        Ok(Host { path, ..Host { authority: authority.to_owned(), ..Host::origin(authority, schemes) } })
    }
}

/// `HOST_PORT_`, `HOST:PORT`, `HOST`, then `_default`.
fn host_directory(root: &Path, domain: &str) -> Option<PathBuf> {
    let mut names = Vec::new();
    if let Some((name, port)) = domain.rsplit_once(':') {
        names.push(format!("{name}_{port}_"));
    }
    names.push(domain.to_owned());
    names.push("_default".to_owned());
    names.into_iter().map(|name| root.join(name)).find(|path| path.is_dir())
}

/// Docker's form: `*.crt` are trusted, `NAME.cert` with `NAME.key` is shown.
fn certificates_in(directory: &Path) -> TlsFiles {
    let mut tls = TlsFiles::default();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => tls.authorities.push(path),
            Some("cert") if path.with_extension("key").is_file() => {
                tls.identity = Some((path.clone(), path.with_extension("key")));
            }
            _ => {}
        }
    }
    tls
}

fn capabilities(value: &Value) -> Result<Capabilities> {
    let mut found = Capabilities { pull: false, resolve: false, push: false };
    for word in strings(Some(value))? {
        match word.as_str() {
            "pull" => found.pull = true,
            "resolve" => found.resolve = true,
            "push" => found.push = true,
            other => return Err(Error::invalid_argument(format!("unknown capability {other}"))),
        }
    }
    Ok(found)
}

fn flag(settings: &Table, name: &str) -> Result<bool> {
    match settings.get(name) {
        None => Ok(false),
        Some(Value::Boolean(on)) => Ok(*on),
        Some(other) => Err(Error::invalid_argument(format!("{name} wants true or false, not {other}"))),
    }
}

/// A duration as Go writes it, `1s` or `500ms`.
fn dial_timeout(value: Option<&Value>) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let bad = || Error::invalid_argument(format!("dial_timeout wants a time such as \"5s\", not {value}"));
    let text = value.as_str().ok_or_else(bad)?;
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let number: f64 = text[..digits].parse().map_err(|_| bad())?;
    let unit = match &text[digits..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let timeout = Duration::try_from_secs_f64(number * unit).map_err(|_| bad())?;
    Ok(Some(timeout).filter(|timeout| !timeout.is_zero()))
}

/// A string or a list of strings.
fn strings(value: Option<&Value>) -> Result<Vec<String>> {
    let bad = || Error::invalid_argument("a string or a list of strings is wanted");
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
        }
        Some(_) => Err(bad()),
    }
}

/// `client = "both.pem"`, `["cert", "key"]` or `[["cert", "key"]]`.
fn identity(value: Option<&Value>, directory: &Path) -> Result<Option<(PathBuf, PathBuf)>> {
    let pair = match value {
        Some(Value::Array(items)) if items.first().is_some_and(Value::is_array) => strings(items.first())?,
        other => strings(other)?,
    };
    Ok(match pair.as_slice() {
        [] => None,
        [both] => Some((directory.join(both), directory.join(both))),
        [certificate, key] if !key.is_empty() => Some((directory.join(certificate), directory.join(key))),
        [both, _] => Some((directory.join(both), directory.join(both))),
        _ => return Err(Error::invalid_argument("client wants one certificate and one key")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, HostsConfig) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let config = HostsConfig { directories: vec![root.path().to_owned()], ..HostsConfig::default() };
        (root, config)
    }

    fn shown(hosts: &[Host]) -> Vec<String> {
        hosts.iter().map(|host| format!("{:?} {}{}", host.schemes, host.authority, host.path)).collect()
    }

    #[test]
    fn without_configuration_the_registry_itself_is_asked() {
        let plain = HostsConfig {
            insecure: vec!["10.0.0.0/8".into(), "reg.example".into()],
            ..HostsConfig::default()
        };
        for (domain, expected) in [
            ("docker.io", "Https registry-1.docker.io/v2"),
            ("quay.io", "Https quay.io/v2"),
            ("localhost:5000", "Insecure localhost:5000/v2"),
            ("127.3.2.1:5000", "Insecure 127.3.2.1:5000/v2"),
            ("10.1.2.3", "Insecure 10.1.2.3/v2"),
            ("reg.example:443", "Insecure reg.example:443/v2"),
            ("11.1.2.3", "Https 11.1.2.3/v2"),
        ] {
            assert_eq!(shown(&plain.hosts(domain).unwrap()), [expected]);
        }
    }

    #[test]
    fn mirrors_come_before_docker_hub_only() {
        let config = HostsConfig { mirrors: vec!["http://mirror:5000".into()], ..HostsConfig::default() };
        let hosts = config.hosts("docker.io").unwrap();
        assert_eq!(shown(&hosts), ["Http mirror:5000/v2", "Https registry-1.docker.io/v2"]);
        assert!(!hosts[0].capabilities.push);
        assert_eq!(hosts[0].path_of("library/a", "manifests/b"), "/v2/library/a/manifests/b?ns=docker.io");
        assert_eq!(config.hosts("quay.io").unwrap().len(), 1);
    }

    #[test]
    fn hosts_toml_keeps_its_order() {
        let text = r#"
            server = "https://registry.example"
            [host."https://z.example"]
            capabilities = ["pull"]
            [host."http://a.example/some/path"]
            override_path = true
            [host."https://b.example/x"]
            skip_verify = true
            ca = "ca.pem"
            client = [["c.pem", "k.pem"]]
            [host."https://b.example/x".header]
            x-token = ["1", "2"]
        "#;
        let (root, config) = config(&[("r.example_5000_/hosts.toml", text)]);
        let hosts = config.hosts("r.example:5000").unwrap();
        assert_eq!(
            shown(&hosts),
            [
                "Https z.example/v2",
                "Http a.example/some/path",
                "Https b.example/x/v2",
                "Https registry.example/v2"
            ]
        );
        assert_eq!(hosts[0].capabilities, Capabilities { pull: true, resolve: false, push: false });
        let directory = root.path().join("r.example_5000_");
        assert_eq!(hosts[2].tls.authorities, [directory.join("ca.pem")]);
        assert_eq!(hosts[2].tls.identity, Some((directory.join("c.pem"), directory.join("k.pem"))));
        assert_eq!(hosts[2].headers.len(), 2);
    }

    #[test]
    fn default_directory_and_errors() {
        let (_root, config) = config(&[
            ("_default/hosts.toml", "[host.\"https://all.example\"]\n"),
            ("bad.example/hosts.toml", "server = ["),
        ]);
        assert_eq!(
            shown(&config.hosts("q.example").unwrap()),
            ["Https all.example/v2", "Https q.example/v2"]
        );
        assert_eq!(config.hosts("bad.example").unwrap_err().kind(), errdefs::Kind::InvalidArgument);
    }

    proptest::proptest! {
        #[test]
        fn any_file_gives_hosts_or_an_error_with_its_name(
            lines in proptest::collection::vec(
                ("(server|ca|client|capabilities|skip_verify|override_path|header|\\[host.\"[a-z:/.]{1,12}\"\\]|[a-z]{1,4})",
                 "( = (true|1|\"[a-z:/.@]{0,12}\"|\\[(\"[a-z]{0,6}\",?){0,3}\\]|\\[\\[\"c\",\"k\"\\]\\]))?"),
                0..8),
        ) {
            let text: String = lines.iter().map(|(key, value)| format!("{key}{value}\n")).collect();
            let (_root, config) = config(&[("r.example/hosts.toml", &text)]);
            match config.hosts("r.example") {
                Ok(hosts) => proptest::prop_assert!(!hosts.is_empty() && hosts.iter().all(|host| !host.authority.is_empty())),
                Err(error) => proptest::prop_assert!(error.chain().contains("hosts.toml"), "{}", error.chain()),
            }
        }
    }
}
