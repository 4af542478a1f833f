//! `--format`: Go templates with Docker's functions, over rows of named columns.

mod check;
mod functions;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{MissingKey, TemplateError, Value};

use crate::grammar::Failure;
use crate::output::{KeyOrder, align, write_value};
use functions::{pad, text, with_functions};

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
        let fail = |reason: String| {
            let fields: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            let failure = Failure::new(format!("template parsing error: {reason}"));
            if reason.contains("can't evaluate field") {
                failure.with_hint(format!("The fields are {}.", fields.join(", ")))
            } else {
                failure
            }
        };
        self.rendered(columns, rows).map_err(fail)
    }

    fn rendered(&self, columns: &[Column], rows: &[Row]) -> Result<String, String> {
        let mut out = String::new();
        let mut header: Row = columns.iter().map(|(name, title)| ((*name).into(), text(title))).collect();
        header.insert(
            "Label".into(),
            Value::Function(Arc::new(|args| Ok(args.first().cloned().unwrap_or(Value::Nil)))),
        );
        let header = Value::Map(Arc::new(header));
        if self.table {
            out.push_str(&Template::parse_header(&self.template)?.render(&header)?);
            out.push('\n');
        }
        let template = Template::parse_rows(&self.template)?;
        if rows.is_empty() && !self.table {
            // A field that is none is a mistake, even where there is nothing to show.
            if let Err(error) = template.execute(&header)
                && missing_field(&error).is_some()
            {
                return Err(template.located(&error));
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
    /// Over fields that are known, as opposed to a document's.
    typed: bool,
}

/// The field that an error says is none.
fn missing_field(error: &TemplateError) -> Option<String> {
    error.to_string().strip_prefix("map has no entry for key: ").map(str::to_owned)
}

impl Template {
    /// Parses, with Docker's functions, for a document.
    ///
    /// # Errors
    /// The text is no template; in Go's words.
    pub fn parse(text: &str, order: KeyOrder) -> Result<Self, String> {
        let template = base().func("json", move |args| {
            let mut out = String::new();
            write_value(&mut out, args.first().unwrap_or(&Value::Nil), &order);
            Ok(Value::String(out.into()))
        });
        Self::finish(with_functions(template), text, false)
    }

    /// Says that its data's fields are known: one that is none is told as such.
    #[must_use]
    pub fn typed(self) -> Self {
        Self { typed: true, ..self }
    }

    /// Parses for rows: a whole row as JSON has its HTML characters escaped, as Docker's has.
    fn parse_rows(text: &str) -> Result<Self, String> {
        let template = base().func("json", |args| {
            let mut out = String::new();
            let value = args.first().unwrap_or(&Value::Nil);
            write_value(&mut out, value, &KeyOrder::default());
            if matches!(value, Value::Map(_)) {
                out = out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            }
            Ok(Value::String(out.into()))
        });
        Self::finish(with_functions(template), text, true)
    }

    /// Parses for a table's heading: functions leave headings as they are.
    fn parse_header(text: &str) -> Result<Self, String> {
        let mut template = base();
        for name in ["json", "title", "lower", "upper", "truncate", "split", "join", "println"] {
            template = template.func(name, |args| {
                let heading = args.iter().find(|arg| matches!(arg, Value::String(_)));
                Ok(heading.cloned().unwrap_or(Value::Nil))
            });
        }
        Self::finish(template.func("pad", pad), text, true)
    }

    fn finish(template: gotmpl::Template, text: &str, typed: bool) -> Result<Self, String> {
        check::check(text, functions::NAMES).map_err(|reason| format!("template: :{reason}"))?;
        let parsed = template.parse(&call_methods(text));
        let template = parsed.map_err(|error| {
            let reason = error.to_string();
            // `1:6: unclosed action`: Go names the line only.
            let reason = reason.strip_prefix("template: ").unwrap_or(&reason);
            let (line, reason) = reason.split_once(':').unwrap_or(("1", reason));
            let column = reason.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
            format!("template: :{line}{}", &reason[column..])
        })?;
        Ok(Self { template, text: text.to_owned(), typed })
    }

    /// Executes.
    ///
    /// # Errors
    /// A field that is none, or a function that fails; in Go's words.
    pub fn render(&self, data: &Value) -> Result<String, String> {
        self.execute(data).map_err(|error| self.located(&error))
    }

    /// Executes; the error is the template's own.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn execute(&self, data: &Value) -> Result<String, TemplateError> {
        self.template.execute_to_string(data)
    }

    /// The chain of fields (`.State.Foo`) that an error says ends in none.
    pub fn missing_chain(&self, error: &TemplateError) -> Option<String> {
        missing_field(error).map(|field| place_of_field(&self.text, &field).2)
    }

    /// An error with the place in the template, as Go tells it.
    pub fn located(&self, error: &TemplateError) -> String {
        let (at, reason) = match missing_field(error) {
            Some(field) => {
                let reason = match self.typed {
                    true => format!("can't evaluate field {field}"),
                    false => format!("map has no entry for key {field:?}"),
                };
                (place_of_field(&self.text, &field), reason)
            }
            None => {
                let reason = error.to_string();
                let reason = reason.strip_prefix("execution error: ").unwrap_or(&reason);
                match place_of_call(&self.text, "index").filter(|_| reason.contains("index")) {
                    Some(place) => (place, format!("error calling index: {reason}")),
                    None => return format!("template: {reason}"),
                }
            }
        };
        let (line, column, found) = at;
        format!("template: :{line}:{column}: executing \"\" at <{found}>: {reason}")
    }
}

/// Line, column and whole chain (`.State.Foo`) of a field's first use. Go counts a chain's
/// column from its second field.
fn place_of_field(text: &str, field: &str) -> (usize, usize, String) {
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
fn place_of_call(text: &str, name: &str) -> Option<(usize, usize, String)> {
    let start = text.find(&format!("{name} "))?;
    let end = text[start..].find(['|', ')', '}']).map_or(text.len(), |end| start + end);
    let (line, column) = position(text, start);
    Some((line, column, text[start..end].trim_end().to_owned()))
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    (text[..at].matches('\n').count() + 1, at - line_start)
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

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("ID", "CONTAINER ID"), ("Names", "NAMES")];

    fn show(format: &str) -> Result<String, String> {
        let mut row = Row::new();
        cell(&mut row, "ID", "abc");
        cell(&mut row, "Names", "a,b");
        row.insert(
            "Label".into(),
            Value::Function(Arc::new(|args| Ok(text(&format!("<{}>", functions::as_text(args, 0)))))),
        );
        Format::parse(format, "table {{.ID}}\t{{.Names}}")
            .render(COLUMNS, &[row])
            .map_err(|failure| failure.message)
    }

    #[test]
    fn rows_in_every_form() {
        assert_eq!(show("{{.ID}}").unwrap(), "abc\n");
        assert_eq!(show("table {{.ID}}\\t{{.Names}}").unwrap(), "CONTAINER ID   NAMES\nabc            a,b\n");
        assert_eq!(show("table {{.ID | upper}}").unwrap(), "CONTAINER ID\nABC\n");
        assert_eq!(show("json").unwrap(), "{\"ID\":\"abc\",\"Names\":\"a,b\"}\n");
        assert_eq!(show("{{.Label \"x\"}}-{{upper .ID}}").unwrap(), "<x>-ABC\n");
        assert_eq!(
            show("{{join (split .Names \",\") \"/\"}}{{pad .ID 1 2}}{{truncate .ID 2}}").unwrap(),
            "a/b abc  ab\n"
        );
        assert_eq!(
            show("{{range $i, $n := split .Names \",\"}}{{$i}}={{$n}} {{end}}").unwrap(),
            "0=a 1=b \n"
        );
        assert_eq!(show("{{if eq .ID \"abc\"}}yes{{else}}no{{end}}").unwrap(), "yes\n");
        assert!(
            show("{{.ID}} {{.Foo}}")
                .unwrap_err()
                .ends_with(":1:10: executing \"\" at <.Foo>: can't evaluate field Foo")
        );
        assert!(
            show("{{.Foo}}")
                .unwrap_err()
                .starts_with("template parsing error: template: :1:2: executing \"\" at <.Foo>")
        );
        assert_eq!(show("{{.ID").unwrap_err(), "template parsing error: template: :1: unclosed action");
        let index = "{{index (split .ID \"b\") 9}}";
        assert!(show(index).unwrap_err().ends_with("index out of range: 9"));
    }
}
