//! A user story: a private stack with an image in it, told through every client, and a clean host at its end.

use crate::image::Image;
use crate::{Invocation, Stack, peer};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a story may take.
const LONGEST: Duration = Duration::from_secs(300);

/// A running stack of the test's own.
pub struct Story {
    /// The stack.
    pub stack: Stack,
    scratch: TempDir,
    ended: Arc<AtomicBool>,
}

/// A program that people use to talk to the engine.
#[derive(Clone, Debug)]
pub struct Client {
    /// What to call it in a message.
    pub name: String,
    program: PathBuf,
    host: Stack,
}

impl Story {
    /// A stack with the image `busybox`.
    pub fn new() -> Story {
        Story::with(&[])
    }

    /// A stack with the image `busybox`, whose engined gets further arguments.
    pub fn with(engined: &[&str]) -> Story {
        let scratch = tempfile::Builder::new().prefix("wh").tempdir_in("/tmp").expect("a scratch directory");
        let stack = Stack::at(&scratch.path().join("s")).expect("a stack's directory").with_engined(engined);
        let story = Story { stack, scratch, ended: Arc::default() };
        story.watch();
        if let Err(error) = story.stack.up() {
            panic!("cannot start the stack: {error}");
        }
        let archive =
            Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).expect("an image");
        story.ctl().call(["load"]).input(archive).expect();
        story
    }

    /// Ends the stack of a story that takes too long: whoever waits on it fails instead of waiting for ever.
    fn watch(&self) {
        let (ended, stack) = (self.ended.clone(), self.stack.clone());
        std::thread::spawn(move || {
            let started = Instant::now();
            // A story that is told at length, as `WHERRY_KILLS` has it, may take that much longer.
            let longest = if std::env::var_os("WHERRY_KILLS").is_some() { LONGEST * 12 } else { LONGEST };
            while started.elapsed() < longest {
                std::thread::sleep(Duration::from_secs(1));
                if ended.load(Ordering::Relaxed) {
                    return;
                }
            }
            eprintln!("the story takes longer than {longest:?}: its stack goes down");
            let _ = stack.down();
        });
    }

    /// Told at length, as a measurement is: it may take as long as it takes.
    #[must_use]
    pub fn at_length(self) -> Story {
        self.ended.store(true, Ordering::Relaxed);
        self
    }

    /// A path in the story's own directory, outside the stack's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Our own client.
    pub fn ctl(&self) -> Client {
        Client { name: "ctl".into(), program: self.stack.programs().path("ctl"), host: self.stack.clone() }
    }

    /// `ctl` and every stock docker CLI there is: Debian's, and a newer one first on the path.
    pub fn clients(&self) -> Vec<Client> {
        let mut clients = vec![self.ctl()];
        let stock = [Some(PathBuf::from("/usr/bin/docker")), peer::find("docker")];
        for program in stock.into_iter().flatten().filter(|program| program.is_file()) {
            if clients.iter().all(|client| client.program != program) {
                let name = program.display().to_string();
                clients.push(Client { name, program, host: self.stack.clone() });
            }
        }
        assert!(clients.len() > 1 || !peer::require("docker"), "a stock docker CLI");
        clients
    }

    /// Takes the stack down and asserts that nothing of it is left.
    pub fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.stack.down().expect("the stack goes down");
        self.stack.leftovers().expect_none();
        let left: Vec<_> =
            std::fs::read_dir(&self.stack.dir).expect("the directory").flatten().map(|e| e.path()).collect();
        assert!(left.is_empty(), "files left: {left:?}");
    }
}

impl Default for Story {
    fn default() -> Story {
        Story::new()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        for name in ["engined", "supervisord"] {
            let text = std::fs::read_to_string(self.stack.log(name)).unwrap_or_default();
            let from = text.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("--- the end of {name}'s log\n{}", &text[from..]);
        }
        if let Err(error) = self.stack.down() {
            eprintln!("cannot take the stack down: {error}");
        }
    }
}

impl Client {
    /// The client with these arguments, about to run on the story's stack.
    pub fn call<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        self.host.client(&self.program, arguments)
    }

    /// A name for a container that no other client of the story uses.
    pub fn own(&self, name: &str) -> String {
        let tail: String =
            self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("{name}{tail}")
    }
}

/// Waits until `look` finds something; panics when it does not in time.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
