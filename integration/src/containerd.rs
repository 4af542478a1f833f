//! A containerd of a test's own, and `ctr` for it: our supervisord or the host's.

use crate::image::Image;
use crate::peer::find;
use crate::{Daemon, Invocation, Leftovers, Programs};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The image that it is given.
pub const IMAGE: &str = "docker.io/library/boat:latest";

/// A containerd, ours or Debian's, with `ctr` for it, and everything in one directory.
pub struct Peer {
    /// Its directory.
    pub dir: PathBuf,
    /// Its process, while it runs.
    pub daemon: Option<Daemon>,
    /// How it is started.
    pub launch: fn(&Path) -> Command,
    /// The containerd namespace: the runtime's records below /run are apart by it.
    pub namespace: String,
    _scratch: TempDir,
}

/// Our supervisord, and nothing above it.
pub fn supervisord(dir: &Path) -> Command {
    let mut command = Command::new(Programs::find().path("supervisord"));
    command.arg("--address").arg(dir.join("c.sock"));
    command.arg("--root").arg(dir.join("root")).arg("--state").arg(dir.join("st"));
    command
}

/// Debian's containerd, that finds our shim by its runtime's name.
pub fn containerd(dir: &Path) -> Command {
    foreign(dir, Path::new("containerd"), Path::new(""))
}

/// Debian 13's, with its own shim.
pub fn containerd_1_7(dir: &Path) -> Command {
    let programs = crate::peer::containerd_1_7();
    foreign(dir, &programs.join("containerd"), &programs)
}

/// containerd 2, with its own shim.
pub fn containerd_2(dir: &Path) -> Command {
    let programs = crate::peer::containerd_2();
    foreign(dir, &programs.join("containerd"), &programs)
}

/// Debian's with its service for Kubernetes, whose pods run by our shim; whose pods rest in [`IMAGE`].
pub fn containerd_with_cri(dir: &Path) -> Command {
    let command = foreign(dir, Path::new("containerd"), Path::new(""));
    let at = dir.display();
    let cri = "plugins.'io.containerd.grpc.v1.cri'";
    let text = format!(
        "version = 2\nroot = '{at}/root'\nstate = '{at}/st'\n\
         disabled_plugins = ['io.containerd.internal.v1.opt']\n\
         [grpc]\naddress = '{at}/c.sock'\n\
         [{cri}]\nsandbox_image = '{IMAGE}'\nstream_server_port = '0'\nrestrict_oom_score_adj = true\n\
         [{cri}.cni]\nconf_dir = '{at}/cni'\nbin_dir = '{at}/cni'\n\
         [{cri}.containerd]\ndefault_runtime_name = 'ours'\n\
         [{cri}.containerd.runtimes.ours]\nruntime_type = 'io.containerd.wherry.v1'\n"
    );
    std::fs::write(dir.join("containerd.toml"), text).unwrap();
    command
}

/// A containerd whose shims are ours by name, then those of `programs`, then the host's.
fn foreign(dir: &Path, program: &Path, programs: &Path) -> Command {
    let bin = dir.join("bin");
    let shim = bin.join("containerd-shim-wherry-v1");
    if !shim.exists() {
        std::fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(Programs::find().path("shim"), &shim).unwrap();
    }
    let config = dir.join("containerd.toml");
    let at = dir.display();
    let text = format!(
        "version = 2\nroot = '{at}/root'\nstate = '{at}/st'\n\
         disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt']\n\
         [grpc]\naddress = '{at}/c.sock'\n"
    );
    std::fs::write(&config, text).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = [bin, programs.to_owned()].into_iter().chain(std::env::split_paths(&path));
    let dirs = dirs.filter(|dir| !dir.as_os_str().is_empty());
    let mut command = Command::new(program);
    command.arg("--config").arg(config).env("PATH", std::env::join_paths(dirs).unwrap());
    command
}

impl Peer {
    /// Starts one in a directory of its own.
    pub fn start(launch: fn(&Path) -> Command) -> Peer {
        let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").unwrap();
        let dir = scratch.path().canonicalize().unwrap();
        let namespace = dir.file_name().unwrap().to_string_lossy().into_owned();
        let mut peer = Peer { dir, daemon: None, launch, namespace, _scratch: scratch };
        peer.up();
        peer
    }

    /// Starts it again.
    pub fn up(&mut self) {
        let daemon = Daemon::start_ready((self.launch)(&self.dir), &self.dir.join("daemon.log"));
        self.daemon = Some(daemon.unwrap());
    }

    /// Its process.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon was started")
    }

    /// `ctr` on it.
    pub fn ctr<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        let address = self.dir.join("c.sock").display().to_string();
        let ctr = find("ctr").unwrap().display().to_string();
        // No call of it takes long, and one that hangs is a failure.
        Invocation::new(&find("timeout").unwrap())
            .args(["60", &ctr, "-a", &address, "-n", &self.namespace])
            .args(arguments)
    }

    /// Gives it busybox as [`IMAGE`].
    pub fn import(&self) {
        let archive = self.dir.join("image.tar");
        std::fs::write(&archive, Image::busybox().unwrap().docker_archive(IMAGE).unwrap()).unwrap();
        self.ctr(["images", "import", archive.to_str().unwrap()]).expect();
    }

    /// Where the namespace's bundles are.
    pub fn bundles(&self) -> PathBuf {
        self.dir.join("st/io.containerd.runtime.v2.task").join(&self.namespace)
    }

    /// Ends the daemon and looks at what is left.
    pub fn end(&mut self) {
        self.daemon.take().unwrap().stop().unwrap();
        let name = self.dir.file_name().unwrap().to_string_lossy().into_owned();
        // Runtimes leave the directory that clients put containers' cgroups in; what is in it is theirs.
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(hierarchy.path().join(&name));
        }
        let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(&name));
        Leftovers::find(&self.dir, &name, &name).expect_none();
        let bundles = self.bundles();
        let left = std::fs::read_dir(bundles).into_iter().flatten().flatten();
        assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), Vec::<PathBuf>::new(), "bundles");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let tasks = self.ctr(["tasks", "ls", "-q"]).run().map(|ran| ran.stdout).unwrap_or_default();
            for task in tasks.lines() {
                let _ = self.ctr(["tasks", "delete", "--force", task]).run();
            }
            let text = daemon.log_text();
            let from = text.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            eprintln!("--- the end of the daemon's log\n{}", &text[from..]);
            let _ = daemon.stop();
        }
    }
}
