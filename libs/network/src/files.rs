//! The files that tell a container who it is and whom to ask: text in, text out, no I/O.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// systemd-resolved's stub, which serves the host alone.
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// Who answers when the host's configuration names nobody that a container can reach.
const FALLBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4))];

/// What a container's `/etc/resolv.conf` says, from the host's and the user's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers.
    pub nameservers: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Options as in `ndots:0`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a host's `resolv.conf` (resolv.conf(5)); what is not understood is left out. The
    /// last `search` or `domain` counts.
    pub fn parse(text: &str) -> ResolvConf {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                // A link-local server's zone means nothing outside the host.
                Some("nameserver") => {
                    conf.nameservers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => conf.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        conf
    }

    /// Whether the file names only systemd-resolved's stub: the servers behind it are in
    /// `/run/systemd/resolve/resolv.conf`.
    pub fn is_stub(&self) -> bool {
        self.nameservers == [STUB]
    }

    /// What a container in its own namespace can use: loopback name servers are taken out (they
    /// are the host's own), IPv6 ones too as long as containers have none, and when none is left,
    /// Google's public ones stand in as in Docker.
    pub fn for_container(mut self) -> ResolvConf {
        self.nameservers.retain(|server| server.is_ipv4() && !server.is_loopback());
        if self.nameservers.is_empty() {
            self.nameservers = FALLBACK.to_vec();
        }
        self
    }

    /// Replaces what the user gave: `--dns`, `--dns-search` (a single `.` means none),
    /// `--dns-option`. Empty lists change nothing. Comes after [`ResolvConf::for_container`]:
    /// what the user says is taken at their word.
    pub fn with_overrides(
        mut self,
        nameservers: &[IpAddr],
        search: &[String],
        options: &[String],
    ) -> ResolvConf {
        if !nameservers.is_empty() {
            self.nameservers = nameservers.to_vec();
        }
        if search == ["."] {
            self.search.clear();
        } else if !search.is_empty() {
            self.search = search.to_vec();
        }
        if !options.is_empty() {
            self.options = options.to_vec();
        }
        self
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for server in &self.nameservers {
            let _ = writeln!(text, "nameserver {server}");
        }
        for (keyword, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                let _ = writeln!(text, "{keyword} {}", words.join(" "));
            }
        }
        text
    }
}

/// One more line of a hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Address.
    pub address: IpAddr,
    /// Its names, the canonical one first.
    pub names: Vec<String>,
}

/// Text of `/etc/hosts`: the loopback names, then `entries` (`--add-host`, links), then the
/// container's `own` addresses with their names (`hostname.domain hostname`, or the host name).
pub fn hosts_file(own: &[HostEntry], entries: &[HostEntry]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::\tip6-localnet\n\
                    ff00::\tip6-mcastprefix\n\
                    ff02::1\tip6-allnodes\n\
                    ff02::2\tip6-allrouters\n"
        .to_owned();
    for entry in entries.iter().chain(own) {
        let _ = writeln!(text, "{}\t{}", entry.address, entry.names.join(" "));
    }
    text
}

/// Text of `/etc/hostname`.
pub fn hostname_file(hostname: &str) -> String {
    format!("{hostname}\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "# made by hand\ndomain old.example\nnameserver 127.0.0.1 ; own\nnameserver 10.0.0.2\nnameserver ::1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\nsearch a.example b.example\noptions ndots:2 rotate\nsortlist 1.2.3.4\n";

    #[test]
    fn what_is_the_hosts_own_stays_there() {
        let text = ResolvConf::parse(HOST).for_container().render();
        assert_eq!(text, "nameserver 10.0.0.2\nsearch a.example b.example\noptions ndots:2 rotate\n");
    }

    #[test]
    fn nobody_left_means_the_public_ones() {
        let conf = ResolvConf::parse("nameserver 127.0.0.53\noptions edns0\n");
        assert!(conf.is_stub());
        assert_eq!(conf.for_container().render(), "nameserver 8.8.8.8\nnameserver 8.8.4.4\noptions edns0\n");
    }

    #[test]
    fn the_user_is_taken_at_their_word() {
        let conf = ResolvConf::parse(HOST).for_container().with_overrides(
            &["127.0.0.1".parse().unwrap()],
            &[".".to_owned()],
            &["ndots:0".to_owned()],
        );
        assert_eq!(conf.render(), "nameserver 127.0.0.1\noptions ndots:0\n");
    }

    #[test]
    fn hosts() {
        let entry = |address: &str, names: &[&str]| HostEntry {
            address: address.parse().unwrap(),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        };
        let text = hosts_file(&[entry("172.18.0.2", &["web.example", "web"])], &[entry("10.0.0.9", &["db"])]);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost "));
        assert!(text.ends_with("ff02::2\tip6-allrouters\n10.0.0.9\tdb\n172.18.0.2\tweb.example web\n"));
    }

    proptest! {
        #[test]
        fn rendering_and_reading_agree(text in "((nameserver|search|options|domain)?[ a-z0-9.:#;%]{0,30}\n){0,8}") {
            let conf = ResolvConf::parse(&text);
            prop_assert_eq!(ResolvConf::parse(&conf.render()), conf);
        }
    }
}
