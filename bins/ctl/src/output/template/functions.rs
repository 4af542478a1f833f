//! The functions that Docker adds to Go's, and those of Go's that must fail in Go's words.

use gotmpl::{TemplateError, Value};

/// Names of the functions added.
pub const NAMES: &[&str] = &["json", "lower", "upper", "title", "split", "join", "pad", "truncate"];

/// A template with all functions but `json`.
pub fn with_functions(template: gotmpl::Template) -> gotmpl::Template {
    template
        .func("lower", |args| Ok(text(&strings::<1>("lower", args)?[0].to_lowercase())))
        .func("upper", |args| Ok(text(&strings::<1>("upper", args)?[0].to_uppercase())))
        .func("title", |args| Ok(text(&title(strings::<1>("title", args)?[0]))))
        .func("split", |args| {
            let [content, mark] = strings("split", args)?;
            let parts: Vec<Value> = match mark {
                // Go splits by nothing into characters.
                "" => content.chars().map(|c| text(&c.to_string())).collect(),
                mark => content.split(mark).map(text).collect(),
            };
            Ok(Value::List(parts.into()))
        })
        .func("join", |args| {
            counted("join", args, 2)?;
            let items = match args.first() {
                Some(Value::List(items)) => items,
                Some(Value::Nil) => return Ok(text("")),
                _ => {
                    return Err(TemplateError::Exec(
                        "error calling join: the first argument is no list".to_owned(),
                    ));
                }
            };
            let parts: Vec<String> = items.iter().map(ToString::to_string).collect();
            Ok(text(&parts.join(&as_text(args, 1))))
        })
        .func("pad", pad)
        .func("index", index)
        .func("truncate", |args| {
            counted("truncate", args, 2)?;
            let [content] = strings("truncate", &args[..1])?;
            Ok(text(&content.chars().take(whole(&args[1])?).collect::<String>()))
        })
}

/// Refuses another number of arguments.
pub fn counted(name: &str, args: &[Value], want: usize) -> Result<(), TemplateError> {
    if args.len() == want {
        return Ok(());
    }
    Err(TemplateError::Exec(format!("wrong number of args for {name}: want {want} got {}", args.len())))
}

/// So many arguments, each a text.
fn strings<'a, const N: usize>(name: &str, args: &'a [Value]) -> Result<[&'a str; N], TemplateError> {
    counted(name, args, N)?;
    let mut found = [""; N];
    for (slot, arg) in found.iter_mut().zip(args) {
        *slot = arg.as_str().ok_or_else(|| unlike("string", arg))?;
    }
    Ok(found)
}

/// A count; one below nothing is nothing.
fn whole(arg: &Value) -> Result<usize, TemplateError> {
    let number = arg.as_int().ok_or_else(|| unlike("integer", arg))?;
    Ok(usize::try_from(number).unwrap_or(0))
}

fn unlike(expected: &str, found: &Value) -> TemplateError {
    let shown = found.as_str().map_or_else(|| found.to_string(), |text| format!("{text:?}"));
    TemplateError::Exec(format!("expected {expected}; found {shown}"))
}

/// `pad TEXT BEFORE AFTER`; nothing for nothing.
pub fn pad(args: &[Value]) -> Result<Value, TemplateError> {
    counted("pad", args, 3)?;
    let [content] = strings("pad", &args[..1])?;
    let (before, after) = (" ".repeat(whole(&args[1])?), " ".repeat(whole(&args[2])?));
    Ok(text(&if content.is_empty() { String::new() } else { format!("{before}{content}{after}") }))
}

/// Go's `index`: a key that a map of strings lacks is the empty string.
fn index(args: &[Value]) -> Result<Value, TemplateError> {
    let (first, keys) =
        args.split_first().ok_or_else(|| TemplateError::Exec("missing argument for index".to_owned()))?;
    keys.iter().try_fold(first.clone(), |item, key| match (&item, key) {
        (Value::Map(map), Value::String(name)) => Ok(map.get(&**name).cloned().unwrap_or_else(|| {
            let strings = map.values().all(|value| matches!(value, Value::String(_)));
            if strings { text("") } else { Value::Nil }
        })),
        (Value::List(items), key) if !matches!(key, Value::String(_)) => {
            let at = key.as_int().unwrap_or(-1);
            // Go compares with the capacity first, which is 4 for the short lists of a JSON document.
            let capacity = if items.is_empty() { 0 } else { items.len().max(4) };
            let found = usize::try_from(at).ok().and_then(|at| items.get(at)).cloned();
            found.ok_or_else(|| {
                TemplateError::Exec(match usize::try_from(at) {
                    Ok(at) if at <= capacity => "reflect: slice index out of range".to_owned(),
                    _ => format!("index out of range: {at}"),
                })
            })
        }
        (Value::String(_) | Value::List(_), Value::String(_)) => {
            Err(TemplateError::Exec("cannot index slice/array with type string".to_owned()))
        }
        (Value::String(content), key) => {
            let at = key.as_int().unwrap_or(-1);
            let byte = usize::try_from(at).ok().and_then(|at| content.as_bytes().get(at).copied());
            byte.map(|byte| Value::Int(i64::from(byte)))
                .ok_or_else(|| TemplateError::Exec(format!("index out of range: {at}")))
        }
        (Value::Nil, _) => Err(TemplateError::Exec("index of untyped nil".to_owned())),
        (item, _) => item.index(key),
    })
}

/// A text as a value.
pub fn text(content: &str) -> Value {
    Value::String(content.into())
}

/// An argument as text.
pub fn as_text(args: &[Value], index: usize) -> String {
    args.get(index).map(ToString::to_string).unwrap_or_default()
}

fn title(content: &str) -> String {
    let mut start = true;
    content
        .chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = !c.is_alphanumeric() && c != '_' && c != '\'';
            shown
        })
        .collect()
}
