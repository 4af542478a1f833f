//! A container's class of service and its monitoring group.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use runtime_spec::IntelRdt;
use serde::{Deserialize, Serialize};

use crate::schemata::grants;
use crate::{Error, Resctrl};

/// Where a container's processes are, and what is to be taken away with it. Kept between
/// invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    root: PathBuf,
    class: PathBuf,
    /// Whether the class was made for this container alone.
    owns_class: bool,
    /// The monitoring group of this container's own, if it has one.
    monitor: Option<PathBuf>,
}

impl Group {
    /// Finds or makes what the configuration asks for, and writes its shares. After a failure
    /// nothing is left.
    ///
    /// A class that the configuration does not name is the container's own, by its `id`. One that it
    /// names is made where it is missing, if its shares are given, and stays.
    pub fn make(resctrl: &Resctrl, wanted: &IntelRdt, id: &str) -> Result<Group, Error> {
        let root = &resctrl.root;
        let owns_class = wanted.clos_id.is_empty();
        let name = if owns_class { id } else { wanted.clos_id.as_str() };
        let class = if name == "/" { root.clone() } else { root.join(name) };
        let mut group = Group { root: root.clone(), class, owns_class: false, monitor: None };
        let is_new = group.make_class(wanted, name, owns_class)?;
        let made = group.fill(wanted, is_new, id);
        if let Err(error) = made {
            if is_new {
                let _ = fs::remove_dir(&group.class);
            }
            return Err(error);
        }
        group.owns_class = owns_class && is_new;
        Ok(group)
    }

    /// Makes the class if it is missing; whether it was.
    fn make_class(&self, wanted: &IntelRdt, name: &str, owns_class: bool) -> Result<bool, Error> {
        let says_shares = lines(wanted).next().is_some();
        if self.class.exists() {
            let found = self.read_schemata()?;
            for line in [&wanted.l3_cache_schema, &wanted.mem_bw_schema] {
                if !line.is_empty() && !grants(&found, line) {
                    return Err(Error::Differs { class: name.to_owned(), wanted: line.clone(), found });
                }
            }
            return Ok(false);
        }
        if !owns_class && !says_shares {
            return Err(Error::NoClass { class: name.to_owned() });
        }
        make_directory(&self.class)?;
        Ok(true)
    }

    fn fill(&mut self, wanted: &IntelRdt, is_new: bool, id: &str) -> Result<(), Error> {
        if is_new {
            lines(wanted).try_for_each(|line| self.share(line))?;
        } else {
            // What the other two fields say was found there.
            wanted.schemata.iter().try_for_each(|line| self.share(line))?;
        }
        if wanted.enable_monitoring {
            let monitor = self.class.join("mon_groups").join(id);
            make_directory(&monitor)?;
            self.monitor = Some(monitor);
        }
        Ok(())
    }

    /// Writes one line of shares, such as `MB:0=20;1=70`.
    pub fn share(&self, line: &str) -> Result<(), Error> {
        self.write(&self.class.join("schemata"), &format!("{line}\n"))
    }

    /// Moves a process in, and with it all that it starts from now on.
    pub fn add_process(&self, pid: i32) -> Result<(), Error> {
        let tasks = [Some(&self.class), self.monitor.as_ref()];
        tasks.into_iter().flatten().try_for_each(|place| self.write(&place.join("tasks"), &pid.to_string()))
    }

    /// Takes away what was made for this container. What is gone is no failure.
    pub fn remove(&self) -> Result<(), Error> {
        let own = [self.monitor.as_ref(), self.owns_class.then_some(&self.class)];
        for path in own.into_iter().flatten() {
            match fs::remove_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    other.map_err(|source| Error::Path { verb: "remove", path: path.clone(), source })?
                }
            }
        }
        Ok(())
    }

    fn read_schemata(&self) -> Result<String, Error> {
        let path = self.class.join("schemata");
        fs::read_to_string(&path).map_err(|source| Error::Path { verb: "read", path, source })
    }

    fn write(&self, path: &Path, value: &str) -> Result<(), Error> {
        let put = || fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes());
        put().map_err(|source| Error::Write {
            path: path.to_owned(),
            value: value.trim_end().to_owned(),
            status: Resctrl::at(&self.root).status(),
            source,
        })
    }
}

fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir(path).map_err(|source| Error::Path { verb: "make", path: path.to_owned(), source })
}

/// All shares in the order in which they are written.
fn lines(wanted: &IntelRdt) -> impl Iterator<Item = &str> {
    let two = [&wanted.l3_cache_schema, &wanted.mem_bw_schema].into_iter().filter(|line| !line.is_empty());
    two.chain(&wanted.schemata).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in the place of the kernel's: a directory made there gets none by itself.
    struct Tree {
        directory: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Tree {
            let tree = Tree { directory: tempfile::tempdir().unwrap() };
            tree.fill("");
            tree.fill("gold");
            tree
        }

        fn fill(&self, class: &str) {
            let path = self.path(class);
            fs::create_dir_all(path.join("mon_groups")).unwrap();
            fs::write(path.join("schemata"), "    L3:0=7ff;1=1f\n    MB:0=100\n").unwrap();
            fs::write(path.join("tasks"), "").unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn make(&self, json: &str) -> Result<Group, Error> {
            let wanted = serde_json::from_str(json).unwrap();
            Group::make(&Resctrl::at(self.directory.path()), &wanted, "box")
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap()
        }
    }

    #[test]
    fn a_class_that_is_there_is_taken_and_stays() {
        let tree = Tree::new();
        let group = tree.make(r#"{"closID":"gold","l3CacheSchema":"L3:1=01F"}"#).unwrap();
        group.add_process(42).unwrap();
        assert_eq!(tree.read("gold/tasks"), "42");
        group.remove().unwrap();
        assert!(tree.path("gold").exists());
        let default = tree.make(r#"{"closID":"/"}"#).unwrap();
        default.add_process(7).unwrap();
        assert_eq!(tree.read("tasks"), "7");
        default.remove().unwrap();
    }

    #[test]
    fn a_class_with_other_shares_is_refused() {
        let tree = Tree::new();
        let refused = tree.make(r#"{"closID":"gold","memBwSchema":"MB:0=10"}"#).unwrap_err();
        assert!(matches!(refused, Error::Differs { .. }), "{refused}");
        let missing = tree.make(r#"{"closID":"silver"}"#).unwrap_err();
        assert!(missing.to_string().contains("\"silver\" does not exist"), "{missing}");
        assert!(!tree.path("silver").exists());
    }

    #[test]
    fn shares_of_a_class_that_is_there_are_written_last() {
        let tree = Tree::new();
        tree.make(r#"{"closID":"gold","schemata":["MB:0=20"]}"#).unwrap();
        assert!(tree.read("gold/schemata").starts_with("MB:0=20\n"));
    }

    #[test]
    fn a_class_that_cannot_be_filled_goes_again() {
        let tree = Tree::new();
        // The kernel would have made its files.
        let failed = tree.make(r#"{"schemata":["L3:0=1"]}"#).unwrap_err();
        assert!(matches!(failed, Error::Write { .. }), "{failed}");
        assert!(!tree.path("box").exists());
    }

    #[test]
    fn a_class_of_its_own_goes_with_the_container() {
        let tree = Tree::new();
        let group = tree.make("{}").unwrap();
        assert!(tree.path("box").is_dir());
        group.remove().unwrap();
        assert!(!tree.path("box").exists());
        group.remove().unwrap();
    }

    #[test]
    fn a_monitoring_group_goes_with_the_container() {
        let tree = Tree::new();
        let group = tree.make(r#"{"closID":"gold","enableMonitoring":true}"#).unwrap();
        let monitor = tree.path("gold/mon_groups/box");
        fs::write(monitor.join("tasks"), "").unwrap();
        group.add_process(5).unwrap();
        assert_eq!(fs::read_to_string(monitor.join("tasks")).unwrap(), "5");
        fs::remove_file(monitor.join("tasks")).unwrap();
        group.remove().unwrap();
        assert!(!monitor.exists() && tree.path("gold").exists());
        // A second one of the same name is somebody else's.
        fs::create_dir(&monitor).unwrap();
        assert!(tree.make(r#"{"closID":"gold","enableMonitoring":true}"#).is_err());
        assert!(monitor.exists());
    }
}
