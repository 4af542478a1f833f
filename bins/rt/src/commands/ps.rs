//! `ps`: the processes of a container, as the host's ps shows them.

use std::process::Command as Program;

use super::{Command, Context};
use crate::failure::{Failure, Tried};
use crate::words::{Grammar, Words, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "ps",
        arguments: "<container-id> [ps options]",
        about: "list the processes of a container",
        least: 1,
        most: usize::MAX,
        options: &[&[value("format", Some('f'), "table|json", "output format")]],
        ends_at_argument: true,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let pids = container.cgroup().all_processes()?;
    match words.value("format") {
        Some("json") => {
            let list: Vec<String> = pids.iter().map(i32::to_string).collect();
            println!("[{}]", list.join(","));
            Ok(0)
        }
        None | Some("table" | "") => table(&pids, &words.arguments[1..]),
        Some(_) => Err(Failure::new("invalid format option")),
    }
}

/// Runs ps(1) and keeps its heading and the lines of our processes.
fn table(pids: &[i32], options: &[String]) -> Result<i32, Failure> {
    let plain = ["-ef".to_owned()];
    let options = if options.is_empty() { &plain[..] } else { options };
    let output = Program::new("ps").args(options).output().tried("cannot run ps")?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading
        .split_whitespace()
        .position(|word| word == "PID")
        .ok_or_else(|| Failure::new("couldn't find PID field in ps output"))?;
    println!("{heading}");
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        if pid.is_some_and(|pid: i32| pids.contains(&pid)) {
            println!("{line}");
        }
    }
    Ok(0)
}
