//! `--format`: Go templates with Docker's functions, over rows of named columns.

mod check;
mod functions;
mod structs;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{MissingKey, TemplateError, Value};

use crate::grammar::Failure;
use crate::output::{KeyOrder, align, write_value};
use functions::{counted, pad, text, with_functions};

/// What a template shows for nothing.
const NO_VALUE: &str = "<no value>";
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

/// The method `Label` of a row: a label's value by its name.
pub fn labelled(row: &mut Row, labels: &BTreeMap<String, String>) {
    let labels = labels.clone();
    row.insert("Label".into(), Value::Function(Arc::new(move |args| label(&labels, args))));
}

fn label(labels: &BTreeMap<String, String>, args: &[Value]) -> Result<Value, TemplateError> {
    counted("Label", args, 1)?;
    let name = args[0].to_string();
    Ok(text(labels.get(&name).map_or("", String::as_str)))
}

/// What is wrong with a template, and when that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub is_of_syntax: bool,
    pub reason: String,
    hint: Option<String>,
}

impl Fault {
    /// The failure, in the words that come before the reason.
    pub fn worded(self, words: &str) -> Failure {
        Failure { hint: self.hint, ..Failure::new(format!("{words}: {}", self.reason)) }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        fault.worded("template parsing error")
    }
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
            Some(rest) => rest,
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
    pub fn render(&self, columns: &[Column], rows: &[Row]) -> Result<String, Fault> {
        let syntax = |reason| Fault { is_of_syntax: true, reason, hint: None };
        let template = Template::parse_rows(&self.template).map_err(syntax)?;
        let heading =
            if self.table { Some(Template::parse_header(&self.template).map_err(syntax)?) } else { None };
        let fields: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        self.rendered(heading.as_ref(), &template, columns, rows).map_err(|reason| {
            let hint = reason.contains("can't evaluate field");
            let hint = hint.then(|| format!("The fields are {}.", fields.join(", ")));
            Fault { is_of_syntax: false, reason, hint }
        })
    }

    fn rendered(
        &self,
        heading: Option<&Template>,
        template: &Template,
        columns: &[Column],
        rows: &[Row],
    ) -> Result<String, String> {
        let mut out = String::new();
        let mut header: Row = columns.iter().map(|(name, title)| ((*name).into(), text(title))).collect();
        header.insert(
            "Label".into(),
            Value::Function(Arc::new(|args| Ok(args.first().cloned().unwrap_or(Value::Nil)))),
        );
        let header = Value::Map(Arc::new(header));
        if let Some(heading) = heading {
            out.push_str(&heading.render(&header)?);
            out.push('\n');
        }
        if rows.is_empty() && !self.table {
            // A field that is none is a mistake, even where there is nothing to show.
            if let Err(error) = template.execute(&header)
                && missing_field(&error).is_some()
            {
                return Err(template.located(&error));
            }
        }
        for row in rows {
            // A method of Docker's that gives nothing is shown as such.
            out.push_str(&template.render(&Value::Map(Arc::new(row.clone())))?.replace(NO_VALUE, "<nil>"));
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
    /// The same with objects of Go's types printed as structs.
    with_structs: Option<gotmpl::Template>,
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
        let functions = |order: KeyOrder| {
            with_functions(base().func("json", move |args| {
                counted("json", args, 1)?;
                let mut out = String::new();
                write_value(&mut out, &args[0], &order);
                Ok(Value::String(out.into()))
            }))
        };
        let template = Self::finish(functions(order.clone()), text, false)?;
        let with_structs = functions(order).func(structs::PRINT, |args| {
            counted(structs::PRINT, args, 1)?;
            Ok(structs::printed(&args[0]))
        });
        let with_structs = with_structs.parse(&structs::printing(&call_methods(text))).ok();
        let with_structs = with_structs.filter(|_| structs::is_over_types(text));
        Ok(Self { with_structs, ..template })
    }

    /// Says that its data's fields are known: one that is none is told as such.
    #[must_use]
    pub fn typed(self) -> Self {
        Self { typed: true, ..self }
    }

    /// Parses for rows: a whole row as JSON has its HTML characters escaped, as Docker's has.
    fn parse_rows(text: &str) -> Result<Self, String> {
        let template = base().func("json", |args| {
            counted("json", args, 1)?;
            if args[0].is_function() {
                return label(&BTreeMap::new(), &[]);
            }
            let mut out = String::new();
            let value = &args[0];
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
        Ok(Self { template, text: text.to_owned(), typed, with_structs: None })
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
        let shown = self.template.execute_to_string(data)?;
        // An object was printed.
        let again = self.with_structs.as_ref().filter(|_| shown.contains("map["));
        Ok(again.and_then(|template| template.execute_to_string(data).ok()).unwrap_or(shown))
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
                let miscounted = reason.strip_prefix("wrong number of args for ");
                let miscounted = miscounted.and_then(|rest| rest.split_once(':')).map(|(name, _)| name);
                if let Some(name) = miscounted {
                    (place_of_word(&self.text, name), reason.to_owned())
                } else if let Some(place) =
                    place_of_call(&self.text, "index").filter(|_| reason.contains("index"))
                {
                    (place, format!("error calling index: {reason}"))
                } else {
                    return format!("template: {reason}");
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
    let end = start + end_of_operands(&text[start..]);
    let (line, column) = position(text, start);
    Some((line, column, text[start..end].trim_end().to_owned()))
}

/// Line, column and text of a function's or method's first use.
fn place_of_word(text: &str, name: &str) -> (usize, usize, String) {
    let shown = if text.contains(&format!(".{name}")) { format!(".{name}") } else { name.to_owned() };
    let (line, column) = position(text, text.find(&shown).unwrap_or(0));
    (line, column, shown)
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    (text[..at].matches('\n').count() + 1, at - line_start)
}

fn base() -> gotmpl::Template {
    gotmpl::Template::new("").missing_key(MissingKey::Error)
}

/// `.Label "x"` is a method with arguments, which a map's field is only by `call`.
fn call_methods(text: &str) -> String {
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
fn end_of_operands(text: &str) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("ID", "CONTAINER ID"), ("Names", "NAMES")];

    fn show(format: &str) -> Result<String, String> {
        let mut row = Row::new();
        cell(&mut row, "ID", "abc");
        cell(&mut row, "Names", "a,b");
        labelled(&mut row, &BTreeMap::from([("x".to_owned(), "<x>".to_owned())]));
        Format::parse(format, "table {{.ID}}\t{{.Names}}")
            .render(COLUMNS, &[row])
            .map_err(|fault| Failure::from(fault).message)
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
        assert_eq!(show("{{.Label \"x\" | upper}}|{{.Label `y`}}|{{.Label .ID}}").unwrap(), "<X>||\n");
        assert_eq!(show("{{range split .ID \"\"}}[{{.}}]{{end}}").unwrap(), "[a][b][c]\n");
        for (wrong, reason) in [
            ("{{.Label}}", "1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0"),
            ("{{split .ID}}", "1:2: executing \"\" at <split>: wrong number of args for split: want 2 got 1"),
            ("{{truncate .ID \"x\"}}", "expected integer; found \"x\""),
            ("{{upper 1}}", "expected string; found 1"),
            ("{{if}}{{end}}", "1: missing value for if"),
        ] {
            let told = show(wrong).unwrap_err();
            assert!(told.ends_with(reason), "{wrong}: {told}");
        }
        let index = "{{index (split .ID \"b\") 9}}";
        assert!(show(index).unwrap_err().ends_with("index out of range: 9"));
    }
}
