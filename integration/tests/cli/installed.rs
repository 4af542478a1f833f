//! `make install` puts a whole and working tree in place, and `make uninstall` takes it away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration::Programs;

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

fn make(target: &str, destination: &Path) {
    let programs = Programs::find().path("").canonicalize().unwrap();
    run(Command::new("make")
        .arg(target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("OUT={}", programs.display()))
        .arg("PREFIX=/usr"));
}

/// Every file and link below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).unwrap().map(Result::unwrap);
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}

#[test]
fn what_is_installed_is_whole_and_goes_again() {
    let root = tempfile::tempdir().unwrap();
    make("install", root.path());
    let bin = root.path().join("usr/bin");
    for program in
        ["ctl", "engined", "supervisord", "shim", "rt", "wherry-logger", "containerd-shim-wherry-v1"]
    {
        let mode = std::fs::metadata(bin.join(program)).unwrap_or_else(|error| panic!("{program}: {error}"));
        assert_eq!(mode.permissions().mode() & 0o777, 0o755, "{program}");
    }
    let etc = root.path().join("etc/wherry");
    run(Command::new(bin.join("engined"))
        .arg("--validate")
        .arg("--config-file")
        .arg(etc.join("daemon.json")));
    run(Command::new(bin.join("supervisord"))
        .arg("-c")
        .arg(etc.join("supervisord.toml"))
        .args(["config", "dump"]));
    for unit in ["wherry-engined.service", "wherry-engined.socket", "wherry-supervisord.service"] {
        let text = std::fs::read_to_string(root.path().join("usr/lib/systemd/system").join(unit)).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let program = line.split(' ').next().unwrap().trim_start_matches('/');
            assert!(root.path().join(program).is_file(), "{unit} starts {line}");
        }
    }
    for page in ["man1/ctl.1", "man1/ctl-run.1"] {
        assert!(root.path().join("usr/share/man").join(page).is_file(), "{page}");
    }
    make("uninstall", root.path());
    let mut left = files(root.path());
    left.sort();
    // What a person may have changed stays.
    assert_eq!(left, [etc.join("daemon.json"), etc.join("supervisord.toml")]);
}
