//! Methods with arguments in a template.

/// `.Label "x"` is a method with arguments, which a map's field is only by `call`.
pub fn call_methods(text: &str) -> String {
    const METHOD: &str = ".Label";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(METHOD) {
        let after = &rest[at + METHOD.len()..];
        out.push_str(&rest[..at]);
        rest = after;
        if after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
            out.push_str(METHOD);
            continue;
        }
        let end = end_of_operands(after);
        out.push_str(&format!("(call {METHOD} {})", after[..end].trim()));
        rest = &after[end..];
        if after[..end].ends_with(char::is_whitespace) {
            out.push(' ');
        }
    }
    out.push_str(rest);
    out
}

/// Where the operands of a call end: at a pipe, or what closes the command.
pub fn end_of_operands(text: &str) -> usize {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, '|' | ')' | '}') if depth == 0 => return at,
            // `{{.Label "x" -}}`.
            (None, '-') if text[at..].starts_with("-}}") => return at,
            _ => {}
        }
    }
    text.len()
}
