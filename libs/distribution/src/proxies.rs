//! Proxies on the way to hosts: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go's programs read them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use errdefs::{Error, Result};
use http::{HeaderValue, Uri};

use crate::host::{in_network, is_loopback, name_of};

/// Which hosts are reached by way of which proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub uri: Uri,
    /// `Proxy-Authorization`, when the URL holds a user.
    pub authorization: Option<HeaderValue>,
}

/// Hosts that are reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// Addresses, as `base/bits`.
    Network(String),
    Address(IpAddr, Option<u16>),
    /// A name with all below it; not the name itself when it began with a dot.
    Domain {
        name: String,
        only_below: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// What the environment says; capital letters first.
    ///
    /// # Errors
    /// As [`Proxies::parse`].
    pub fn from_environment() -> Result<Proxies> {
        let variable = |name: &str| {
            let named = [name.to_owned(), name.to_lowercase()];
            named
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
                .unwrap_or_default()
        };
        Proxies::parse(&variable("HTTP_PROXY"), &variable("HTTPS_PROXY"), &variable("NO_PROXY"))
    }

    /// Reads two URLs and a list with commas; empty is none.
    ///
    /// # Errors
    /// InvalidArgument: a URL is none. Unimplemented: the proxy speaks something else than HTTP.
    pub fn parse(http: &str, https: &str, none: &str) -> Result<Proxies> {
        let exceptions = none.split(',').filter_map(|text| Exception::parse(text.trim())).collect();
        Ok(Proxies { http: Proxy::parse(http)?, https: Proxy::parse(https)?, exceptions })
    }

    /// The proxy for a URL; none for this machine itself.
    pub(crate) fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let (proxy, port) = match uri.scheme_str() {
            Some("https") => (self.https.as_ref()?, 443),
            _ => (self.http.as_ref()?, 80),
        };
        let authority = uri.authority()?.as_str();
        let port = uri.port_u16().unwrap_or(port);
        let is_direct = is_loopback(authority)
            || self.exceptions.iter().any(|exception| exception.covers(authority, port));
        (!is_direct).then_some(proxy)
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Option<Proxy>> {
        if text.is_empty() {
            return Ok(None);
        }
        // The URL may hold a password: error texts do not hold the URL.
        let bad = || {
            Error::invalid_argument("the proxy's URL is malformed").with_hint("write it as http://HOST:PORT")
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(Error::unimplemented(format!("a proxy by {scheme} is not supported"))
                .with_hint("name one that is spoken to by plain HTTP"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let uri: Uri = format!("http://{place}/").parse().map_err(|_| bad())?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(bad());
        }
        let authorization = match user {
            Some(user) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let pair = [decode(name).ok_or_else(bad)?, b":".to_vec(), decode(password).ok_or_else(bad)?]
                    .concat();
                let mut value =
                    HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).map_err(|_| bad())?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Some(Proxy { uri, authorization }))
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Exception> {
        let text = text.to_ascii_lowercase();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Exception::All);
        }
        if let Some((base, bits)) = text.split_once('/')
            && base.parse::<IpAddr>().is_ok()
            && bits.parse::<u8>().is_ok()
        {
            return Some(Exception::Network(text));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Some(Exception::Address(address, None));
        }
        let (name, port) = match text.rsplit_once(':').map(|(name, port)| (name, port.parse::<u16>())) {
            Some((name, Ok(port))) => (name, Some(port)),
            _ => (text.as_str(), None),
        };
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Some(Exception::Address(address, port));
        }
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        let below = name.strip_prefix('.');
        let only_below = below.is_some();
        let name = below.unwrap_or(name).to_owned();
        (!name.is_empty()).then_some(Exception::Domain { name, only_below, port })
    }

    fn covers(&self, authority: &str, port: u16) -> bool {
        let host = name_of(authority).to_ascii_lowercase();
        let takes = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Exception::All => true,
            Exception::Network(network) => in_network(network, &host),
            Exception::Address(address, wanted) => host.parse() == Ok(*address) && takes(wanted),
            Exception::Domain { name, only_below, port: wanted } => {
                let is_below = host.strip_suffix(name.as_str()).is_some_and(|above| above.ends_with('.'));
                (is_below || (!only_below && host == *name)) && takes(wanted)
            }
        }
    }
}

/// Undoes percent-encoding; `None` when it is malformed.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                hex::decode(digits).ok()?[0]
            }
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn goes(proxies: &Proxies, url: &str) -> bool {
        proxies.of(&url.parse().unwrap()).is_some()
    }

    #[test]
    fn exceptions_as_go_has_them() {
        let none = "a.example, .b.example,*.c.example ,10.0.0.0/8,192.0.2.7,d.example:5000,192.0.2.8:81,[2001:db8::1]";
        let proxies = Proxies::parse("proxy:3128", "http://proxy:3128", none).unwrap();
        for url in [
            "https://a.example/",
            "https://x.a.example/",
            "http://x.b.example/",
            "http://x.c.example/",
            "http://10.1.2.3:5000/",
            "http://192.0.2.7/",
            "http://d.example:5000/",
            "http://192.0.2.8:81/",
            "http://[2001:db8::1]:5000/",
            "http://localhost:5000/",
            "http://127.0.0.1:5000/",
        ] {
            assert!(!goes(&proxies, url), "{url}");
        }
        for url in [
            "https://xa.example/",
            "http://b.example/",
            "http://c.example/",
            "http://11.1.2.3/",
            "http://192.0.2.9/",
            "https://d.example/",
            "http://192.0.2.8/",
        ] {
            assert!(goes(&proxies, url), "{url}");
        }
        assert!(!goes(&Proxies::parse("p:1", "p:1", "x,*").unwrap(), "https://y/"));
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies::parse("", "http://u%40x:p%3A@proxy:3128/", "").unwrap();
        assert!(!goes(&proxies, "http://a/"));
        let proxy = proxies.of(&"https://a/".parse().unwrap()).unwrap();
        assert_eq!(proxy.uri.to_string(), "http://proxy:3128/");
        assert_eq!(proxy.authorization.as_ref().unwrap(), &format!("Basic {}", STANDARD.encode("u@x:p:")));
        for bad in ["http://", "http://u:%zz@proxy/", "http://a b/"] {
            let error = Proxies::parse(bad, "", "").unwrap_err();
            assert!(error.kind() == errdefs::Kind::InvalidArgument && !error.chain().contains("zz"), "{bad}");
        }
        assert_eq!(Proxies::parse("socks5://a:1", "", "").unwrap_err().kind(), errdefs::Kind::Unimplemented);
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read(http in ".{0,40}", none in ".{0,80}", host in "[a-z0-9.]{1,20}") {
            if let Ok(proxies) = Proxies::parse(&http, "p:1", &none)
                && let Ok(uri) = format!("https://{host}/").parse::<Uri>()
            {
                let _ = proxies.of(&uri);
                let all = Proxies::parse(&http, "p:1", &format!("{none},*")).unwrap();
                prop_assert!(all.of(&uri).is_none());
            }
        }
    }
}
