//! `--format`: Go templates with Docker's functions, over rows of named columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{MissingKey, TemplateError, Value};

use crate::grammar::Failure;
use crate::output::{KeyOrder, align, write_value};

/// Narrowest column of a table.
const MIN_WIDTH: usize = 10;

/// A column: the field's name in templates and its heading in tables.
pub type Column = (&'static str, &'static str);

/// One row: a value for each field.
pub type Row = BTreeMap<Arc<str>, Value>;

/// A cell.
pub fn cell(row: &mut Row, name: &str, value: impl Into<String>) {
    row.insert(name.into(), Value::String(value.into().into()));
}

/// How rows are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    template: String,
    table: bool,
}

impl Format {
    /// A `--format` text; `table` alone is the default table.
    pub fn parse(text: &str, default_table: &str) -> Self {
        let template = match text.strip_prefix("table") {
            Some("") => default_table,
            Some(rest) if rest.starts_with([' ', '\\', '\t', '{']) => rest,
            _ if text.is_empty() => default_table,
            _ if text == "json" => "{{json .}}",
            _ => text,
        };
        let table = text.is_empty() || text.starts_with("table");
        let template = template.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
        Self { template, table }
    }

    /// Shows rows.
    ///
    /// # Errors
    /// The template does not parse or asks for a field that is none.
    pub fn render(&self, columns: &[Column], rows: &[Row]) -> Result<String, Failure> {
        let mut out = String::new();
        if self.table {
            let mut header: Row = columns.iter().map(|(name, title)| ((*name).into(), text(title))).collect();
            header.insert("Label".into(), Value::Function(Arc::new(|args| Ok(args.first().cloned().unwrap_or(Value::Nil)))));
            let template = Template::parse_header(&self.template)?;
            out.push_str(&template.render(&Value::Map(Arc::new(header)))?);
            out.push('\n');
        }
        let template = Template::parse_rows(&self.template)?;
        if rows.is_empty() && !self.table {
            // A field that is none is a mistake, even where there is nothing to show.
            let header: Row = columns.iter().map(|(name, title)| ((*name).into(), text(title))).collect();
            if let Err(error) = template.execute(&Value::Map(Arc::new(header)))
                && missing_field(&error).is_some()
            {
                return Err(template.failed(&error));
            }
        }
        for row in rows {
            out.push_str(&template.render(&Value::Map(Arc::new(row.clone())))?);
            out.push('\n');
        }
        Ok(if self.table { align(&out, MIN_WIDTH) } else { out })
    }
}

/// A parsed template.
pub struct Template {
    template: gotmpl::Template,
    text: String,
}

/// The field that an error says is none.
fn missing_field(error: &TemplateError) -> Option<String> {
    error.to_string().strip_prefix("map has no entry for key: ").map(str::to_owned)
}

impl Template {
    /// Parses, with Docker's functions.
    ///
    /// # Errors
    /// The text is no template.
    pub fn parse(text: &str, order: KeyOrder) -> Result<Self, Failure> {
        let template = base().func("json", move |args| {
            let mut out = String::new();
            write_value(&mut out, args.first().unwrap_or(&Value::Nil), &order);
            Ok(Value::String(out.into()))
        });
        Self::finish(with_functions(template), text)
    }

    /// Parses for rows: a whole row as JSON has its HTML characters escaped, as Docker's has.
    fn parse_rows(text: &str) -> Result<Self, Failure> {
        let template = base().func("json", |args| {
            let mut out = String::new();
            let value = args.first().unwrap_or(&Value::Nil);
            write_value(&mut out, value, &KeyOrder::default());
            if matches!(value, Value::Map(_)) {
                out = out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            }
            Ok(Value::String(out.into()))
        });
        Self::finish(with_functions(template), text)
    }

    /// Parses for a table's heading: functions leave headings as they are.
    fn parse_header(text: &str) -> Result<Self, Failure> {
        let mut template = base();
        for name in ["json", "title", "lower", "upper", "truncate", "split", "join", "println"] {
            template = template.func(name, |args| {
                let heading = args.iter().find(|arg| matches!(arg, Value::String(_)));
                Ok(heading.cloned().unwrap_or(Value::Nil))
            });
        }
        Self::finish(template.func("pad", pad), text)
    }

    fn finish(template: gotmpl::Template, text: &str) -> Result<Self, Failure> {
        let parsed = template.parse(&call_methods(text));
        let template = parsed.map_err(|error| {
            let reason = error.to_string();
            // `1:6: unclosed action`: Go names the line only.
            let reason = reason.strip_prefix("template: ").unwrap_or(&reason);
            let (line, reason) = reason.split_once(':').unwrap_or(("1", reason));
            let column = reason.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
            Failure::new(format!("failed to parse template: template: :{line}{}", &reason[column..]))
        })?;
        Ok(Self { template, text: text.to_owned() })
    }

    /// Executes.
    ///
    /// # Errors
    /// A field that is none, or a function that fails.
    pub fn render(&self, data: &Value) -> Result<String, Failure> {
        self.execute(data).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &TemplateError) -> Failure {
        Failure::new(format!("failed to execute template: {}", self.located(error)))
    }

    /// Executes; the error is the template's own.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn execute(&self, data: &Value) -> Result<String, TemplateError> {
        self.template.execute_to_string(data)
    }

    /// An error with the place in the template, as Go tells it.
    pub fn located(&self, error: &TemplateError) -> String {
        let Some(field) = missing_field(error) else { return format!("template: {error}") };
        let (line, column, chain) = place_of(&self.text, &field);
        format!("template: :{line}:{column}: executing \"\" at <{chain}>: map has no entry for key {field:?}")
    }
}

/// Line, column and whole chain (`.State.Foo`) of a field's first use. Go counts a chain's
/// column from its second field.
fn place_of(text: &str, field: &str) -> (usize, usize, String) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let found = text.match_indices(&format!(".{field}")).find(|(at, found)| !text[at + found.len()..].starts_with(is_word));
    let Some((at, _)) = found else { return (1, 0, format!(".{field}")) };
    let start = text[..at].rfind(|c: char| !is_word(c) && c != '.').map_or(0, |before| before + 1);
    let end = text[at + 1..].find(|c: char| !is_word(c) && c != '.').map_or(text.len(), |after| at + 1 + after);
    let chain = &text[start..end];
    let second = chain[1..].find('.').map_or(start, |next| start + 1 + next);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    (text[..start].matches('\n').count() + 1, second - line_start, chain.to_owned())
}

fn base() -> gotmpl::Template {
    gotmpl::Template::new("").missing_key(MissingKey::Error)
}

/// `.Label "x"` is a method with an argument, which a map's field is only by `call`.
fn call_methods(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(".Label ") {
        let after = rest[at + 7..].trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '`'));
        let end = quote.and_then(|quote| after[1..].find(quote).map(|end| end + 2));
        let Some(end) = end else {
            out.push_str(&rest[..at + 7]);
            rest = &rest[at + 7..];
            continue;
        };
        out.push_str(&rest[..at]);
        out.push_str(&format!("(call .Label {})", &after[..end]));
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

fn text(content: &str) -> Value {
    Value::String(content.into())
}

fn with_functions(template: gotmpl::Template) -> gotmpl::Template {
    template
        .func("lower", |args| Ok(text(&as_text(args, 0).to_lowercase())))
        .func("upper", |args| Ok(text(&as_text(args, 0).to_uppercase())))
        .func("title", |args| Ok(text(&title(&as_text(args, 0)))))
        .func("split", |args| {
            let parts: Vec<Value> = as_text(args, 0).split(&as_text(args, 1)).map(text).collect();
            Ok(Value::List(parts.into()))
        })
        .func("join", |args| {
            let items = match args.first() {
                Some(Value::List(items)) => items,
                Some(Value::Nil) => return Ok(text("")),
                _ => return Err(TemplateError::Exec("error calling join: the first argument is no list".to_owned())),
            };
            let parts: Vec<String> = items.iter().map(ToString::to_string).collect();
            Ok(text(&parts.join(&as_text(args, 1))))
        })
        .func("pad", pad)
        .func("truncate", |args| {
            let limit = args.get(1).and_then(Value::as_int).unwrap_or(0).max(0) as usize;
            Ok(text(&as_text(args, 0).chars().take(limit).collect::<String>()))
        })
}

fn pad(args: &[Value]) -> Result<Value, TemplateError> {
    let content = as_text(args, 0);
    if content.is_empty() {
        return Ok(text(""));
    }
    let spaces = |index: usize| " ".repeat(args.get(index).and_then(Value::as_int).unwrap_or(0).max(0) as usize);
    Ok(text(&format!("{}{content}{}", spaces(1), spaces(2))))
}

fn as_text(args: &[Value], index: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("ID", "CONTAINER ID"), ("Names", "NAMES")];

    fn show(format: &str) -> Result<String, String> {
        let mut row = Row::new();
        cell(&mut row, "ID", "abc");
        cell(&mut row, "Names", "a,b");
        row.insert("Label".into(), Value::Function(Arc::new(|args| Ok(text(&format!("<{}>", as_text(args, 0)))))));
        Format::parse(format, "table {{.ID}}\t{{.Names}}").render(COLUMNS, &[row]).map_err(|failure| failure.message)
    }

    #[test]
    fn rows_in_every_form() {
        assert_eq!(show("{{.ID}}").unwrap(), "abc\n");
        assert_eq!(show("table {{.ID}}\\t{{.Names}}").unwrap(), "CONTAINER ID   NAMES\nabc            a,b\n");
        assert_eq!(show("table {{.ID | upper}}").unwrap(), "CONTAINER ID\nABC\n");
        assert_eq!(show("json").unwrap(), "{\"ID\":\"abc\",\"Names\":\"a,b\"}\n");
        assert_eq!(show("{{.Label \"x\"}}-{{upper .ID}}").unwrap(), "<x>-ABC\n");
        assert_eq!(show("{{join (split .Names \",\") \"/\"}}{{pad .ID 1 2}}{{truncate .ID 2}}").unwrap(), "a/b abc  ab\n");
        assert_eq!(show("{{range $i, $n := split .Names \",\"}}{{$i}}={{$n}} {{end}}").unwrap(), "0=a 1=b \n");
        assert_eq!(show("{{if eq .ID \"abc\"}}yes{{else}}no{{end}}").unwrap(), "yes\n");
        assert!(show("{{.ID}} {{.Foo}}").unwrap_err().ends_with(":1:10: executing \"\" at <.Foo>: map has no entry for key \"Foo\""));
        assert!(show("{{.Foo}}").unwrap_err().starts_with("failed to execute template: template: :1:2: executing \"\" at <.Foo>"));
        assert!(show("{{.ID").unwrap_err().starts_with("failed to parse template: template: :1: unclosed action"));
    }
}
