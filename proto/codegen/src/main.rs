//! Writes `libs/containerd-api/src/generated` from the contracts in `proto/`.
//!
//! Run it from anywhere: `cargo run --manifest-path proto/codegen/Cargo.toml`.

use prost::Message;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Services that only shims speak, over ttrpc: messages without gRPC stubs.
const MESSAGES_ONLY: [&str; 5] = [
    "containerd/task/",
    "containerd/runtime/",
    "containerd/services/events/ttrpc/",
    "io/",
    "runtimeoptions/",
];

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let generated = proto.join("../libs/containerd-api/src/generated");
    fs::create_dir_all(&generated)?;
    let contracts = contracts(&proto)?;
    let files = protox::compile(&contracts, [&proto])?;
    fs::write(generated.join("descriptors.bin"), described(&files).encode_to_vec())?;
    let (plain, served): (Vec<_>, Vec<_>) = files
        .file
        .into_iter()
        .partition(|file| MESSAGES_ONLY.iter().any(|prefix| file.name().starts_with(prefix)));
    let all = plain.iter().chain(&served).cloned().collect();
    tonic_prost_build::configure()
        .out_dir(&generated)
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds_with_config(set(served), messages())?;
    let names: Vec<String> = plain.iter().map(|file| file.package().to_owned()).collect();
    let scratch = tempdir(&generated)?;
    messages().out_dir(&scratch).compile_fds(set(all))?;
    for name in names {
        fs::rename(scratch.join(format!("{name}.rs")), generated.join(format!("{name}.rs")))?;
    }
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// What server reflection tells of the contracts: the files without their comments.
fn described(files: &prost_types::FileDescriptorSet) -> prost_types::FileDescriptorSet {
    let mut files = files.clone();
    for file in &mut files.file {
        file.source_code_info = None;
    }
    files
}

/// How messages are generated: byte fields shared, full names known for `Any`.
fn messages() -> prost_build::Config {
    let mut config = prost_build::Config::new();
    config.bytes(["."]).enable_type_names();
    config
}

fn set(file: Vec<prost_types::FileDescriptorProto>) -> prost_types::FileDescriptorSet {
    prost_types::FileDescriptorSet { file }
}

fn tempdir(beside: &Path) -> std::io::Result<PathBuf> {
    let dir = beside.join(".new");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Every contract below `dir`, in a stable order.
fn contracts(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("codegen") {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
