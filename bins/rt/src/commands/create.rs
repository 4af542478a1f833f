//! `create`: makes a container whose program waits for `start`.

use std::path::{Path, PathBuf};

use super::{Command, Context};
use crate::container::Id;
use crate::failure::Failure;
use crate::launch::{self, Bundle, Notify, Request, Streams};
use crate::words::{Grammar, Opt, Words, switch, value};

/// Options that `run` has too.
pub const OPTIONS: &[Opt] = &[
    value("bundle", Some('b'), "DIR", "the bundle (default: current directory)"),
    value("config", Some('f'), "FILE", "the configuration (default: config.json of the bundle)"),
    value("console-socket", None, "SOCKET", "unix socket that takes the terminal's master"),
    value("pidfd-socket", None, "SOCKET", "unix socket that takes the process's pidfd"),
    value("pid-file", None, "FILE", "file that takes the process id"),
    switch("no-pivot", None, "do not use pivot_root"),
    switch("no-new-keyring", None, "keep the session keyring"),
    value("preserve-fds", None, "N", "pass N descriptors from 3 up"),
];

pub const COMMAND: Command = Command {
    grammar: Grammar {
        name: "create",
        arguments: "<container-id>",
        about: "create a container",
        least: 1,
        most: 1,
        options: &[OPTIONS, &[switch("no-subreaper", None, "accepted: create adopts nobody")]],
        ends_at_argument: false,
    },
    runs_foreign_code: true,
    run,
};

fn run(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    make(context, words).map_err(|failure| failure.within("runc create failed"))
}

fn make(context: &Context<'_>, words: &Words) -> Result<i32, Failure> {
    let id = Id::parse(&words.arguments[0])?;
    let mut bundle = open_bundle(words)?;
    let notify = Notify::from_environment(&context.store(), &id, &mut bundle.spec);
    let streams = Streams { detach: true, ..streams(words)? };
    let request = Request {
        id: &id,
        bundle: &bundle,
        streams: &streams,
        no_pivot: words.has("no-pivot"),
        no_new_keyring: words.has("no-new-keyring"),
        starts_later: true,
        manager: context.global.manager,
        rootless: context.global.rootless,
        notify: notify.as_ref(),
    };
    launch::create(&context.store(), &request, context.log)?;
    Ok(0)
}

/// The bundle that the options name.
pub fn open_bundle(words: &Words) -> Result<Bundle, Failure> {
    let directory = words.value("bundle").filter(|text| !text.is_empty()).unwrap_or(".");
    // A path given on the command line is relative to the caller, not to the bundle.
    let config = words.value("config").map(|path| std::env::current_dir().unwrap_or_default().join(path));
    Bundle::open(Path::new(directory), config.as_deref())
}

/// The wiring that the options name.
pub fn streams(words: &Words) -> Result<Streams, Failure> {
    let path = |name: &str| words.value(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    Ok(Streams {
        detach: words.has("detach"),
        console_socket: path("console-socket"),
        pidfd_socket: path("pidfd-socket"),
        preserve_fds: words.number("preserve-fds")?.unwrap_or(0),
        pid_file: path("pid-file"),
    })
}
