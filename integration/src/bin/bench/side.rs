//! The two contenders.

use integration::peer::Dockerd;
use integration::{Invocation, Story};
use std::path::{Path, PathBuf};

/// An engine with its client.
pub struct Side {
    client: PathBuf,
    host: String,
    /// The engine's process, then its supervisor's.
    pub daemons: Vec<i32>,
    /// Whose network the engine publishes ports in: a process; none is this host.
    network_of: Option<i32>,
}

/// Both, and a directory for files.
pub struct Pair {
    pub ours: Side,
    pub theirs: Side,
    pub scratch: PathBuf,
}

impl Pair {
    /// Ours, then theirs.
    pub fn sides(&self) -> [&Side; 2] {
        [&self.ours, &self.theirs]
    }

    /// Runs the same on both.
    pub fn both(&self, arguments: &[&str]) {
        for side in self.sides() {
            side.call(arguments).expect();
        }
    }
}

impl Side {
    pub fn ours(story: &Story) -> Side {
        let stack = &story.stack;
        let daemons = ["engined", "supervisord"].map(|name| stack.daemon(name).expect("a daemon").pid);
        Side {
            client: stack.programs().path("ctl"),
            host: stack.docker_host(),
            daemons: daemons.to_vec(),
            network_of: None,
        }
    }

    pub fn theirs(client: PathBuf, dockerd: &Dockerd) -> Side {
        let daemons =
            [vec![dockerd.pid()], crate::memory::children_named(dockerd.pid(), "containerd")].concat();
        Side { client, host: dockerd.docker_host(), daemons, network_of: Some(dockerd.pid()) }
    }

    /// The client, about to run.
    pub fn call(&self, arguments: &[&str]) -> Invocation {
        Invocation::new(&self.client)
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", "/nonexistent")
            .args(arguments.to_vec())
    }

    /// The client, about to run with its output thrown away.
    pub fn discarding(&self, arguments: &[&str]) -> Invocation {
        let client = self.client.display().to_string();
        Invocation::new(Path::new("/bin/sh"))
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", "/nonexistent")
            .args(["-c", "exec \"$0\" \"$@\" >/dev/null", &client])
            .args(arguments.to_vec())
    }

    /// The socket of the engine.
    pub fn socket(&self) -> &Path {
        Path::new(self.host.trim_start_matches("unix://"))
    }

    /// A program, about to run where the engine's ports are published.
    pub fn in_network(&self, program: &Path, arguments: &[&str]) -> Invocation {
        let Some(pid) = self.network_of else { return Invocation::new(program).args(arguments.to_vec()) };
        Invocation::new(Path::new("nsenter"))
            .args([format!("--net=/proc/{pid}/ns/net"), program.display().to_string()])
            .args(arguments.to_vec())
    }
}
