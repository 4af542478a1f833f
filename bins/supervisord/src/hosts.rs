//! Which hosts a pull or push asks, for a person who wonders: `supervisord hosts IMAGE`.

use crate::services::transfer::TransferConfig;
use distribution::{Host, Schemes};
use errdefs::{Error, Result};
use reference::Reference;
use std::fmt::Write;

/// The hosts of an image in the order in which they are asked, and what says so.
pub fn explain(image: &str, config: &TransferConfig) -> Result<String> {
    let reference = Reference::parse_normalized(image)
        .map_err(|cause| Error::invalid_argument(format!("reference {image:?}")).with_source(cause))?;
    let (domain, lookup) = (reference.domain(), config.hosts("", ""));
    let mut text = format!("{}\n", reference.canonical());
    let why = match lookup.directory(domain) {
        Some(directory) if directory.join("hosts.toml").exists() => {
            format!("{} says", directory.join("hosts.toml").display())
        }
        Some(directory) => format!("certificates of {} count, it has no hosts.toml", directory.display()),
        None => {
            let roots: Vec<_> = config.config_path.iter().map(|root| root.display().to_string()).collect();
            format!("{domain} and _default have no directory below {}", roots.join(" or "))
        }
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "  {why}:");
    for (at, host) in lookup.hosts(domain)?.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", at + 1, line(host));
    }
    Ok(text)
}

fn line(host: &Host) -> String {
    let (scheme, trust) = match (host.schemes, host.tls.skip_verify) {
        (Schemes::Http, _) => ("http", ", without TLS"),
        (Schemes::Insecure, _) => ("https", ", certificate not verified, then http if it speaks no TLS"),
        (Schemes::Https, true) => ("https", ", certificate not verified"),
        (Schemes::Https, false) => ("https", ""),
    };
    let able = host.capabilities;
    let words = [(able.resolve, "resolve"), (able.pull, "pull"), (able.push, "push")];
    let words: Vec<&str> = words.iter().filter(|(may, _)| *may).map(|(_, word)| *word).collect();
    let mut line = format!(
        "{scheme}://{}{}  for {}{trust}",
        host.authority,
        host.path,
        match words.len() {
            0 => "nothing".to_owned(),
            _ => words.join(", "),
        }
    );
    if let Some(registry) = &host.mirror_of {
        line += &format!(", as a mirror told ns={registry}");
    }
    for authority in &host.tls.authorities {
        line += &format!(", trusting {}", authority.display());
    }
    if let Some((certificate, _)) = &host.tls.identity {
        line += &format!(", showing {}", certificate.display());
    }
    if !host.headers.is_empty() {
        let names: Vec<&str> = host.headers.iter().map(|(name, _)| name.as_str()).collect();
        line += &format!(", with headers {}", names.join(" "));
    }
    if let Some(timeout) = host.connect_timeout {
        line += &format!(", connected to within {timeout:?}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_its_reason_are_told() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("r.example");
        std::fs::create_dir(&directory).unwrap();
        let text = "[host.'http://m:5000']\ncapabilities = ['pull']\n[host.'http://m:5000'.header]\nx-key = 'secret'";
        std::fs::write(directory.join("hosts.toml"), text).unwrap();
        let config =
            TransferConfig { config_path: vec![root.path().to_owned()], ..TransferConfig::default() };
        let told = explain("r.example/a", &config).unwrap();
        assert_eq!(
            told,
            format!(
                "r.example/a\n  {}/hosts.toml says:\n  1. http://m:5000/v2  for pull, without TLS, as a mirror \
                 told ns=r.example, with headers x-key\n  2. https://r.example/v2  for resolve, pull, push\n",
                directory.display()
            )
        );
        let plain = explain("alpine", &config).unwrap();
        assert!(plain.contains("docker.io and _default have no directory below"), "{plain}");
        assert!(plain.ends_with("1. https://registry-1.docker.io/v2  for resolve, pull, push\n"), "{plain}");
        assert!(explain("A B", &config).is_err());
    }
}
