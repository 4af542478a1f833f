//! The directory of all containers and one container in it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use cgroups::{Cgroup, FreezerState};
use runtime_spec::Status;
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::Pid;

use super::{Id, Liveness, Record};
use crate::failure::{Failure, Tried};

const RECORD: &str = "state.json";
const FIFO: &str = "exec.fifo";

/// What runc answers for a container it does not know; callers match it.
const MISSING: &str = "container does not exist";

/// All containers below one root.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

/// One container's directory and what is known of it.
#[derive(Debug)]
pub struct Container {
    directory: PathBuf,
    pub record: Record,
}

impl Store {
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// Takes the name by making its directory.
    pub fn reserve(&self, id: &Id) -> Result<PathBuf, Failure> {
        let directory = self.root.join(id.as_str());
        let make = || {
            use std::os::unix::fs::DirBuilderExt;
            fs::DirBuilder::new().mode(0o700).create(&directory)
        };
        let made = match make() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                use std::os::unix::fs::DirBuilderExt;
                fs::DirBuilder::new()
                    .mode(0o700)
                    .recursive(true)
                    .create(&self.root)
                    .tried(format!("mkdir {}", self.root.display()))?;
                make()
            }
            other => other,
        };
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Failure::new("container with given ID already exists"))
            }
            other => other.tried(format!("mkdir {}", directory.display())).map(|()| directory),
        }
    }

    /// Reads one container.
    pub fn load(&self, id: &str) -> Result<Container, Failure> {
        let id = Id::parse(id)?;
        Container::load(self.root.join(id.as_str()))
    }

    /// The directory that a container of this name has, if any is there.
    pub fn directory(&self, id: &Id) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// The containers whose names a regular expression finds, as crun's `--regex` has it.
    pub fn matching(&self, expression: &str) -> Result<Vec<Container>, Failure> {
        let expression = regex_lite::Regex::new(expression)
            .map_err(|error| Failure::new(format!("invalid regular expression {expression:?}: {error}")))?;
        let mut found = match self.all() {
            // Nobody has made a container yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.tried(format!("open {}", self.root.display()))?,
        };
        found.retain(|container| expression.is_match(&container.record.id));
        Ok(found)
    }

    /// All containers by name; those half made or half removed are passed over.
    pub fn all(&self) -> std::io::Result<Vec<Container>> {
        let mut containers = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            containers.extend(Container::load(entry?.path()).ok());
        }
        containers.sort_by(|a, b| a.record.id.cmp(&b.record.id));
        Ok(containers)
    }
}

impl Container {
    /// Starts a record in a reserved directory; nothing is written yet.
    pub fn new(directory: PathBuf, record: Record) -> Container {
        Container { directory, record }
    }

    fn load(directory: PathBuf) -> Result<Container, Failure> {
        let path = directory.join(RECORD);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Failure::new(MISSING)),
            other => other.tried(format!("cannot read {}", path.display()))?,
        };
        let record = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        Ok(Container { directory, record })
    }

    /// The same container with a newer record.
    pub fn with(self, record: Record) -> Container {
        Container { record, ..self }
    }

    /// Writes a newer record beside the old one and puts it in its place.
    pub fn save_as(&self, record: &Record) -> Result<(), Failure> {
        let path = self.directory.join(RECORD);
        let new = self.directory.join("state.json.new");
        let bytes = serde_json::to_vec(record)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        use std::os::unix::fs::OpenOptionsExt;
        let write = || {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600).open(&new)?.write_all(&bytes)?;
            fs::rename(&new, &path)
        };
        write().tried(format!("cannot write {}", path.display()))
    }

    /// Holds off other invocations that change this container, until dropped.
    pub fn lock(&self) -> Result<File, Failure> {
        let directory = File::open(&self.directory).map_err(|_| Failure::new(MISSING))?;
        flock(&directory, FlockOperation::LockExclusive).tried("cannot lock the container")?;
        Ok(directory)
    }

    /// The fifo that holds init back until start.
    pub fn fifo(&self) -> PathBuf {
        self.directory.join(FIFO)
    }

    /// Makes the fifo; writable by all, because init opens it as whoever it has become.
    pub fn make_fifo(&self) -> Result<(), Failure> {
        let path = self.fifo();
        let mode = Mode::from_raw_mode(0o622);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).tried(format!("mkfifo {}", path.display()))?;
        rustix::fs::chmod(&path, mode).tried(format!("chmod {}", path.display()))
    }

    pub fn cgroup(&self) -> Cgroup {
        Cgroup::from_paths(&self.record.cgroup_paths)
    }

    /// All that was made for the container: its own group, or systemd's scope around it.
    pub fn whole_cgroup(&self) -> Cgroup {
        let scope = self.record.scope.as_ref();
        self.cgroup().above(scope.map(|scope| scope.subgroup.as_str()).unwrap_or_default())
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Init's process id, once there is one.
    pub fn init(&self) -> Option<Pid> {
        Pid::from_raw(self.record.init_process_pid)
    }

    pub fn is_alive(&self) -> bool {
        let record = &self.record;
        record.init_process_pid > 0
            && Liveness::of(record.init_process_pid, record.init_process_start) == Liveness::Alive
    }

    /// Where the container stands.
    pub fn status(&self) -> Result<Status, Failure> {
        if !self.is_alive() {
            return Ok(match self.record.init_process_pid {
                0 => Status::Creating,
                _ => Status::Stopped,
            });
        }
        if self.record.creating {
            return Ok(Status::Creating);
        }
        if self.fifo().exists() {
            return Ok(Status::Created);
        }
        if self.is_frozen()? {
            return Ok(Status::Paused);
        }
        Ok(Status::Running)
    }

    /// Whether all its processes stand still.
    pub fn is_frozen(&self) -> Result<bool, Failure> {
        let cgroup = self.cgroup();
        match cgroup.freezer_state() {
            Ok(state) => Ok(state != FreezerState::Thawed),
            // Without a freezer, or with the group gone, nothing can be frozen.
            Err(_) => Ok(false),
        }
    }

    /// Forgets the container.
    pub fn remove_directory(&self) -> Result<(), Failure> {
        // What is there as a rule, first.
        for name in [RECORD, FIFO] {
            let _ = fs::remove_file(self.directory.join(name));
            if fs::remove_dir(&self.directory).is_ok() {
                return Ok(());
            }
        }
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.tried(format!("cannot remove {}", self.directory.display())),
        }
    }
}
