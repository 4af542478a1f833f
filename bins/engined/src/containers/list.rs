//! Rows of all containers, filtered.

use std::sync::Arc;

use engine_api::container::{HealthSummary, Summary, SummaryHostConfig, SummaryNetworks};
use errdefs::{Error, Result};

use super::health::Status;
use super::{Container, Phase, Record, Source};
use crate::engine::Engine;
use crate::filters::{Filters, Patterns};
use crate::time::Time;

/// The filters of a list.
pub const FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
    "label!",
];

/// Which rows.
#[derive(Default)]
pub struct Wish {
    pub all: bool,
    /// The newest so many, running or not.
    pub limit: Option<usize>,
    pub with_size: bool,
    pub filters: Filters,
}

/// `GET /containers/json`, newest first.
///
/// # Errors
/// A filter's value is malformed or names what is not there.
pub async fn list(engine: &Arc<Engine>, wish: Wish) -> Result<Vec<Summary>> {
    let mut all: Vec<(Arc<Container>, Arc<Record>)> = engine
        .containers
        .all()
        .into_iter()
        .map(|container| {
            let record = container.record();
            (container, record)
        })
        .collect();
    all.sort_by_key(|(_, record)| std::cmp::Reverse(record.created));
    let test = Test::of(engine, &wish).await?;
    let mut rows = Vec::new();
    for (container, record) in all.iter().filter(|(_, record)| test.passes(&wish, record)) {
        if wish.limit.is_some_and(|limit| rows.len() >= limit) {
            break;
        }
        let mut row = summary(engine, record);
        row.names.extend(names_by_links(&all, &record.id));
        if wish.with_size
            && let Ok((own, whole)) = super::inspect::size(engine, container).await
        {
            row.size_rw = own;
            row.size_root_fs = whole;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What containers that are linked to this one call it: `/PARENT/ALIAS`.
fn names_by_links<'a>(
    all: &'a [(Arc<Container>, Arc<Record>)],
    id: &'a str,
) -> impl Iterator<Item = String> + 'a {
    all.iter().flat_map(move |(_, parent)| {
        let links = parent.links.iter().filter(move |link| link.id == id);
        links.map(|link| format!("/{}/{}", parent.name, link.alias))
    })
}

/// Filters whose values have been looked up.
struct Test {
    before: Option<Time>,
    since: Option<Time>,
    /// Config digests of the wanted images.
    ancestors: Option<Vec<String>>,
    exited: Option<Vec<i64>>,
    /// Names of the wanted networks.
    networks: Option<Vec<String>>,
    ids: Option<Patterns>,
    names: Option<Patterns>,
    is_any_phase: bool,
}

impl Test {
    async fn of(engine: &Arc<Engine>, wish: &Wish) -> Result<Test> {
        let filters = &wish.filters;
        let created = |name: &str| -> Result<Option<Time>> {
            let Some([typed, ..]) = filters.values(name) else { return Ok(None) };
            Ok(Some(engine.containers.find(typed)?.record().created))
        };
        let ancestors = match filters.values("ancestor") {
            None => None,
            Some(names) => {
                let mut ids = Vec::new();
                for name in names {
                    // An image that is not there is nobody's.
                    ids.extend(engine.images.find(engine, name).await.map(|image| image.id.clone()));
                }
                Some(ids)
            }
        };
        let code = |text: &String| {
            text.parse().map_err(|_| Error::invalid_argument(format!("invalid filter 'exited={text}'")))
        };
        let exited = filters
            .values("exited")
            .map(|values| values.iter().map(code).collect::<Result<_>>())
            .transpose()?;
        const PHASES: [&str; 7] =
            ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
        for status in filters.values("status").unwrap_or_default() {
            if !PHASES.contains(&status.as_str()) {
                return Err(Error::invalid_argument(format!("invalid filter 'status={status}'")));
            }
        }
        for health in filters.values("health").unwrap_or_default() {
            if !["starting", "healthy", "unhealthy", "none"].contains(&health.as_str()) {
                return Err(Error::invalid_argument(format!(
                    "unrecognised filter value for health: {health}"
                )));
            }
        }
        Ok(Test {
            ids: filters.patterns("id"),
            names: filters.patterns("name"),
            before: created("before")?,
            since: created("since")?,
            is_any_phase: wish.all
                || wish.limit.is_some()
                || filters.values("status").is_some()
                || exited.is_some(),
            ancestors,
            exited,
            networks: filters.values("network").map(|typed| {
                let found = |typed: &String| {
                    engine.networks.table.find(typed).map_or_else(|_| typed.clone(), |(name, _)| name)
                };
                typed.iter().map(found).collect()
            }),
        })
    }

    fn passes(&self, wish: &Wish, record: &Record) -> bool {
        let filters = &wish.filters;
        let phase = record.state.phase;
        let is_running = matches!(phase, Phase::Running | Phase::Paused | Phase::Restarting);
        (self.is_any_phase || is_running)
            && self.before.is_none_or(|before| record.created < before)
            && self.since.is_none_or(|since| record.created > since)
            && self.ancestors.as_ref().is_none_or(|ids| ids.contains(&record.image_id))
            && self.exited.as_ref().is_none_or(|codes| {
                record.has_started && !is_running && codes.contains(&record.state.exit_code)
            })
            && filters.accepts("status", |word| word == phase.word())
            && self.ids.as_ref().is_none_or(|ids| ids.fit(&record.id))
            && self.names.as_ref().is_none_or(|names| fits_name(names, &record.name))
            && filters.labels("label", record.config.labels.as_ref().unwrap_or(&Default::default()))
            && filters.without_labels(record.config.labels.as_ref().unwrap_or(&Default::default()))
            && self
                .networks
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| record.networks.contains_key(name)))
            && filters.accepts("health", |wanted| {
                record.state.health.as_ref().map_or("none", |health| health.status.word()) == wanted
            })
            && filters.accepts("is-task", |truth| matches!(truth, "false" | "0"))
            && filters.accepts("isolation", |word| matches!(word, "" | "default"))
            && filters.accepts("volume", |wanted| uses_volume(record, wanted))
            && filters.accepts("publish", |port| {
                record.host_config.port_bindings.keys().any(|own| crate::networks::ports::covers(port, own))
            })
            && filters.accepts("expose", |port| {
                record.config.exposed_ports.keys().any(|own| crate::networks::ports::covers(port, own))
            })
    }
}

/// People ask for names with and without the slash in front of them.
fn fits_name(patterns: &Patterns, name: &str) -> bool {
    patterns.fit(name) || patterns.fit(&format!("/{name}"))
}

fn uses_volume(record: &Record, wanted: &str) -> bool {
    record.mounts.iter().any(|mount| {
        mount.destination == wanted
            || match &mount.source {
                Source::Volume { name, .. } => name == wanted,
                Source::Bind { path } => path == wanted,
                Source::Tmpfs { .. } | Source::Image { .. } => false,
            }
    })
}

/// A row.
pub fn summary(engine: &Engine, record: &Record) -> Summary {
    // Words with spaces are marked, as in Docker.
    let quoted =
        record.args.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() });
    let words: Vec<String> = std::iter::once(record.path.clone()).chain(quoted).collect();
    Summary {
        id: record.id.clone(),
        names: vec![format!("/{}", record.name)],
        image: record.config.image.clone(),
        image_id: record.image_id.clone(),
        image_manifest_descriptor: record.shown_manifest(),
        command: words.join(" "),
        created: record.created.seconds(),
        ports: crate::networks::ports::rows(record),
        labels: record.config.labels.clone().unwrap_or_default(),
        state: record.state.phase.word().into(),
        status: status(record, Time::now()),
        host_config: SummaryHostConfig {
            network_mode: record.host_config.network_mode.clone(),
            annotations: record.host_config.annotations.clone(),
        },
        network_settings: SummaryNetworks { networks: crate::networks::endpoints(engine, record) },
        health: record.state.health.as_ref().map(|health| HealthSummary {
            status: health.status.word().into(),
            failing_streak: health.failing_streak,
        }),
        mounts: record.mounts.iter().filter_map(|mount| super::inspect::mount_point(engine, mount)).collect(),
        ..Summary::default()
    }
}

/// `Up 3 minutes`, `Exited (0) 2 hours ago`, `Created`.
fn status(record: &Record, now: Time) -> String {
    let state = &record.state;
    let since = |then: Time| span((now.0 - then.0).max(0) / 1_000_000_000);
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Running => match state.health.as_ref().map(|health| health.status) {
            None => format!("Up {}", since(state.started)),
            Some(Status::Starting) => format!("Up {} (health: starting)", since(state.started)),
            Some(status) => format!("Up {} ({})", since(state.started), status.word()),
        },
        Phase::Paused => format!("Up {} (Paused)", since(state.started)),
        Phase::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished)),
        Phase::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
        Phase::Removing => "Removal In Progress".into(),
        Phase::Dead => "Dead".into(),
    }
}

/// A length of time in Docker's words.
fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        i64::MIN..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_dockers_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 20, "2 weeks"),
            (86_400 * 90, "3 months"),
            (86_400 * 800, "2 years"),
        ] {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn names_match_in_part_and_by_expressions() {
        let fits = |pattern: &str, name: &str| {
            let json = serde_json::json!({"name": [pattern]}).to_string();
            fits_name(&Filters::parse(&json, &["name"]).unwrap().patterns("name").unwrap(), name)
        };
        assert!(
            fits("eb", "web1") && fits("^/web1$", "web1") && fits("^web1$", "web1") && fits("w.b|x", "web1")
        );
        assert!(!fits("^eb", "web1") && !fits("web$", "web1"));
    }
}
