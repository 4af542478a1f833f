//! `--format`: Go templates with Docker's functions, over rows of named columns.

mod check;
mod functions;
mod methods;
mod place;
mod rows;
mod structs;

use std::collections::BTreeMap;

use gotmpl::{MissingKey, TemplateError, Value};

use crate::grammar::Failure;
use crate::output::{KeyOrder, write_value};
use functions::{counted, pad, with_functions};
use methods::call_methods;
use rows::label;
pub use rows::{Column, Format, Row, cell, labelled};

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
        missing_field(error).map(|field| place::field(&self.text, &field).2)
    }

    /// An error with the place in the template, as Go tells it.
    pub fn located(&self, error: &TemplateError) -> String {
        let (at, reason) = match missing_field(error) {
            Some(field) => {
                let reason = match self.typed {
                    true => format!("can't evaluate field {field}"),
                    false => format!("map has no entry for key {field:?}"),
                };
                (place::field(&self.text, &field), reason)
            }
            None => {
                let reason = error.to_string();
                let reason = reason.strip_prefix("execution error: ").unwrap_or(&reason);
                let miscounted = reason.strip_prefix("wrong number of args for ");
                let miscounted = miscounted.and_then(|rest| rest.split_once(':')).map(|(name, _)| name);
                if let Some(name) = miscounted {
                    (place::word(&self.text, name), reason.to_owned())
                } else if let Some(place) =
                    place::call(&self.text, "index").filter(|_| reason.contains("index"))
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

fn base() -> gotmpl::Template {
    gotmpl::Template::new("").missing_key(MissingKey::Error)
}
