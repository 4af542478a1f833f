//! `--health-*` and `--no-healthcheck`.

use engine_api::container::HealthConfig;

use crate::grammar::Matches;

/// The check that the flags ask for; `None` leaves the image's.
///
/// # Errors
/// Docker's text for what is negative or contradicts.
pub fn check(matches: &Matches) -> Result<Option<HealthConfig>, String> {
    let names = [
        "health-cmd",
        "health-interval",
        "health-retries",
        "health-start-interval",
        "health-start-period",
        "health-timeout",
    ];
    let changed = names.iter().any(|name| matches.changed(name));
    if matches.flag("no-healthcheck") {
        if changed {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() }));
    }
    if !changed {
        return Ok(None);
    }
    let nanos = |name: &str| match matches.nanos(name) {
        Some(value) if value < 0 => Err(format!("--{name} cannot be negative")),
        value => Ok(value.unwrap_or(0)),
    };
    let retries = matches.int("health-retries").unwrap_or(0);
    if retries < 0 {
        return Err("--health-retries cannot be negative".to_owned());
    }
    let command = matches.text("health-cmd").filter(|command| !command.is_empty());
    Ok(Some(HealthConfig {
        test: command.map(|command| vec!["CMD-SHELL".to_owned(), command.to_owned()]).unwrap_or_default(),
        interval: nanos("health-interval")?,
        timeout: nanos("health-timeout")?,
        start_period: nanos("health-start-period")?,
        start_interval: nanos("health-start-interval")?,
        retries,
    }))
}
