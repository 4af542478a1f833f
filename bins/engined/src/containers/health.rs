//! Healthchecks: a command run in the container on a timer.

use std::sync::Arc;
use std::time::Duration;

use containerd_api::services::tasks::v1::KillRequest;
use engine_api::Words;
use engine_api::container::{Config, Health as Shown, HealthConfig, HealthProbe};
use engine_api::exec::ExecCreate;
use errdefs::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::{Container, Phase};
use crate::api::hijack::Stream;
use crate::engine::Engine;
use crate::exec::{self, Client};
use crate::time::Time;

const DEFAULT_PERIOD: Duration = Duration::from_secs(30);
const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_RETRIES: i64 = 3;
/// A killed check is gone at once, unless the kernel holds it.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Shorter times are refused, as Docker does.
const SHORTEST_NANOS: i64 = 1_000_000;
/// What is kept of a probe's output, and how many probes.
const OUTPUT_LIMIT_BYTES: usize = 4096;
const PROBES_KEPT: usize = 5;

/// How a container that checks itself is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl Status {
    /// Docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// What is known of a container's health.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    pub status: Status,
    pub failing_streak: i64,
    pub log: Vec<Probe>,
}

/// One check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    pub start: Time,
    pub end: Time,
    pub exit_code: i64,
    pub output: String,
}

impl Health {
    /// Docker's form.
    pub fn shown(&self) -> Shown {
        let probe = |probe: &Probe| HealthProbe {
            start: probe.start.rfc3339(),
            end: probe.end.rfc3339(),
            exit_code: probe.exit_code,
            output: probe.output.clone(),
        };
        Shown {
            status: self.status.word().into(),
            failing_streak: self.failing_streak,
            log: Some(self.log.iter().map(probe).collect()),
        }
    }

    /// Takes a probe in. Failures do not count while the container may still be starting.
    fn take(&mut self, probe: Probe, retries: i64, is_start_period: bool) {
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = Status::Healthy;
        } else if !(is_start_period && self.status == Status::Starting) {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push(probe);
        let extra = self.log.len().saturating_sub(PROBES_KEPT);
        self.log.drain(..extra);
    }
}

/// Checks what a person asked for, and completes it from the image's.
///
/// # Errors
/// A time or count makes no sense, or the test is malformed.
pub fn complete(config: &mut Config, from: &Config) -> Result<()> {
    if let (Some(check), Some(image)) = (&mut config.healthcheck, &from.healthcheck) {
        if check.test.is_empty() {
            check.test.clone_from(&image.test);
        }
        for (own, images) in [
            (&mut check.interval, image.interval),
            (&mut check.timeout, image.timeout),
            (&mut check.start_period, image.start_period),
            (&mut check.start_interval, image.start_interval),
            (&mut check.retries, image.retries),
        ] {
            if *own == 0 {
                *own = images;
            }
        }
    } else if config.healthcheck.is_none() {
        config.healthcheck.clone_from(&from.healthcheck);
    }
    let Some(check) = &config.healthcheck else { return Ok(()) };
    for (name, nanos) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ] {
        if nanos != 0 && nanos < SHORTEST_NANOS {
            return Err(Error::invalid_argument(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if check.retries < 0 {
        return Err(Error::invalid_argument("Retries in Healthcheck cannot be negative"));
    }
    match check.test.first().map(String::as_str) {
        None | Some("" | "NONE" | "CMD" | "CMD-SHELL") => Ok(()),
        Some(other) => Err(Error::invalid_argument(format!("Unknown healthcheck type '{other}' in test"))),
    }
}

/// The words of a container's check; none when it has none.
fn command(config: &Config) -> Option<(&HealthConfig, Vec<String>)> {
    let check = config.healthcheck.as_ref()?;
    let (kind, words) = check.test.split_first()?;
    let words = match (kind.as_str(), words) {
        ("CMD", [_, ..]) => words.to_vec(),
        ("CMD-SHELL", [line, ..]) => {
            let shell = config.shell.as_ref().filter(|shell| !shell.is_empty());
            let mut all =
                shell.map_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()], |shell| shell.0.clone());
            all.push(line.clone());
            all
        }
        _ => return None,
    };
    Some((check, words))
}

fn period(nanos: i64, default: Duration) -> Duration {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map_or(default, Duration::from_nanos)
}

/// A new run: what was known of the last one is forgotten.
pub fn begin(engine: &Arc<Engine>, container: &Arc<Container>) {
    if command(&container.record().config).is_none() {
        return;
    }
    container.update(|record| record.state.health = Some(Health::default()));
    follow(engine, container);
}

/// Checks a running container from now on, if it wants that and nobody does.
pub fn follow(engine: &Arc<Engine>, container: &Arc<Container>) {
    if command(&container.record().config).is_none() {
        return;
    }
    let (stop, stopped) = oneshot::channel();
    let mut live = container.live();
    if live.health.as_ref().is_some_and(|stop| !stop.is_closed()) {
        return;
    }
    live.health = Some(stop);
    let (engine, container) = (engine.clone(), container.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = check_for_ever(&engine, &container) => {}
            _ = stopped => {}
        }
    });
}

/// The container has ended.
pub fn end(container: &Container) {
    let stop = container.live().health.take();
    if stop.is_some() {
        container.update(|record| {
            if let Some(health) = &mut record.state.health {
                health.status = Status::Unhealthy;
            }
        });
    }
}

async fn check_for_ever(engine: &Arc<Engine>, container: &Arc<Container>) {
    loop {
        let record = container.record();
        let Some((check, words)) = command(&record.config) else { return };
        let started = record.state.started.0;
        let is_starting = || {
            let ran = Duration::from_nanos((Time::now().0 - started).max(0).unsigned_abs());
            ran < period(check.start_period, Duration::ZERO)
        };
        let status = record.state.health.as_ref().map(|health| health.status).unwrap_or_default();
        let pause = if is_starting() && status == Status::Starting {
            period(check.start_interval, DEFAULT_START_INTERVAL)
        } else {
            period(check.interval, DEFAULT_PERIOD)
        };
        tokio::time::sleep(pause).await;
        if container.record().state.phase != Phase::Running {
            continue;
        }
        let counts_not = is_starting();
        let probe = probe(engine, container, &words, period(check.timeout, DEFAULT_PERIOD)).await;
        if container.record().state.phase != Phase::Running {
            continue;
        }
        let retries = if check.retries == 0 { DEFAULT_RETRIES } else { check.retries };
        container.update(|record| {
            record.state.health.get_or_insert_default().take(probe, retries, counts_not);
        });
        let now = container.record().state.health.as_ref().map(|health| health.status);
        if let Some(now) = now.filter(|now| *now != status) {
            engine.tell_container(&format!("health_status: {}", now.word()), container, &[]);
        }
    }
}

/// Runs the check once.
async fn probe(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    words: &[String],
    patience: Duration,
) -> Probe {
    let start = Time::now();
    engine.metrics.health_checks.inc();
    let (exit_code, output) = match run(engine, container, words, patience).await {
        Ok(ended) => ended,
        Err(error) => (-1, error.chain()),
    };
    if exit_code != 0 {
        engine.metrics.health_checks_failed.inc();
    }
    Probe { start, end: Time::now(), exit_code, output }
}

async fn run(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    words: &[String],
    patience: Duration,
) -> Result<(i64, String)> {
    let wish = ExecCreate {
        attach_stdout: true,
        attach_stderr: true,
        cmd: Some(Words(words.to_vec())),
        ..ExecCreate::default()
    };
    let created = exec::create(engine, container, wish).await?;
    let process = engine.execs.find(&created.id)?;
    let (ours, theirs) =
        UnixStream::pair().map_err(|cause| Error::internal("cannot make a socket").with_source(cause))?;
    let serving = tokio::spawn({
        let (engine, process) = (engine.clone(), process.clone());
        async move {
            let stream = Stream::new(theirs, bytes::Bytes::new());
            exec::start(&engine, &process, Client::Attached { stream, is_framed: true }, None).await
        }
    });
    let ended = tokio::time::timeout(patience, async {
        let output = read_output(ours).await;
        let mut state = process.state.subscribe();
        let code =
            state.wait_for(|state| state.exit_code.is_some()).await.ok().and_then(|state| state.exit_code);
        (code.unwrap_or(-1), output)
    })
    .await;
    if ended.is_err() {
        let request = KillRequest {
            container_id: container.id.clone(),
            exec_id: process.id.clone(),
            signal: 9,
            all: true,
        };
        let _ = engine.supervisor.tasks().kill(request).await;
        serving.abort();
        // Its exit event cleans up what the supervisor has of it.
        let mut state = process.state.subscribe();
        let _ = tokio::time::timeout(KILL_PATIENCE, state.wait_for(|state| state.exit_code.is_some())).await;
    }
    engine.execs.forget(&process);
    Ok(ended.unwrap_or_else(|_| (-1, format!("Health check exceeded timeout ({patience:?})"))))
}

/// The beginning of what the check printed, read to its end.
async fn read_output(mut stream: UnixStream) -> String {
    let mut output = Vec::new();
    let mut header = [0; super::stdio::HEADER_BYTES];
    while stream.read_exact(&mut header).await.is_ok() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            break;
        }
        let room = OUTPUT_LIMIT_BYTES.saturating_sub(output.len());
        output.extend_from_slice(&payload[..length.min(room)]);
    }
    String::from_utf8_lossy(&output).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(exit_code: i64) -> Probe {
        Probe { exit_code, ..Probe::default() }
    }

    #[test]
    fn failures_count_after_the_start() {
        let mut health = Health::default();
        health.take(probe(1), 2, true);
        assert_eq!((health.status, health.failing_streak), (Status::Starting, 0));
        health.take(probe(0), 2, true);
        assert_eq!(health.status, Status::Healthy);
        health.take(probe(1), 2, true);
        assert_eq!((health.status, health.failing_streak), (Status::Healthy, 1), "it has been well before");
        health.take(probe(1), 2, false);
        assert_eq!(health.status, Status::Unhealthy);
        health.take(probe(0), 2, false);
        assert_eq!((health.status, health.failing_streak, health.log.len()), (Status::Healthy, 0, 5));
    }

    #[test]
    fn silence_means_the_images_check() {
        let check = |test: &[&str], interval| HealthConfig {
            test: test.iter().map(|word| (*word).to_owned()).collect(),
            interval,
            ..HealthConfig::default()
        };
        let image =
            Config { healthcheck: Some(check(&["CMD-SHELL", "true"], 5_000_000)), ..Config::default() };
        let mut own = Config { healthcheck: Some(check(&[], 7_000_000)), ..Config::default() };
        complete(&mut own, &image).unwrap();
        assert_eq!(own.healthcheck, Some(check(&["CMD-SHELL", "true"], 7_000_000)));
        assert_eq!(command(&own).unwrap().1, ["/bin/sh", "-c", "true"]);
        let mut none = Config { healthcheck: Some(check(&["NONE"], 0)), ..Config::default() };
        complete(&mut none, &image).unwrap();
        assert!(command(&none).is_none());
        for bad in [check(&["MAYBE"], 0), check(&[], 5)] {
            let mut bad = Config { healthcheck: Some(bad), ..Config::default() };
            assert!(complete(&mut bad, &Config::default()).is_err());
        }
    }
}
