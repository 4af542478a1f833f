//! Rows of named columns, and the `--format` that shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{TemplateError, Value};

use super::functions::{counted, text};
use super::{Fault, Template, missing_field};
use crate::output::align;

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

/// The value of the label that the argument names.
pub fn label(labels: &BTreeMap<String, String>, args: &[Value]) -> Result<Value, TemplateError> {
    counted("Label", args, 1)?;
    let name = args[0].to_string();
    Ok(text(labels.get(&name).map_or("", String::as_str)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Failure;

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
