//! Link-layer addresses of endpoints and bridges.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A unicast Ethernet address, printed as `02:42:ac:12:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address that belongs to an IPv4 address: `02:42` and the four bytes, as Docker makes
    /// it. An address that is used again keeps its MAC, so no neighbour cache goes stale.
    pub fn of(address: Ipv4Addr) -> MacAddress {
        let [a, b, c, d] = address.octets();
        MacAddress([0x02, 0x42, a, b, c, d])
    }

    /// One that is nobody's.
    ///
    /// # Errors
    /// The kernel has no random bytes.
    pub(crate) fn random() -> Result<MacAddress> {
        let mut bytes = [0x02, 0x42, 0, 0, 0, 0];
        crate::bridge::random(&mut bytes[2..])?;
        Ok(MacAddress(bytes))
    }

    /// Checks that the bytes are a unicast address other than zero.
    pub fn new(bytes: [u8; 6]) -> Result<MacAddress> {
        let mac = MacAddress(bytes);
        if bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(Error::InvalidMac(mac.to_string()));
        }
        Ok(mac)
    }

    /// The six bytes in wire order.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = Error;

    /// Six pairs of hexadecimal digits, separated by `:` or by `-`.
    fn from_str(text: &str) -> Result<MacAddress> {
        let invalid = || Error::InvalidMac(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(invalid)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_some() {
            return Err(invalid());
        }
        MacAddress::new(bytes).map_err(|_| invalid())
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for MacAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<MacAddress> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        let mac: MacAddress = "02:42:AC:12:00:02".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:12:00:02");
        assert_eq!(mac, MacAddress::of(Ipv4Addr::new(172, 18, 0, 2)));
        assert_eq!("02-42-ac-12-00-02".parse::<MacAddress>().unwrap(), mac);
    }

    #[test]
    fn refuses_multicast_zero_and_nonsense() {
        for text in [
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "",
            "02:42:ac:12:00",
            "02:42:ac:12:00:02:03",
            "+2:42:ac:12:00:02",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }
}
