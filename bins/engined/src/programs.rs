//! Where our companions and the host's programs are.

use std::path::{Path, PathBuf};

/// A program beside this executable, else on `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    let beside =
        std::env::current_exe().ok().and_then(|own| own.parent().map(|directory| directory.join(name)));
    beside.filter(|path| is_program(path)).or_else(|| on_path(name))
}

/// A program on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
