//! The parameters after the question mark.

use errdefs::{Error, Result};

/// Decoded pairs, in order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string. What is not decodable stays as it is.
    pub fn parse(text: &str) -> Query {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        };
        Query(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The first value of a key; empty when absent.
    pub fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// All values of a key.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// Whether the key is there at all.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// Docker's truth: everything but these words.
    pub fn is(&self, key: &str) -> bool {
        !matches!(self.text(key).trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A truth that is `default` when absent.
    pub fn is_or(&self, key: &str, default: bool) -> bool {
        if self.has(key) { self.is(key) } else { default }
    }

    /// A number; `None` when absent.
    ///
    /// # Errors
    /// It is none.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        match self.text(key) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Error::invalid_argument(format!("invalid value of {key}: \"{text}\""))),
        }
    }

    /// One side of a terminal, in characters; `name` is what people call it.
    ///
    /// # Errors
    /// It is absent, or no such number.
    pub fn side(&self, key: &str, name: &str) -> Result<u32> {
        let text = self.text(key);
        text.parse().map_err(|_| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            Error::invalid_argument(format!("invalid resize {name} \"{text}\": {why}"))
        })
    }

    /// A moment; `None` when absent or zero.
    ///
    /// # Errors
    /// It is none.
    pub fn time(&self, key: &str) -> Result<Option<crate::time::Time>> {
        match self.text(key) {
            "" | "0" => Ok(None),
            text => crate::time::Time::parse(text).map(Some).ok_or_else(|| {
                Error::invalid_argument(format!(
                    "invalid value for \"{key}\": failed to parse \"{text}\" as a time"
                ))
            }),
        }
    }
}

/// Undoes percent-encoding; in a form, `+` is a space.
pub fn decode(text: &str, is_form: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
            .flatten();
        match (bytes[at], hex) {
            (_, Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', None) if is_form => decoded.push(b' '),
            (byte, None) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("name=a%20b+c&all=1&names=x&names=y&none=false&bad=%zz");
        assert_eq!(query.text("name"), "a b c");
        assert_eq!(query.all("names"), ["x", "y"]);
        assert!(query.is("all") && !query.is("none") && !query.is("absent"));
        assert_eq!(query.text("bad"), "%zz");
        assert!(query.number::<u32>("name").is_err());
    }

    #[test]
    fn sides_of_a_terminal_are_numbers() {
        let query = Query::parse("h=40&w=x&a=-1&b=4294967296&c=");
        assert_eq!(query.side("h", "height").unwrap(), 40);
        for (key, why) in [
            ("w", "\"x\": invalid syntax"),
            ("a", "\"-1\": value out of range"),
            ("b", "\"4294967296\": value out of range"),
            ("c", "\"\": invalid syntax"),
            ("absent", "\"\": invalid syntax"),
        ] {
            let told = query.side(key, "width").unwrap_err().to_string();
            assert_eq!(told, format!("invalid resize width {why}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            let query = Query::parse(&text);
            let _ = (query.is("a"), query.number::<i64>("a"), query.time("a"));
        }
    }
}
