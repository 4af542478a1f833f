//! Running a client program and looking at what came of it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program about to be run.
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
}

/// What a program did.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    command: String,
}

impl Invocation {
    /// `program`, without arguments so far.
    pub fn new(program: &Path) -> Invocation {
        Invocation {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Invocation {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Invocation {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it reads from stdin; nothing otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Invocation {
        self.input = input.into();
        self
    }

    /// The command, for those who want it otherwise than [`Invocation::run`] has it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub fn run(self) -> io::Result<Outcome> {
        let mut command = self.command();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let input = self.input;
        // Input and output at once, lest both sides wait on a full pipe.
        let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        Ok(Outcome {
            code: exit_code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: format!("{command:?}"),
        })
    }

    /// Runs it in the background with both outputs piped.
    pub fn spawn(self) -> io::Result<Child> {
        self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Runs it and panics, with all it said, unless it succeeds; returns what it printed, trimmed.
    #[track_caller]
    pub fn expect(self) -> String {
        let outcome = self.run().expect("the program can be run");
        outcome.expect_code(0).stdout.trim().to_owned()
    }
}

impl Outcome {
    /// Panics, with all the program said, unless it ended with `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Outcome {
        assert_eq!(
            self.code, code,
            "{} ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        );
        self
    }

    /// Panics unless stderr contains `text`.
    #[track_caller]
    pub fn expect_complaint(self, text: &str) -> Outcome {
        assert!(self.stderr.contains(text), "{} does not say {text:?} but\n{}", self.command, self.stderr);
        self
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
