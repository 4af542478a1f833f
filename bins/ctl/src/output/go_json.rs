//! JSON as Go writes it: template values, and re-indenting of raw text.

use gotmpl::Value;

use crate::output::KeyOrder;

/// Writes a template value as JSON, HTML characters unescaped.
pub fn write_value(out: &mut String, value: &Value, order: &KeyOrder) {
    match value {
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Uint(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&serde_json::to_string(number).unwrap_or_default()),
        Value::String(text) => write_text(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item, order);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            let shown = map.iter().filter(|(_, value)| !value.is_function()).map(|(key, _)| &**key);
            for (index, key) in order.sort(shown).iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_value(out, map.get(key.as_str()).unwrap_or(&Value::Nil), order);
            }
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}

fn write_text(out: &mut String, text: &str) {
    let json = serde_json::to_string(text).unwrap_or_default();
    // Go escapes these two in every mode.
    out.push_str(&json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
}

/// Re-indents JSON text, everything else as it stands.
pub fn indent(json: &str, step: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut in_text = false;
    let mut escaped = false;
    let mut opened = false;
    for character in json.chars() {
        if in_text {
            out.push(character);
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        if character.is_ascii_whitespace() {
            continue;
        }
        if opened && !matches!(character, '}' | ']') {
            depth += 1;
            line(&mut out, step, depth);
        }
        match character {
            '{' | '[' => out.push(character),
            '}' | ']' => {
                if !opened {
                    depth = depth.saturating_sub(1);
                    line(&mut out, step, depth);
                }
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, step, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = character == '"';
                out.push(character);
            }
        }
        opened = matches!(character, '{' | '[');
    }
    out
}

fn line(out: &mut String, step: &str, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_json_keeps_its_order_and_escapes() {
        let text = "[{\"b\":[],\"a\":{\"x\":\"\\u003c{\\\"\"}, \"c\":[1, 2]}]";
        let expected = "[\n  {\n    \"b\": [],\n    \"a\": {\n      \"x\": \"\\u003c{\\\"\"\n    },\n    \"c\": [\n      1,\n      2\n    ]\n  }\n]";
        assert_eq!(indent(text, "  "), expected);
    }
}
