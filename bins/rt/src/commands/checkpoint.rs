//! `checkpoint`: freezes a container into files.

use std::fs;
use std::os::fd::AsRawFd;

use runtime_spec::Status;

use super::{Command, Context, delete};
use crate::container::Container;
use crate::criu::options::{self, Places};
use crate::criu::{self, Kind, Session, Writer};
use crate::failure::{Failure, Tried};
use crate::launch::Bundle;
use crate::words::{Grammar, Words, switch, value};

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "checkpoint",
        arguments: "<container-id>",
        about: "checkpoint a running container",
        least: 1,
        most: 1,
        options: &[
            options::OPTIONS,
            &[
                value("parent-path", None, "DIR", "images of an earlier pre-dump, relative to the images"),
                switch("leave-running", None, "leave the container running"),
                switch("tcp-skip-in-flight", None, "leave out connections that are not open yet"),
                switch("link-remap", None, "make links for files that are open and removed"),
                switch("pre-dump", None, "write the memory alone and go on"),
                value("page-server", None, "ADDRESS:PORT", "where the memory goes"),
                value("status-fd", None, "FD", "written when lazy pages can be asked for"),
            ],
        ],
        ends_at_argument: false,
    },
    runs_foreign_code: false,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let container = context.store().load(&words.arguments[0])?;
    let lock = container.lock()?;
    match container.status()? {
        Status::Running | Status::Paused => {}
        other => {
            return Err(Failure::new(format!("Container cannot be checkpointed in {} state", other.word())));
        }
    }
    dump(context, words, &container)?;
    drop(lock);
    if !words.has("leave-running") && !words.has("pre-dump") {
        delete::destroy(&container)?;
    }
    Ok(0)
}

fn dump(context: &Context<'_>, words: &Words, container: &Container) -> Result<(), Failure> {
    let places = Places::read(words);
    for path in [&places.images, &places.work] {
        fs::create_dir_all(path).tried(format!("cannot make {}", path.display()))?;
    }
    let record = &container.record;
    let spec = Bundle::open_again(&record.bundle)?;
    // criu finds directories by their numbers here.
    let (images, work) = (criu::open_directory(&places.images)?, criu::open_directory(&places.work)?);
    let mut request = Writer::default();
    request.number(1, images.as_raw_fd().into());
    request.number(2, record.init_process_pid.into());
    request.number(17, work.as_raw_fd().into());
    options::write(words, &record.annotations, "dump.log", &record.rootfs, &mut request)?;
    request.switch(3, words.has("leave-running"));
    request.switch(18, words.has("link-remap"));
    request.switch(46, words.has("tcp-skip-in-flight"));
    let pre_dump = words.has("pre-dump");
    request.switch(15, pre_dump || words.value("parent-path").is_some());
    if let Some(parent) = words.value("parent-path").filter(|path| !path.is_empty()) {
        request.text(14, parent);
    }
    if let Some(server) = words.value("page-server") {
        page_server(server, &mut request)?;
    }
    if let Some(number) = words.number::<i32>("status-fd")? {
        request.number(49, number.into());
    }
    for (place, _) in criu::outer_mounts(&spec, &record.rootfs, &record.bundle) {
        options::external_mount(&mut request, &place, &place);
    }
    outer_network(container, &spec, &mut request)?;
    if let Some(path) = record.cgroup_paths.get("freezer").or_else(|| record.cgroup_paths.get("")) {
        request.text(44, &path.to_string_lossy());
    }
    save_descriptors(container, &places)?;
    let kind = if pre_dump { Kind::PreDump } else { Kind::Dump };
    let session = Session::start(&context.global.criu, Vec::new())?;
    session.ask(kind, &request, |_| Ok(())).map(drop).map_err(|failure| {
        Failure::new(format!("{failure} (log file: {})", places.work.join("dump.log").display()))
    })
}

fn page_server(text: &str, request: &mut Writer) -> Result<(), Failure> {
    let invalid = || Failure::new(format!("invalid page server {text:?}: ADDRESS:PORT expected"));
    let (address, port) = text.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    request.message(11, |server| {
        server.text(1, address);
        server.number(2, port.into());
    });
    Ok(())
}

/// A namespace that somebody else made is left out of the images.
fn outer_network(
    container: &Container,
    spec: &runtime_spec::Spec,
    request: &mut Writer,
) -> Result<(), Failure> {
    let namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    for namespace in namespaces.filter(|one| one.kind == "network" && !one.path.is_empty()) {
        use std::os::unix::fs::MetadataExt;
        let path = format!("/proc/{}/ns/net", container.record.init_process_pid);
        let inode = fs::metadata(&path).tried(format!("cannot read {} ({path})", namespace.path))?.ino();
        request.text(37, &format!("net[{inode}]:{}", criu::NETWORK));
    }
    Ok(())
}

/// Notes what the standard streams are, so that `restore` can put its own in their place.
fn save_descriptors(container: &Container, places: &Places) -> Result<(), Failure> {
    let pid = container.record.init_process_pid;
    let names: Vec<String> = (0..3)
        .map(|number| fs::read_link(format!("/proc/{pid}/fd/{number}")))
        .map(|link| link.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default())
        .collect();
    let path = places.images.join(criu::DESCRIPTORS);
    let text = serde_json::to_vec(&names).map_err(|error| Failure::new(error.to_string()))?;
    fs::write(&path, text).tried(format!("cannot write {}", path.display()))
}
