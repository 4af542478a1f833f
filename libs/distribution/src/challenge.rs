//! `WWW-Authenticate` (RFC 9110 11.6.1): what a host wants to see.

/// One challenge; scheme and parameter names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub scheme: String,
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads every challenge of one header value; what cannot be read is left out.
    pub fn parse(value: &str) -> Vec<Challenge> {
        let mut found: Vec<Challenge> = Vec::new();
        let mut rest = Cursor(value);
        loop {
            rest.skip_separators();
            let word = rest.token();
            if word.is_empty() {
                if rest.0.is_empty() {
                    return found;
                }
                rest.skip_one();
                continue;
            }
            // `name = value` belongs to the challenge before; a word alone starts the next.
            match (rest.value(), found.last_mut()) {
                (Some(value), Some(challenge)) => {
                    challenge.parameters.push((word.to_ascii_lowercase(), value))
                }
                (Some(_), None) => {}
                (None, _) => {
                    found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() })
                }
            }
        }
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip_separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    fn skip_one(&mut self) {
        let mut chars = self.0.chars();
        chars.next();
        self.0 = chars.as_str();
    }

    fn token(&mut self) -> &'a str {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// `= token` or `= "quoted"`, else nothing is taken.
    fn value(&mut self) -> Option<String> {
        let rest = self.0.trim_start_matches([' ', '\t']).strip_prefix('=')?;
        let mut after = Cursor(rest.trim_start_matches([' ', '\t']));
        let value = match after.0.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = unquote(quoted);
                after.0 = rest;
                value
            }
            None => after.token().to_owned(),
        };
        self.0 = after.0;
        Some(value)
    }
}

/// Text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return (value, chars.as_str()),
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn docker_hub() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let found = Challenge::parse(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(found[0].parameter("scope"), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn several_in_one_value() {
        let found = Challenge::parse(r#"Basic realm="a \"b\"", Bearer realm = "c" , Negotiate"#);
        let schemes: Vec<_> = found.iter().map(|challenge| challenge.scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "bearer", "negotiate"]);
        assert_eq!(found[0].parameter("realm"), Some("a \"b\""));
    }

    proptest! {
        #[test]
        fn never_hangs_or_panics(text in ".{0,200}") {
            let _ = Challenge::parse(&text);
        }
    }
}
