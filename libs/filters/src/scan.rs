//! The words of a filter.

use errdefs::{Error, Result};

/// Reads a filter character by character.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    position: usize,
}

/// An operator as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Equal,
    NotEqual,
    Matches,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, position: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over `wanted` if it is next.
    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.position += wanted.len_utf8();
        }
        found
    }

    /// Spaces may stand between any two words: containerd's own clients write `type==x, id==y`.
    fn skip_space(&mut self) {
        self.run(char::is_whitespace);
    }

    /// Whether nothing but spaces is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.peek().is_none()
    }

    /// Steps over a comma or a dot, if one is next.
    pub(crate) fn separator(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.take(wanted)
    }

    /// The error that names this place.
    pub(crate) fn fail(&self, what: &str) -> Error {
        // containerd's form: the place is shown within the text.
        let mut rest = self.rest().chars();
        let place = match rest.next() {
            Some(c) => format!("{} >|{c}|< {}", &self.text[..self.position], rest.as_str()),
            None => self.text.to_owned(),
        };
        Error::invalid_argument(format!("filters: parse error: [{place}]: {what}"))
    }

    /// An operator, if one is next; a lone `=`, `!` or `~` is an error.
    pub(crate) fn sign(&mut self) -> Result<Option<Sign>> {
        self.skip_space();
        let sign = match self.rest().get(..2) {
            Some("==") => Sign::Equal,
            Some("!=") => Sign::NotEqual,
            Some("~=") => Sign::Matches,
            _ if self.peek().is_some_and(|c| "=!~".contains(c)) => {
                return Err(self.fail("expected an operator (\"==\"|\"!=\"|\"~=\")"));
            }
            _ => return Ok(None),
        };
        self.position += 2;
        Ok(Some(sign))
    }

    /// A field name: quoted, or a letter followed by letters, digits and underscores.
    pub(crate) fn field(&mut self) -> Result<String> {
        self.skip_space();
        match self.peek() {
            Some('"') => self.quoted('"'),
            Some(first) if first.is_ascii_alphabetic() => {
                Ok(self.run(|c| c.is_ascii_alphanumeric() || c == '_').to_owned())
            }
            _ => Err(self.fail("expected a field name")),
        }
    }

    /// A value: quoted, or everything up to a space or comma. Patterns may stand between `|` or `/`.
    pub(crate) fn value(&mut self, pattern: bool) -> Result<String> {
        self.skip_space();
        match self.peek() {
            Some('"') => self.quoted('"'),
            Some(mark @ ('|' | '/')) if pattern => self.quoted(mark),
            _ => {
                let value = self.run(|c| c != ',' && !c.is_whitespace());
                if value.is_empty() {
                    Err(self.fail("expected value or quoted"))
                } else {
                    Ok(value.to_owned())
                }
            }
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    /// Text between two `mark`s. Between double quotes the escapes are Go's; elsewhere only `\mark` is one.
    fn quoted(&mut self, mark: char) -> Result<String> {
        let start = self.position;
        self.take(mark);
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                self.position = start;
                return Err(self.fail("unterminated literal"));
            };
            self.position += c.len_utf8();
            match c {
                c if c == mark => return Ok(text),
                '\\' if mark == '"' => text.push(self.escape()?),
                '\\' if self.take(mark) => text.push(mark),
                c => text.push(c),
            }
        }
    }

    /// What follows a backslash, by Go's rules for strings.
    fn escape(&mut self) -> Result<char> {
        let Some(c) = self.peek() else { return Err(self.fail("unterminated escape")) };
        self.position += c.len_utf8();
        Ok(match c {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' | '"' | '\'' => c,
            'x' => self.code_point(2, 16)?,
            'u' => self.code_point(4, 16)?,
            'U' => self.code_point(8, 16)?,
            '0'..='7' => {
                self.position -= 1;
                self.code_point(3, 8)?
            }
            _ => return Err(self.fail("unknown escape")),
        })
    }

    fn code_point(&mut self, digits: usize, radix: u32) -> Result<char> {
        let code = self
            .rest()
            .get(..digits)
            .and_then(|text| u32::from_str_radix(text, radix).ok())
            .and_then(char::from_u32)
            .ok_or_else(|| self.fail("bad escape"))?;
        self.position += digits;
        Ok(code)
    }
}
