//! What is told of a container with each line: its tag, and the labels and variables that a person chose.

use std::collections::BTreeMap;

use errdefs::{Error, Result};
use gotmpl::{Template, Value};
use regex_lite::Regex;

use crate::containers::Record;
use crate::engine::Engine;

type Options = BTreeMap<String, String>;

/// Tag of a container whose options name none.
const DEFAULT_TAG: &str = "{{.ID}}";

fn parse(text: &str) -> Result<Template> {
    Template::new("log-tag").parse(text).map_err(|cause| Error::invalid_argument(cause.to_string()))
}

fn pattern(options: &Options, key: &str) -> Result<Option<Regex>> {
    let Some(text) = options.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    Regex::new(text)
        .map(Some)
        .map_err(|cause| Error::invalid_argument(format!("error parsing {key}: {cause}")))
}

/// Checks what is read only when a container starts.
///
/// # Errors
/// A template or pattern is malformed.
pub fn check(options: &Options) -> Result<()> {
    parse(options.get("tag").map_or(DEFAULT_TAG, String::as_str))?;
    pattern(options, "labels-regex")?;
    pattern(options, "env-regex").map(drop)
}

/// The logger's pairs about a container.
///
/// # Errors
/// As [`check`], or the tag names what there is not.
pub fn of(engine: &Engine, record: &Record) -> Result<Vec<(String, String)>> {
    let options = &record.host_config.log_config.config;
    let extra = extra(record, options)?;
    let fields = [
        ("id", record.id.clone()),
        ("name", record.name.clone()),
        ("image-id", record.image_id.clone()),
        ("image-name", record.config.image.clone()),
        ("command", command(record)),
        ("created", record.created.rfc3339()),
        ("hostname", hostname()),
        ("tag", tag(engine, record, &extra)?),
    ];
    let mut pairs: Vec<(String, String)> =
        fields.into_iter().map(|(key, value)| (format!("about.{key}"), value)).collect();
    pairs.extend(extra.into_iter().map(|(key, value)| (format!("extra.{key}"), value)));
    Ok(pairs)
}

/// What stands with every entry of a log file: what was chosen, and the tag if one was asked for.
///
/// # Errors
/// As [`of`].
pub fn attributes(engine: &Engine, record: &Record) -> Result<BTreeMap<String, String>> {
    let options = &record.host_config.log_config.config;
    let mut all = extra(record, options)?;
    if options.contains_key("tag") {
        let tag = tag(engine, record, &all)?;
        all.insert("tag".to_owned(), tag);
    }
    Ok(all)
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn command(record: &Record) -> String {
    std::iter::once(&record.path).chain(&record.args).cloned().collect::<Vec<_>>().join(" ")
}

fn tag(engine: &Engine, record: &Record, extra: &BTreeMap<String, String>) -> Result<String> {
    let text = record.host_config.log_config.config.get("tag").map_or(DEFAULT_TAG, String::as_str);
    let image_id = record.image_id.trim_start_matches("sha256:");
    let word = |text: &str| Value::String(text.into());
    let labels = record.config.labels.clone().unwrap_or_default();
    let map = |all: &BTreeMap<String, String>| {
        Value::Map(std::sync::Arc::new(
            all.iter().map(|(key, value)| (key.as_str().into(), word(value))).collect(),
        ))
    };
    let data: BTreeMap<&str, Value> = BTreeMap::from([
        ("ID", word(crate::identity::short(&record.id))),
        ("FullID", word(&record.id)),
        ("Name", word(&record.name)),
        ("ContainerID", word(&record.id)),
        ("ContainerName", word(&format!("/{}", record.name))),
        ("ContainerImageID", word(&record.image_id)),
        ("ContainerImageName", word(&record.config.image)),
        ("ContainerLabels", map(&labels)),
        ("ImageID", word(crate::identity::short(image_id))),
        ("ImageFullID", word(&record.image_id)),
        ("ImageName", word(&record.config.image)),
        ("Command", word(&command(record))),
        ("Hostname", word(&hostname())),
        ("DaemonName", word("docker")),
        ("EngineID", word(&engine.id)),
        ("ExtraAttributes", map(extra)),
    ]);
    let data =
        Value::Map(std::sync::Arc::new(data.into_iter().map(|(key, value)| (key.into(), value)).collect()));
    let failed = |cause: gotmpl::TemplateError| Error::invalid_argument(cause.to_string());
    // A method with an argument that everybody leaves nil is a field here.
    let text = text.replace("(.ExtraAttributes nil)", ".ExtraAttributes");
    parse(&text)?.execute_to_string(&data).map_err(failed)
}

/// Labels and variables that were chosen by name or by pattern.
fn extra(record: &Record, options: &Options) -> Result<BTreeMap<String, String>> {
    let (labels_regex, env_regex) = (pattern(options, "labels-regex")?, pattern(options, "env-regex")?);
    let names = |key: &str| -> Vec<&str> {
        options.get(key).map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default()
    };
    let (labels, env) = (names("labels"), names("env"));
    let is_chosen = |names: &[&str], regex: &Option<Regex>, key: &str| {
        names.contains(&key) || regex.as_ref().is_some_and(|regex| regex.is_match(key))
    };
    let mut extra = BTreeMap::new();
    for (key, value) in record.config.labels.iter().flatten() {
        if is_chosen(&labels, &labels_regex, key) {
            extra.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in record.config.env.iter().flatten().filter_map(|variable| variable.split_once('=')) {
        if is_chosen(&env, &env_regex, key) {
            extra.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::container::Config;

    #[test]
    fn labels_and_variables_are_chosen() {
        let record = Record {
            config: Config {
                env: Some(["A=1", "B_X=2", "C=3"].map(String::from).into()),
                labels: Some([("a".into(), "x".into()), ("b".into(), "y".into())].into()),
                ..Config::default()
            },
            ..Record::default()
        };
        let options: Options = [("labels", "b"), ("env", "A"), ("env-regex", "^B_")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let chosen = extra(&record, &options).unwrap();
        assert_eq!(
            chosen.into_iter().collect::<Vec<_>>(),
            [
                ("A".to_owned(), "1".to_owned()),
                ("B_X".to_owned(), "2".to_owned()),
                ("b".to_owned(), "y".to_owned())
            ]
        );
    }

    #[test]
    fn broken_templates_and_patterns_are_named() {
        for (key, value) in [("tag", "{{.ID"), ("env-regex", "("), ("labels-regex", "[")] {
            let options: Options = [(key.to_owned(), value.to_owned())].into();
            assert!(check(&options).is_err(), "{key}={value}");
        }
    }
}
