//! What the engine counts, in Prometheus' words and under dockerd's names (`--metrics-addr`).

mod serve;

use std::time::Instant;

use errdefs::{Error, Result};
use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, Opts, Registry, TextEncoder,
};

use crate::containers::Phase;
use crate::engine::Engine;

pub use serve::{Listener, serve};

/// What is done to containers and timed.
#[derive(Clone, Copy)]
pub enum Action {
    Changes,
    Commit,
    Create,
    Delete,
    Start,
}

impl Action {
    const ALL: [Action; 5] = [Action::Changes, Action::Commit, Action::Create, Action::Delete, Action::Start];

    fn word(self) -> &'static str {
        match self {
            Action::Changes => "changes",
            Action::Commit => "commit",
            Action::Create => "create",
            Action::Delete => "delete",
            Action::Start => "start",
        }
    }
}

/// Containers that run, are frozen, or rest, as dockerd calls them.
const STATES: [&str; 3] = ["paused", "running", "stopped"];

/// The engine's counters.
pub struct Metrics {
    registry: Registry,
    actions: HistogramVec,
    networks: HistogramVec,
    states: GaugeVec,
    listeners: Gauge,
    /// Events that were told.
    pub events: IntCounter,
    /// Health checks that ran, and those of them that failed.
    pub health_checks: IntCounter,
    pub health_checks_failed: IntCounter,
}

impl Metrics {
    /// All of them at zero.
    ///
    /// # Errors
    /// A name is no name, or is taken: a fault of ours.
    pub fn new() -> Result<Metrics> {
        Metrics::made().map_err(|cause| Error::internal("cannot make metrics").with_source(cause))
    }

    fn made() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let timer = |name: &str, help: &str| {
            let made =
                HistogramVec::new(HistogramOpts::new(format!("engine_daemon_{name}"), help), &["action"])?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(format!("engine_daemon_{name}"), help)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauge = |name: &str, help: &str| {
            let made = Gauge::new(format!("engine_daemon_{name}"), help)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let actions = timer(
            "container_actions_seconds",
            "The number of seconds it takes to process each container action",
        )?;
        // Shown before they happen.
        Action::ALL.into_iter().for_each(|action| drop(actions.with_label_values(&[action.word()])));
        let networks = timer(
            "network_actions_seconds",
            "The number of seconds it takes to process each network action",
        )?;
        let states = GaugeVec::new(
            Opts::new(
                "engine_daemon_container_states_containers",
                "The count of containers in various states",
            ),
            &["state"],
        )?;
        registry.register(Box::new(states.clone()))?;
        let cpus = std::thread::available_parallelism().map_or(1, |count| count.get());
        gauge("engine_cpus_cpus", "The number of cpus that the host system of the engine has")?
            .set(cpus as f64);
        let memory = crate::system::info::memory_bytes();
        gauge("engine_memory_bytes", "The number of bytes of memory that the host system of the engine has")?
            .set(memory as f64);
        Ok(Metrics {
            actions,
            networks,
            states,
            listeners: gauge("events_subscribers_total", "The number of current subscribers to events")?,
            events: counter("events_total", "The number of events logged")?,
            health_checks: counter("health_checks_total", "The total number of health checks")?,
            health_checks_failed: counter(
                "health_checks_failed_total",
                "The total number of failed health checks",
            )?,
            registry,
        })
    }

    /// Something was done to a container that was begun at a time.
    pub fn did(&self, action: Action, begun: Instant) {
        self.actions.with_label_values(&[action.word()]).observe(begun.elapsed().as_secs_f64());
    }

    /// A container was given its networks (`allocate`, `connect`) or lost them (`release`).
    pub fn did_on_network(&self, action: &str, begun: Instant) {
        self.networks.with_label_values(&[action]).observe(begun.elapsed().as_secs_f64());
    }

    /// Tells whose numbers these are.
    ///
    /// # Errors
    /// A label is no label: a fault of ours.
    pub fn introduce(&self, engine: &Engine) -> Result<()> {
        let host = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let labels = [
            ("architecture", text(host.machine())),
            ("commit", env!("CARGO_PKG_VERSION").to_owned()),
            ("daemon_id", engine.id.clone()),
            ("graphdriver", engine.supervisor.snapshotter.clone()),
            ("kernel", text(host.release())),
            ("os", crate::system::info::os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned())),
            ("os_type", "linux".to_owned()),
            ("os_version", crate::system::info::os_release("VERSION_ID").unwrap_or_default()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let mut options = Opts::new(
            "engine_daemon_engine_info",
            "The information related to the engine and the OS it is running on",
        );
        options.const_labels = labels.map(|(name, value)| (name.to_owned(), value)).into();
        let made = Gauge::with_opts(options).and_then(|info| {
            info.set(1.0);
            self.registry.register(Box::new(info))
        });
        made.map_err(|cause| Error::internal("cannot make metrics").with_source(cause))
    }

    /// Everything as text, with the containers counted now.
    fn shown(&self, engine: &Engine) -> prometheus::Result<(String, Vec<u8>)> {
        let mut counts = [0u32; STATES.len()];
        for container in engine.containers.all().iter() {
            let place = match container.record().state.phase {
                Phase::Paused => 0,
                Phase::Running | Phase::Restarting => 1,
                _ => 2,
            };
            counts[place] += 1;
        }
        for (state, count) in STATES.into_iter().zip(counts) {
            self.states.with_label_values(&[state]).set(f64::from(count));
        }
        self.listeners.set(engine.events.listeners() as f64);
        let (encoder, mut text) = (TextEncoder::new(), Vec::new());
        encoder.encode(&self.registry.gather(), &mut text)?;
        Ok((encoder.format_type().to_owned(), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_dockers_name_from_the_start() {
        let metrics = Metrics::new().unwrap();
        metrics.did(Action::Start, Instant::now());
        metrics.health_checks.inc();
        let mut text = Vec::new();
        TextEncoder::new().encode(&metrics.registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "engine_daemon_container_actions_seconds_count{action=\"start\"} 1",
            "engine_daemon_container_actions_seconds_bucket{action=\"commit\",le=\"0.005\"} 0",
            "engine_daemon_health_checks_total 1",
            "engine_daemon_health_checks_failed_total 0",
            "# TYPE engine_daemon_engine_memory_bytes gauge",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
