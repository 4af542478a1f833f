//! A private stack: supervisord and engined whose every file, socket, bridge and cgroup belongs to one directory.

use crate::{Daemon, Invocation, Leftovers};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the five programs are.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Those in `WHERRY_PROGRAMS`, else in this checkout's `target/release`.
    pub fn find() -> Programs {
        let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
        let dir = std::env::var_os("WHERRY_PROGRAMS").map_or_else(built, PathBuf::from);
        Programs(dir.canonicalize().unwrap_or(dir))
    }

    /// The path of one of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// A running private stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The directory that everything is in.
    pub dir: PathBuf,
    /// The bridge's name, which is also the cgroup's and the nftables table's: short, and made from the directory.
    pub name: String,
    /// What the engine calls its part of the host's network: engined makes it from its data root.
    network: String,
    programs: Programs,
    extra: Extra,
}

/// Arguments beyond the stack's own.
#[derive(Clone, Debug, Default)]
struct Extra {
    engined: Vec<String>,
    supervisord: Vec<String>,
}

impl Stack {
    /// The stack of `dir`, running or not.
    pub fn at(dir: &Path) -> io::Result<Stack> {
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let name = format!("wh{}", short_hash(&dir));
        let network = short_hash(&dir.join("data/engined"));
        Ok(Stack { name, network, dir, programs: Programs::find(), extra: Extra::default() })
    }

    /// The stack on the default paths of this host, as `make demo` starts it.
    pub fn of_this_host() -> Stack {
        let dir = PathBuf::from("/run/wherry");
        let (name, network) = ("wherry0".to_owned(), "default".to_owned());
        Stack { name, network, dir, programs: Programs::find(), extra: Extra::default() }
    }

    fn is_private(&self) -> bool {
        self.dir != Path::new("/run/wherry")
    }

    /// Further arguments for engined at its next start.
    #[must_use]
    pub fn with_engined(mut self, arguments: &[&str]) -> Stack {
        self.extra.engined.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Further arguments for supervisord at its next start.
    #[must_use]
    pub fn with_supervisord(mut self, arguments: &[&str]) -> Stack {
        self.extra.supervisord.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Starts both daemons and waits until they are ready.
    pub fn up(&self) -> io::Result<()> {
        self.start_supervisord()?;
        self.start_engined()?;
        Ok(())
    }

    /// Starts supervisord and waits until it is ready.
    pub fn start_supervisord(&self) -> io::Result<Daemon> {
        let mut command = Command::new(self.programs.path("supervisord"));
        if self.is_private() {
            command.arg("--address").arg(self.containerd_address());
            command.arg("--root").arg(self.dir.join("data/supervisord"));
            command.arg("--state").arg(self.dir.join("run/supervisord"));
        }
        command.args(&self.extra.supervisord);
        self.start("supervisord", command)
    }

    /// Starts engined and waits until it is ready.
    pub fn start_engined(&self) -> io::Result<Daemon> {
        let mut command = Command::new(self.programs.path("engined"));
        if self.is_private() {
            command.arg("-H").arg(self.docker_host());
            command.arg("--data-root").arg(self.dir.join("data/engined"));
            command.arg("--exec-root").arg(self.dir.join("run/engined"));
            command.arg("--pidfile").arg(self.dir.join("run/engined.pid"));
            command.arg("--config-file").arg(self.dir.join("daemon.json"));
            command.arg("--containerd").arg(self.containerd_address());
            command.args(["--bridge", &self.name, "--cgroup-parent", &self.cgroup_parent()]);
        }
        command.args(&self.extra.engined);
        self.start("engined", command)
    }

    fn start(&self, name: &str, command: Command) -> io::Result<Daemon> {
        fs::create_dir_all(self.run_dir())?;
        fs::create_dir_all(self.log_dir())?;
        let config = self.dir.join("daemon.json");
        if self.is_private() && !config.exists() {
            fs::write(&config, "{}\n")?;
        }
        let daemon = Daemon::start_ready(command, &self.log(name))?;
        fs::write(self.pid_file(name), daemon.pid.to_string())?;
        Ok(daemon)
    }

    /// A daemon of this stack by its name, as it was started last.
    pub fn daemon(&self, name: &str) -> io::Result<Daemon> {
        let pid = fs::read_to_string(self.pid_file(name))?;
        let pid = pid.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(Daemon { pid, log: self.log(name) })
    }

    /// Removes every container, ends the daemons, and removes bridge, rules, cgroup and files. What is gone
    /// already is passed over.
    pub fn down(&self) -> io::Result<()> {
        if self.daemon("engined").is_ok_and(|daemon| daemon.is_running()) {
            let listed = self.ctl(["ps", "-aq"]).run();
            if let Ok(listed) = listed {
                let ids: Vec<&str> = listed.stdout.split_whitespace().collect();
                if !ids.is_empty() {
                    self.ctl(["rm", "-f", "-v"]).args(ids).run()?;
                }
            }
        }
        for name in ["engined", "supervisord"] {
            if let Ok(daemon) = self.daemon(name) {
                daemon.stop()?;
            }
            absent(fs::remove_file(self.pid_file(name)))?;
        }
        remove_network(&self.network, &self.run_dir().join("engined/netns"))?;
        if self.is_private() {
            Leftovers::end_processes(&self.dir, &self.name);
            Leftovers::unmount(&self.dir);
        }
        Leftovers::remove_cgroups(self.cgroup_parent().trim_start_matches('/'));
        if !self.is_private() {
            return Ok(());
        }
        for part in ["run", "data", "log", "daemon.json"] {
            let path = self.dir.join(part);
            absent(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) })?;
        }
        Ok(())
    }

    /// What of this stack is still on the host.
    pub fn leftovers(&self) -> Leftovers {
        Leftovers::find(&self.dir, &self.name, &format!("wherry-{}", self.network))
    }

    /// The stack's part of the host's firewall, line by line, counters left out.
    pub fn firewall(&self) -> Vec<String> {
        crate::host::rules(&[&self.name, &format!("wherry-{}", self.network)])
    }

    /// The links on the host that belong to the stack.
    pub fn links(&self) -> Vec<String> {
        crate::host::links(&[&self.name, &format!("wherry-{}", self.network)])
    }

    /// Where the Engine API is served, as `DOCKER_HOST` says it.
    pub fn docker_host(&self) -> String {
        format!("unix://{}/engined.sock", self.run_dir().display())
    }

    /// Where the containerd API is served.
    pub fn containerd_address(&self) -> PathBuf {
        self.run_dir().join("supervisord/supervisord.sock")
    }

    /// The cgroup that containers' cgroups are made in.
    pub fn cgroup_parent(&self) -> String {
        if self.is_private() { format!("/{}", self.name) } else { "/wherry".to_owned() }
    }

    /// The log of a daemon.
    pub fn log(&self, name: &str) -> PathBuf {
        self.log_dir().join(format!("{name}.log"))
    }

    fn run_dir(&self) -> PathBuf {
        if self.is_private() { self.dir.join("run") } else { self.dir.clone() }
    }

    fn log_dir(&self) -> PathBuf {
        if self.is_private() { self.dir.join("log") } else { PathBuf::from("/var/log/wherry") }
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.run_dir().join(format!("stack-{name}.pid"))
    }

    /// The programs it is made of.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// `ctl`, on this stack.
    pub fn ctl<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        self.client(self.programs.path("ctl"), arguments)
    }

    /// Any client that obeys `DOCKER_HOST`, on this stack.
    pub fn client<const N: usize>(&self, program: impl AsRef<Path>, arguments: [&str; N]) -> Invocation {
        Invocation::new(program.as_ref())
            .env("DOCKER_HOST", &self.docker_host())
            // No configuration of the person who runs the tests takes part.
            .env("DOCKER_CONFIG", &self.dir.join("docker-config").to_string_lossy())
            .args(arguments)
    }
}

/// Removes what an engined that was started by hand, on these roots, made of the host's network.
pub fn remove_network_of(data_root: &Path, exec_root: &Path) -> io::Result<()> {
    remove_network(&short_hash(data_root), &exec_root.join("netns"))
}

fn remove_network(name: &str, netns: &Path) -> io::Result<()> {
    let Ok(stack) = network::Stack::open(name) else { return Ok(()) };
    stack.destroy(Some(netns)).map_err(|errors| {
        io::Error::other(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })
}

/// What was removed by somebody else is removed.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Eight characters that stand for a path.
fn short_hash(path: &Path) -> String {
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..4])
}
