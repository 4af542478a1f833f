//! What Go refuses in a template before it runs: unbalanced blocks, unknown functions, bad characters.

use std::collections::BTreeSet;

/// Functions that every Go template has.
const BUILTINS: &[&str] = &[
    "and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf", "println",
    "urlquery", "eq", "ge", "gt", "le", "lt", "ne",
];

/// Checks a template that may call `functions` beside Go's own.
///
/// # Errors
/// Go's text, beginning with the line: `1: unexpected EOF`.
pub fn check(text: &str, functions: &[&str]) -> Result<(), String> {
    let mut blocks = Blocks { open: Vec::new(), variables: BTreeSet::from(["$".to_owned()]), functions };
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found + 2;
        let line = text[..start].matches('\n').count() + 1;
        let inside = text[start..].strip_prefix("- ").unwrap_or(&text[start..]);
        let begin = text.len() - inside.len();
        if inside.starts_with("/*") {
            let end = inside.find("*/").ok_or_else(|| format!("{line}: unclosed comment"))?;
            let close = inside[end..]
                .find("}}")
                .ok_or_else(|| format!("{line}: comment ends before closing delimiter"))?;
            at = begin + end + close + 2;
            continue;
        }
        let (tokens, length) = lex(inside).map_err(|reason| format!("{line}: {reason}"))?;
        blocks.action(&tokens).map_err(|reason| format!("{line}: {reason}"))?;
        at = begin + length;
    }
    if blocks.open.is_empty() {
        Ok(())
    } else {
        Err(format!("{}: unexpected EOF", text.matches('\n').count() + 1))
    }
}

/// How many bytes the action takes that a checked text begins with, delimiters included.
pub fn action_length(text: &str) -> usize {
    let inside = text.strip_prefix("{{- ").or(text.strip_prefix("{{")).unwrap_or(text);
    let begin = text.len() - inside.len();
    if inside.starts_with("/*") {
        return text.find("}}").map_or(text.len(), |end| end + 2);
    }
    lex(inside).map_or(text.len(), |(_, length)| begin + length)
}

/// Whether what stands between an action's delimiters prints a value, as opposed to blocks, comments, declarations.
pub fn is_printing(inside: &str) -> bool {
    let text = format!("{inside}}}}}");
    let Ok((tokens, _)) = lex(&text) else { return false };
    match &tokens[..] {
        [] => false,
        [Token::Word(word), ..] => BUILTINS.contains(word) || !is_keyword(word),
        [Token::Variable(_), ..] => !inside.contains('='),
        tokens => !tokens.contains(&Token::Declare),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A keyword or a function's name.
    Word(&'a str),
    Variable(&'a str),
    /// `:=`.
    Declare,
    Open,
    Close,
    /// Constants, fields, pipes: whatever needs no check.
    Other,
}

/// Tokens up to `}}`, and how many bytes they take with it.
fn lex(text: &str) -> Result<(Vec<Token<'_>>, usize), String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((tokens, text.len() - after.len()));
        }
        let Some(first) = rest.chars().next() else { return Err("unclosed action".to_owned()) };
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let word_end = |from: usize| rest[from..].find(|c| !is_word(c)).map_or(rest.len(), |end| from + end);
        let (token, length) = match first {
            '"' | '\'' => (Some(Token::Other), quoted(rest, first)?),
            '`' => (Some(Token::Other), rest[1..].find('`').ok_or("unterminated raw quoted string")? + 2),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            ':' if rest.starts_with(":=") => (Some(Token::Declare), 2),
            ':' => return Err("expected :=".to_owned()),
            '$' => (Some(Token::Variable(&rest[..word_end(1)])), word_end(1)),
            '.' => (Some(Token::Other), word_end(1)),
            c if c.is_alphabetic() || c == '_' => (Some(Token::Word(&rest[..word_end(0)])), word_end(0)),
            c if c.is_ascii_digit() => (Some(Token::Other), word_end(0)),
            '|' | '=' | ',' | '+' | '-' => ((first != '-').then_some(Token::Other), 1),
            c if c.is_whitespace() => (None, c.len_utf8()),
            c => return Err(format!("bad character U+{:04X} {c:?}", c as u32)),
        };
        tokens.extend(token);
        at += length;
    }
}

/// Length of a quoted constant.
fn quoted(text: &str, quote: char) -> Result<usize, String> {
    let what = if quote == '"' { "unterminated quoted string" } else { "unterminated character constant" };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => break,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Ok(at + c.len_utf8()),
            _ => {}
        }
    }
    Err(what.to_owned())
}

/// The blocks that are open, and the names known in them.
struct Blocks<'a> {
    open: Vec<&'a str>,
    variables: BTreeSet<String>,
    functions: &'a [&'a str],
}

impl<'a> Blocks<'a> {
    fn action(&mut self, tokens: &[Token<'a>]) -> Result<(), String> {
        match tokens.first() {
            None => return Err("missing value for command".to_owned()),
            Some(Token::Word("end")) => {
                self.open.pop().ok_or("unexpected {{end}}")?;
                return Ok(());
            }
            Some(Token::Word("else")) if self.open.is_empty() => return Err("unexpected {{else}}".to_owned()),
            Some(Token::Word(word @ ("break" | "continue"))) if !self.open.contains(&"range") => {
                return Err(format!("{{{{{word}}}}} outside {{{{range}}}}"));
            }
            Some(Token::Word(word @ ("if" | "range" | "with"))) if tokens.len() == 1 => {
                return Err(format!("missing value for {word}"));
            }
            Some(Token::Word(word @ ("template" | "define" | "block"))) if tokens.len() == 1 => {
                return Err(format!("unexpected \"}}}}\" in {word} clause"));
            }
            Some(Token::Word(word @ ("if" | "range" | "with" | "block" | "define"))) => self.open.push(word),
            Some(_) => {}
        }
        self.names(tokens)
    }

    fn names(&mut self, tokens: &[Token<'a>]) -> Result<(), String> {
        if let Some(at) = tokens.iter().position(|token| *token == Token::Declare) {
            self.variables.extend(tokens[..at].iter().filter_map(|token| match token {
                Token::Variable(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
        let mut depth = 0usize;
        for token in tokens {
            match token {
                Token::Open => depth += 1,
                Token::Close => depth = depth.checked_sub(1).ok_or("unexpected right paren")?,
                Token::Variable(name) if !self.variables.contains(*name) => {
                    return Err(format!("undefined variable \"{name}\""));
                }
                Token::Word(word)
                    if !is_keyword(word) && !BUILTINS.contains(word) && !self.functions.contains(word) =>
                {
                    return Err(format!("function \"{word}\" not defined"));
                }
                _ => {}
            }
        }
        if depth > 0 { Err("unclosed left paren".to_owned()) } else { Ok(()) }
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "if" | "else"
            | "range"
            | "with"
            | "block"
            | "define"
            | "template"
            | "break"
            | "continue"
            | "end"
            | "true"
            | "false"
            | "nil"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_go_takes_is_taken() {
        for text in [
            "",
            "plain }} text",
            "{{.ID}} {{- .A.B -}} {{/* {{ */}}x",
            "{{range $i, $e := split .A \",\"}}{{$i}}{{if eq $e \"}}\"}}{{break}}{{else if .B}}{{end}}{{end}}",
            "{{define \"t\"}}{{.}}{{end}}{{template \"t\" .}}{{printf `}}` | len}}{{'a'}} {{-1}}",
        ] {
            assert_eq!(check(text, &["split"]), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        for (text, reason) in [
            ("{{.ID", "1: unclosed action"),
            ("\n{{bogus .}}", "2: function \"bogus\" not defined"),
            ("{{if .}}x", "1: unexpected EOF"),
            ("{{end}}", "1: unexpected {{end}}"),
            ("{{else}}", "1: unexpected {{else}}"),
            ("{{}}", "1: missing value for command"),
            ("{{\"x}}", "1: unterminated quoted string"),
            ("{{break}}", "1: {{break}} outside {{range}}"),
            ("{{ $x }}", "1: undefined variable \"$x\""),
            ("{{(.ID}}", "1: unclosed left paren"),
            ("{{.ID)}}", "1: unexpected right paren"),
            ("{{.Names}", "1: bad character U+007D '}'"),
        ] {
            assert_eq!(check(text, &[]).unwrap_err(), reason, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z{}$:=().|\"'`/* -ü]{0,40}") {
            let _ = check(&text, &["lower"]);
        }
    }
}
