//! `events`: what a container uses and when it runs out of memory, as JSON lines.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cgroups::OomEvent;
use runtime_spec::Status;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use super::{Command, Context};
use crate::container::Container;
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words, switch, value};

mod figures;

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "events",
        arguments: "<container-id>",
        about: "print OOM events and usage",
        least: 1,
        most: 1,
        options: &[&[
            value("interval", None, "DURATION", "time between figures (default: 5s)"),
            switch("stats", None, "print the figures once"),
        ]],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let interval = duration(words.value("interval").unwrap_or("5s"))
        .filter(|interval| !interval.is_zero())
        .ok_or_else(|| Failure::new("duration interval must be greater than 0"))?;
    if container.status()? == Status::Stopped {
        let id = &container.record.id;
        return Err(Failure::new(format!("container with id {id} is not running")));
    }
    if words.has("stats") {
        print(&container, "stats", Some(figures::of(&container.cgroup().stats()?)));
        return Ok(0);
    }
    follow(&container, interval)
}

/// After a wake-up for want of memory its kill is looked for so often, so long apart.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(50);

/// Prints until the container ends.
fn follow(container: &Container, interval: Duration) -> Result<i32, Failure> {
    let cgroup = container.cgroup();
    let mut oom = cgroup.watch_oom()?;
    let Some(pid) = Pid::from_raw(container.record.init_process_pid) else { return Ok(0) };
    let Ok(init) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(0) };
    let mut next = Instant::now() + interval;
    // How often a kill is still looked for that the kernel has told before it came.
    let mut looks = 0;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let left = if looks > 0 { left.min(LOOK) } else { left };
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let (woken, ended) = {
            let mut fds = [
                PollFd::from_borrowed_fd(oom.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(init.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.tried("cannot wait")?,
            };
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if woken || looks > 0 {
            looks = if woken { LOOKS } else { looks - 1 };
            match oom.drain()? {
                OomEvent::Killed(_) => {
                    looks = 0;
                    print(container, "oom", None);
                }
                OomEvent::Nothing => {}
                OomEvent::Gone => return Ok(0),
            }
        }
        if ended {
            return Ok(0);
        }
        if Instant::now() >= next {
            next += interval;
            print(container, "stats", Some(figures::of(&cgroup.stats()?)));
        }
    }
}

fn print(container: &Container, kind: &str, data: Option<Value>) {
    // In the order that scripts with patterns expect.
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    println!("{{\"type\":\"{kind}\",\"id\":\"{}\"{data}}}", container.record.id);
}

/// Reads a duration as Go writes it: `5s`, `100ms`, `1m30s`.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, f64)] =
        &[("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().find(|unit| unit.0 == &rest[..end])?;
        seconds += number * unit.1;
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("5s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("100ms"), Some(Duration::from_millis(100)));
        for wrong in ["", "5", "s", "5x", "-1s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
