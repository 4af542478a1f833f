//! `stack up DIR` starts a private stack and prints how to reach it; `stack down DIR` leaves nothing of it.
//! `--system` in place of a directory means the default paths of this host.

use integration::Stack;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up", dir, ref engined @ ..] => up(dir, engined),
        ["down", dir] => down(dir),
        _ => Err("usage: stack up DIR|--system [ENGINED-FLAG...] | stack down DIR|--system".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stack: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn stack(dir: &str) -> std::io::Result<Stack> {
    if dir == "--system" { Ok(Stack::of_this_host()) } else { Stack::at(Path::new(dir)) }
}

fn up(dir: &str, engined: &[&str]) -> Done {
    let stack = stack(dir)?.with_engined(engined);
    stack.up()?;
    println!("DOCKER_HOST={}", stack.docker_host());
    println!("CONTAINERD_ADDRESS={}", stack.containerd_address().display());
    println!("BRIDGE={}", stack.name);
    println!("CGROUP_PARENT={}", stack.cgroup_parent());
    for name in ["engined", "supervisord"] {
        let daemon = stack.daemon(name)?;
        println!("{}_PID={}", name.to_uppercase(), daemon.pid);
        println!("{}_LOG={}", name.to_uppercase(), daemon.log.display());
    }
    Ok(())
}

fn down(dir: &str) -> Done {
    let stack = stack(dir)?;
    stack.down()?;
    let leftovers = stack.leftovers();
    if leftovers.is_empty() { Ok(()) } else { Err(format!("left on the host:\n{leftovers}").into()) }
}
