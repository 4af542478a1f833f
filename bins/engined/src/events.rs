//! What happens in the engine, told to everybody who asks: live, and the last few hundred again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use engine_api::event::{Actor, Event};
use prometheus::IntCounter;
use tokio::sync::broadcast;

use crate::filters::Filters;
use crate::time::Time;

/// How many past events can be replayed, as in Docker.
const KEPT: usize = 256;
/// How far a slow listener may fall behind before it misses events.
const BACKLOG: usize = 1024;

/// The engine's events.
pub struct Events {
    past: Mutex<VecDeque<Arc<Event>>>,
    live: broadcast::Sender<Arc<Event>>,
    told: IntCounter,
}

impl Events {
    /// None so far; all to come are counted.
    pub fn counted_by(told: IntCounter) -> Events {
        Events { past: Mutex::default(), live: broadcast::channel(BACKLOG).0, told }
    }

    /// Tells one event; `attributes` are what the object looks like, its labels and name.
    pub fn tell(&self, kind: &str, action: &str, id: &str, attributes: BTreeMap<String, String>) {
        let now = Time::now();
        let old_style = matches!(kind, "container" | "image");
        let event = Arc::new(Event {
            status: if old_style { action.to_owned() } else { String::new() },
            id: if old_style { id.to_owned() } else { String::new() },
            from: if kind == "container" {
                attributes.get("image").cloned().unwrap_or_default()
            } else {
                String::new()
            },
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor { id: id.to_owned(), attributes },
            scope: "local".to_owned(),
            time: now.seconds(),
            time_nano: now.0,
        });
        let mut past = self.past.lock().expect("no panic while held");
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        self.told.inc();
        // An error means that nobody listens.
        let _ = self.live.send(event);
    }

    /// Past events and the live ones that follow them, without a gap or a repetition.
    pub fn listen(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past.lock().expect("no panic while held");
        (past.iter().cloned().collect(), self.live.subscribe())
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }
}

/// The filters of `GET /events`.
pub const FILTERS: [&str; 15] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
    "action",
];

/// Those of them whose values are names or identifiers, or the beginnings of such.
const OBJECTS: [&str; 9] =
    ["container", "network", "volume", "daemon", "plugin", "node", "service", "secret", "config"];

/// Whether an event passes.
pub fn matches(filters: &Filters, event: &Event) -> bool {
    let attributes = &event.actor.attributes;
    let is_object = |kind: &str| {
        filters.values(kind).is_none_or(|wanted| {
            event.kind == kind
                && wanted.iter().any(|name| {
                    event.actor.id.starts_with(name.as_str())
                        || attributes.get("name").is_some_and(|own| own.starts_with(name.as_str()))
                })
        })
    };
    let image = filters.values("image").is_none_or(|wanted| {
        let image = attributes.get("image").map_or("", String::as_str);
        let bare = |name: &str| name.rsplit_once(':').map_or(name, |(bare, _)| bare).to_owned();
        wanted.iter().any(|name| {
            event.actor.id == *name
                || image == name
                || bare(image) == *name
                || attributes
                    .get("name")
                    .is_some_and(|own| event.kind == "image" && (own == name || bare(own) == *name))
        })
    });
    let action = event.action.split(':').next().unwrap_or_default();
    filters.accepts("event", |wanted| wanted == event.action || wanted == action)
        && filters.accepts("type", |wanted| wanted == event.kind)
        && filters.accepts("scope", |wanted| wanted == event.scope)
        && filters.labels("label", attributes)
        && image
        && OBJECTS.iter().all(|kind| is_object(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_replayed_and_filtered() {
        let events = Events::counted_by(IntCounter::new("told", "events").unwrap());
        let attributes =
            BTreeMap::from([("name".to_owned(), "web".to_owned()), ("image".to_owned(), "bb:1".to_owned())]);
        events.tell("container", "exec_create: ls", "abc", attributes);
        let (past, _) = events.listen();
        let passes = |json: &str| matches(&Filters::parse(json, &FILTERS).unwrap(), &past[0]);
        assert!(passes(r#"{"event":["exec_create"],"container":["web"],"image":["bb"]}"#));
        assert!(passes("{}"));
        assert!(!passes(r#"{"type":["image"]}"#));
        assert!(passes(r#"{"container":["we"]}"#) && !passes(r#"{"container":["eb"]}"#));
        assert!(!passes(r#"{"volume":["web"]}"#) && !passes(r#"{"plugin":["web"]}"#));
    }
}
