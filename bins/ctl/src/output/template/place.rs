//! Where in a template something stands: line and column as Go counts them, and its text.

use super::methods::end_of_operands;

/// Line, column and whole chain (`.State.Foo`) of a field's first use. Go counts a chain's
/// column from its second field.
pub fn field(text: &str, field: &str) -> (usize, usize, String) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let found = text
        .match_indices(&format!(".{field}"))
        .find(|(at, found)| !text[at + found.len()..].starts_with(is_word));
    let Some((at, _)) = found else { return (1, 0, format!(".{field}")) };
    let start = text[..at].rfind(|c: char| !is_word(c) && c != '.').map_or(0, |before| before + 1);
    let end =
        text[at + 1..].find(|c: char| !is_word(c) && c != '.').map_or(text.len(), |after| at + 1 + after);
    let chain = &text[start..end];
    let second = chain[1..].find('.').map_or(start, |next| start + 1 + next);
    let (line, column) = position(text, start);
    (line, column + second - start, chain.to_owned())
}

/// Line, column and text of a function's first call.
pub fn call(text: &str, name: &str) -> Option<(usize, usize, String)> {
    let start = text.find(&format!("{name} "))?;
    let end = start + end_of_operands(&text[start..]);
    let (line, column) = position(text, start);
    Some((line, column, text[start..end].trim_end().to_owned()))
}

/// Line, column and text of a function's or method's first use.
pub fn word(text: &str, name: &str) -> (usize, usize, String) {
    let shown = if text.contains(&format!(".{name}")) { format!(".{name}") } else { name.to_owned() };
    let (line, column) = position(text, text.find(&shown).unwrap_or(0));
    (line, column, shown)
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    (text[..at].matches('\n').count() + 1, at - line_start)
}
