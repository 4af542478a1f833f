//! The runtimes that are there to test with.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The runtimes to test with: those that are there, and `WHERRY_TEST_RT`.
pub fn runtimes() -> Vec<String> {
    static FOUND: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    FOUND.get_or_init(find_runtimes).clone()
}

fn find_runtimes() -> Vec<String> {
    let mut found: Vec<String> = find("runc").into_iter().collect();
    found.extend(find("crun").map(|crun| if is_hybrid() { crun_without_unified(&crun) } else { crun }));
    found.extend(std::env::var("WHERRY_TEST_RT").ok());
    assert!(!found.is_empty(), "install runc or crun");
    found
}

/// crun refuses hosts whose unified hierarchy has controllers beside v1's: it gets a mount
/// namespace of its own, in which there is none.
fn crun_without_unified(crun: &str) -> String {
    let wrapper = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crun");
    let script = format!(
        "#!/bin/sh\nexec unshare --mount --propagation slave sh -c \
         'umount /sys/fs/cgroup/unified && exec {crun} \"$@\"' crun \"$@\"\n"
    );
    let new = wrapper.with_extension(std::process::id().to_string());
    let written = wrapper.with_extension(format!("{}.written", std::process::id()));
    std::fs::write(&written, script).unwrap();
    copy_program(&written, &new);
    std::fs::remove_file(&written).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&new, &wrapper).unwrap();
    wrapper.display().to_string()
}

fn find(name: &str) -> Option<String> {
    let paths = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    paths.iter().map(|dir| format!("{dir}/{name}")).find(|path| Path::new(path).exists())
}

fn is_hybrid() -> bool {
    Path::new("/sys/fs/cgroup/unified").exists()
}

/// Copies a program by a child process: a descriptor for writing that another thread's child had inherited would
/// make the kernel refuse to run it ("text file busy").
pub fn copy_program(from: impl AsRef<std::path::Path>, to: impl AsRef<std::path::Path>) {
    let copied = std::process::Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status().unwrap();
    assert!(copied.success());
}
