//! The daemon's settings: dockerd's flags, and the same words in `daemon.json`.

mod cgroups;
mod file;
mod flags;
mod hosts;
mod runtimes;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};
use errdefs::{Error, Result};

pub use cgroups::CgroupDriver;
pub use flags::{Flags, LOG_DRIVERS};
pub use hosts::Host;
pub use runtimes::{OUR_RUNTIME, Runtime};
pub use settings::Settings;

use engine_api::host_config::Ulimit;

const DEFAULT_FILE: &str = "/etc/wherry/daemon.json";
/// Where our supervisor listens unless told otherwise.
pub const DEFAULT_SUPERVISOR: &str = "/run/wherry/supervisord/supervisord.sock";

/// Most layers that one pull or push may move at once.
pub const MAX_TRANSFERS: u32 = 64;
/// The name under which a unit file or a test for dockerd starts this engine.
const DOCKERD: &str = "dockerd";

/// Everything the engine is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    pub flags: Flags,
    /// Started as `dockerd`: addresses that nobody names are Docker's.
    is_dockerd: bool,
    /// By the names that `--runtime` takes.
    pub runtimes: BTreeMap<String, Runtime>,
    pub default_runtime: String,
    pub default_ulimits: BTreeMap<String, Ulimit>,
    pub log_options: BTreeMap<String, String>,
}

/// Reads the command line and then the file that it names.
///
/// # Errors
/// A flag, a key or a value that the engine does not have; it is named.
pub fn load(words: impl Iterator<Item = std::ffi::OsString>) -> Result<Config> {
    let words: Vec<_> = words.collect();
    let matches = match Flags::command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        // Help, version and bad flags: clap knows the stream and the status.
        Err(answer) => answer.exit(),
    };
    let given: Vec<String> = given(&matches);
    let on_line =
        Flags::from_arg_matches(&matches).map_err(|cause| Error::invalid_argument(cause.to_string()))?;
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    let is_dockerd = program.file_name().is_some_and(|name| name == DOCKERD);
    let is_explicit = given.iter().any(|name| name == "config_file");
    let default_file = if is_dockerd { "/etc/docker/daemon.json" } else { DEFAULT_FILE };
    let path = on_line.config_file.as_deref().unwrap_or(Path::new(default_file));
    let read = read_file(path, is_explicit)?;
    let from_file = file::translate(&read, &given).map_err(|cause| {
        Error::new(
            cause.kind(),
            format!("unable to configure the Docker daemon with file {}: {}", path.display(), cause.chain()),
        )
    })?;
    let mut all = vec![words.first().cloned().unwrap_or_else(|| "engined".into())];
    all.extend(from_file.words.into_iter().map(Into::into));
    all.extend(words.into_iter().skip(1));
    let flags = Flags::command()
        .try_get_matches_from(all)
        .and_then(|matches| Flags::from_arg_matches(&matches))
        .map_err(|cause| Error::invalid_argument(cause.to_string()))?;
    resolve(flags, from_file.runtimes, is_dockerd)
}

/// Names of the flags that stand on the command line.
fn given(matches: &ArgMatches) -> Vec<String> {
    matches
        .ids()
        .map(|id| id.as_str().to_owned())
        .filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
        .collect()
}

fn read_file(path: &Path, is_explicit: bool) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !is_explicit => Ok(String::new()),
        Err(cause) => {
            Err(Error::invalid_argument(format!("cannot read configuration file {}", path.display()))
                .with_source(cause))
        }
    }
}

fn resolve(flags: Flags, from_file: BTreeMap<String, Runtime>, is_dockerd: bool) -> Result<Config> {
    flags.refuse_what_is_missing()?;
    let mut known = runtimes::built_in();
    known.extend(from_file);
    for text in &flags.add_runtime {
        let (name, runtime) = runtimes::parse(text)?;
        known.insert(name, runtime);
    }
    let default_runtime = flags.default_runtime.clone().unwrap_or_else(|| OUR_RUNTIME.to_owned());
    if !known.contains_key(&default_runtime) && !default_runtime.contains('.') {
        return Err(Error::invalid_argument(format!(
            "specified default runtime '{default_runtime}' does not exist"
        )));
    }
    let mut default_ulimits = BTreeMap::new();
    for text in &flags.default_ulimit {
        let limit = parse_ulimit(text)?;
        default_ulimits.insert(limit.name.clone(), limit);
    }
    let mut log_options = BTreeMap::new();
    for option in &flags.log_opt {
        let (key, value) = option.split_once('=').ok_or_else(|| {
            Error::invalid_argument(format!("invalid log option {option:?}: expected key=value"))
        })?;
        log_options.insert(key.to_owned(), value.to_owned());
    }
    let config = Config { flags, is_dockerd, runtimes: known, default_runtime, default_ulimits, log_options };
    config.check_hosts()?;
    Ok(config)
}

/// `nofile=1024:2048`, as in `--default-ulimit`.
fn parse_ulimit(text: &str) -> Result<Ulimit> {
    let bad = || Error::invalid_argument(format!("invalid ulimit argument: {text}"));
    let (name, values) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| text.parse::<i64>().map_err(|_| bad());
    Ok(Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
}

impl Config {
    /// A directory under `--exec-root`.
    pub fn run(&self, name: &str) -> PathBuf {
        self.flags.exec_root.join(name)
    }

    /// A directory under `--data-root`.
    pub fn data(&self, name: &str) -> PathBuf {
        self.flags.data_root.join(name)
    }

    /// Name of this engine among those of the host, for kernel objects of its own: at most 8
    /// characters, the same for the same data root.
    pub fn stack_name(&self) -> String {
        use sha2::{Digest, Sha256};
        if self.flags.data_root == Path::new("/var/lib/wherry/engined") {
            return "default".to_owned();
        }
        hex::encode(&Sha256::digest(self.flags.data_root.as_os_str().as_encoded_bytes())[..4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(file: &str, words: &[&str]) -> Result<Config> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("daemon.json");
        std::fs::write(&path, file).unwrap();
        let mut all = vec!["engined".to_owned(), format!("--config-file={}", path.display())];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        load(all.into_iter().map(Into::into))
    }

    #[test]
    fn flags_and_file_come_together() {
        let config = load_with(
            r#"{"data-root":"/d","debug":true,"registry-mirrors":["http://m"],"log-opts":{"max-size":"1m"},
                "runtimes":{"crun":{"path":"/usr/bin/crun"}},"default-ulimits":{"nofile":{"Name":"nofile","Hard":9,"Soft":8}}}"#,
            &["-H", "unix:///a.sock", "--exec-root=/e", "--add-runtime", "other=/usr/bin/runc"],
        )
        .unwrap();
        assert_eq!(config.flags.data_root, Path::new("/d"));
        assert_eq!(config.flags.debug, Some(true));
        assert_eq!(config.hosts().unwrap(), [Host::Unix("/a.sock".into())]);
        assert_eq!(config.log_options["max-size"], "1m");
        assert_eq!(config.default_ulimits["nofile"].hard, 9);
        assert_eq!(config.runtimes["crun"].binary.as_deref(), Some("/usr/bin/crun"));
        assert_eq!(config.runtimes["other"].binary.as_deref(), Some("/usr/bin/runc"));
    }

    #[test]
    fn what_we_do_not_have_is_named() {
        let message = |file: &str, words: &[&str]| load_with(file, words).unwrap_err().to_string();
        assert!(message(r#"{"colour":1}"#, &[]).contains("don't match any configuration option: colour"));
        assert!(
            message(r#"{"debug":true}"#, &["--debug"])
                .contains("both as a flag and in the configuration file")
        );
        assert!(message("{", &[]).contains("cannot read"));
        assert!(message(r#"{"rootless":true}"#, &[]).contains("rootless"));
        assert!(message("", &["-H", "tcp://0.0.0.0:2375"]).contains("without certificates of clients"));
        assert!(message("", &["--exec-opt", "native.cgroupdriver=other"]).contains("cgroupfs or systemd"));
        assert!(message(r#"{"storage-driver":"zfs"}"#, &[]).contains("zfs"));
    }

    /// The command line of dockerd in unit files and in tests of its clients.
    #[test]
    fn a_dockerds_words_are_understood() {
        load_with(
            r#"{"features":{"containerd-snapshotter":true},"builder":{"gc":{"enabled":true}},
                "default-address-pools":[{"base":"10.9.0.0/16","size":24}],
                "default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}},
                "proxies":{"http-proxy":"http://p:1"},"max-concurrent-downloads":8,"dns-opts":["ndots:1"]}"#,
            &[
                "--host",
                "unix:///tmp/d.sock",
                "--data-root=/tmp/d",
                "--exec-root=/tmp/e",
                "--pidfile=/tmp/d.pid",
                "--log-level=debug",
                "--storage-driver=overlay2",
                "--exec-opt=native.cgroupdriver=cgroupfs",
                "--containerd-namespace=x",
                "--containerd-plugins-namespace=xp",
                "--userland-proxy=false",
                "--iptables=false",
                "--ip-masq=false",
                "-b",
                "none",
            ],
        )
        .unwrap();
    }
}
