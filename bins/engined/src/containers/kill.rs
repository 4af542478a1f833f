//! Signals.

use std::sync::Arc;
use std::time::Duration;

use containerd_api::services::tasks::v1::{KillRequest, ResumeTaskRequest};
use errdefs::{Error, Result};

use super::{Container, Phase};
use crate::engine::Engine;
use crate::supervisor;

pub const SIGKILL: u32 = 9;
pub const SIGTERM: u32 = 15;
const SIGRTMIN: u32 = 34;
const SIGRTMAX: u32 = 64;

/// In order of their numbers, from 1 (signal(7), x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Reads `9`, `KILL`, `SIGKILL` or `SIGRTMIN+3`.
///
/// # Errors
/// It is none of them.
pub fn parse(text: &str) -> Result<u32> {
    let bad = || Error::invalid_argument(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<u32>() {
        return if (1..=SIGRTMAX).contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| {
        if rest.is_empty() { Some(0) } else { rest.strip_prefix(sign)?.parse::<u32>().ok() }
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest, '+').and_then(|by| SIGRTMIN.checked_add(by)),
        (_, Some(rest)) => offset(rest, '-').and_then(|by| SIGRTMAX.checked_sub(by)),
        _ => match name {
            "IOT" => Some(6),
            "CLD" => Some(17),
            "POLL" => Some(29),
            _ => NAMES.iter().position(|known| *known == name).map(|at| at as u32 + 1),
        },
    };
    number.filter(|number| (1..=SIGRTMAX).contains(number)).ok_or_else(bad)
}

/// How long a kill waits for the end that it asks for; who waits longer is told nothing, as in Docker.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Sends a signal on somebody's behalf. What nobody survives has ended when this returns: it can be removed.
///
/// # Errors
/// The container does not run.
pub async fn kill(engine: &Arc<Engine>, container: &Arc<Container>, signal: &str) -> Result<()> {
    let number = if signal.is_empty() { SIGKILL } else { parse(signal)? };
    let mut record = container.record();
    if !record.state.phase.is_live() {
        // What a container prints can be seen before its start is recorded: who answers to that comes early.
        let _turn = container.moving.lock().await;
        record = container.record();
    }
    if !record.state.phase.is_live() {
        return Err(Error::failed_precondition(format!(
            "cannot kill container: {}: container {} is not running",
            record.name, container.id
        )));
    }
    let own = if record.config.stop_signal.is_empty() { SIGTERM } else { parse(&record.config.stop_signal)? };
    let is_end = number == SIGKILL || number == own;
    if is_end {
        container.live().is_stopping = true;
    }
    container.update(|record| record.is_stopped_by_hand = true);
    let mut progress = container.progress.subscribe();
    let before = progress.borrow().exits;
    send(engine, container, number, is_end).await?;
    engine.tell_container("kill", container, &[("signal", number.to_string())]);
    if number == SIGKILL {
        let ended = progress.wait_for(|now| now.exits > before || now.is_removed);
        let _ = tokio::time::timeout(END_PATIENCE, ended).await;
    }
    Ok(())
}

/// Sends a signal; to a process that has just ended, it is sent in vain. A frozen process is
/// thawed when the signal is to end it: it could not obey otherwise.
///
/// # Errors
/// The supervisor refuses.
pub async fn send(engine: &Arc<Engine>, container: &Arc<Container>, signal: u32, is_end: bool) -> Result<()> {
    let mut tasks = engine.supervisor.tasks();
    let request = KillRequest { container_id: container.id.clone(), signal, ..KillRequest::default() };
    match tasks.kill(request).await {
        Ok(_) => {}
        Err(status) if status.code() == tonic::Code::NotFound => {
            // The exit is on its way, or was missed: look.
            let (engine, container) = (engine.clone(), container.clone());
            tokio::spawn(async move { super::reconcile::one(&engine, &container).await });
            return Ok(());
        }
        Err(status) => return Err(supervisor::failed(format!("kill container: {}", container.id))(status)),
    }
    if is_end && container.record().state.phase == Phase::Paused {
        let resumed = tasks.resume(ResumeTaskRequest { container_id: container.id.clone() }).await;
        if resumed.is_ok() {
            container.update(|record| {
                if record.state.phase == Phase::Paused {
                    record.state.phase = Phase::Running;
                }
            });
            engine.tell_container("unpause", container, &[]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGTERM", 15),
            ("sigusr1", 10),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("CLD", 17),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in ["", "0", "65", "-9", "SIGFOO", "RTMIN+99", "RTMINx", "RTMAX-99"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,20}") {
            if let Ok(number) = parse(&text) {
                prop_assert!((1..=64).contains(&number));
            }
        }
    }
}
