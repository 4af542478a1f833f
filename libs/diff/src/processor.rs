//! Programs that turn a layer of a kind of their own, such as an encrypted one, into one that we know.
//!
//! They are containerd's stream processors (core/diff/stream.go): the layer comes on standard input, what it
//! becomes goes to standard output, `STREAM_PROCESSOR_MEDIATYPE` says what came, and a message for the
//! program, if the client sent one, is on descriptor 3.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};

use containerd_api::Any;
use errdefs::{Error, Result};
use prost::Message;

use crate::compression::{CHUNK, Compression};

/// Where a program finds its message.
const PAYLOAD: i32 = 3;
/// Bytes of a program's complaint that are told.
const COMPLAINT: u64 = 4 << 10;

/// A program, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// By which a client addresses a message to it.
    pub id: String,
    /// Media types that it takes.
    pub accepts: Vec<String>,
    /// The media type that they become.
    pub returns: String,
    pub path: PathBuf,
    pub args: Vec<String>,
    /// `NAME=VALUE`, besides this process's environment.
    pub env: Vec<String>,
}

/// The programs that there are; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Processors(Arc<[Processor]>);

impl Processors {
    /// In this order of preference.
    pub fn new(processors: Vec<Processor>) -> Processors {
        Processors(processors.into())
    }

    /// Those that a layer of `media_type` goes through, in order; none for one that we know.
    ///
    /// # Errors
    /// Unimplemented: it leads to no layer that we know.
    pub fn chain(&self, media_type: &str) -> Result<Vec<(&Processor, String)>> {
        let (mut chain, mut current): (Vec<(&Processor, String)>, _) = (Vec::new(), media_type);
        loop {
            let refused = match Compression::of_media_type(current) {
                Ok(_) => return Ok(chain),
                Err(refused) => refused,
            };
            let takes = |next: &&Processor| {
                next.accepts.iter().any(|accepted| accepted == current)
                    && !chain.iter().any(|(used, _)| used.id == next.id)
            };
            let next = self.0.iter().find(takes).ok_or(refused)?;
            chain.push((next, current.to_owned()));
            current = &next.returns;
        }
    }

    /// The bytes of a layer as a kind that we know; as they are, when it is one. Clients send messages for every
    /// program that a layer may go through: those of others are passed over.
    ///
    /// # Errors
    /// As [`Processors::chain`], and when a program cannot be started. What a program complains of later is
    /// an error of reading.
    pub fn open(
        &self,
        media_type: &str,
        source: impl Read + Send + 'static,
        payloads: &HashMap<String, Any>,
    ) -> Result<Box<dyn Read + Send>> {
        let chain = self.chain(media_type)?;
        let mut stream: Box<dyn Read + Send> = Box::new(source);
        for (processor, accepted) in chain {
            stream = Box::new(processor.start(&accepted, stream, payloads.get(&processor.id))?);
        }
        Ok(stream)
    }
}

impl Processor {
    fn start(
        &self,
        media_type: &str,
        source: Box<dyn Read + Send>,
        payload: Option<&Any>,
    ) -> Result<Running> {
        let cannot = |cause: io::Error| {
            Error::unknown(format!("cannot start stream processor {} ({})", self.id, self.path.display()))
                .with_source(cause)
        };
        let mut command = Command::new(&self.path);
        command.args(&self.args).env("STREAM_PROCESSOR_MEDIATYPE", media_type);
        command.envs(self.env.iter().filter_map(|pair| pair.split_once('=')));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut message = None;
        if let Some(payload) = payload {
            let (read, write): (PipeReader, PipeWriter) = io::pipe().map_err(cannot)?;
            syscalls::spawn::pass(&mut command, [(read.into(), PAYLOAD)]);
            message = Some((write, payload.encode_to_vec()));
        }
        let mut child = command.spawn().map_err(cannot)?;
        // It holds the reading end of the message.
        drop(command);
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        if let Some((mut write, bytes)) = message {
            // A program that does not read it goes without.
            spawn(move || drop(write.write_all(&bytes)));
        }
        let feeding = spawn(move || input.map_or(Ok(()), |input| feed(source, input)));
        let complaining = spawn(move || {
            let mut said = Vec::new();
            if let Some(mut errors) = errors {
                // What cannot be read is not told; the rest is read, so that the program can go on.
                let _ = errors.by_ref().take(COMPLAINT).read_to_end(&mut said);
                let _ = io::copy(&mut errors, &mut io::sink());
            }
            String::from_utf8_lossy(&said).trim().to_owned()
        });
        let helpers = Some((feeding, complaining));
        Ok(Running { id: self.id.clone(), child, output, helpers })
    }
}

/// Everything from `source` into a program. One that closes its input early has enough.
fn feed(mut source: impl Read, mut input: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        match input.write_all(&buffer[..count]) {
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}

/// A program at work; dropped before its end it is killed.
struct Running {
    id: String,
    child: Child,
    output: Option<ChildStdout>,
    helpers: Option<(JoinHandle<io::Result<()>>, JoinHandle<String>)>,
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(output) = self.output.as_mut().filter(|_| !buffer.is_empty()) else { return Ok(0) };
        match output.read(buffer)? {
            0 => self.finish().map(|()| 0),
            count => Ok(count),
        }
    }
}

impl Running {
    /// At the end of its output it must have ended well, and the layer must have been readable.
    fn finish(&mut self) -> io::Result<()> {
        self.output = None;
        let status = self.child.wait()?;
        let Some((feeding, complaining)) = self.helpers.take() else { return Ok(()) };
        let died = |_| io::Error::other("a thread beside it died");
        let said = complaining.join().map_err(died)?;
        if !status.success() {
            return Err(io::Error::other(format!("stream processor {} failed: {said}: {status}", self.id)));
        }
        feeding.join().map_err(died)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.helpers.is_some() {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

    fn shell(id: &str, accepts: &str, returns: &str, script: &str) -> Processor {
        Processor {
            id: id.into(),
            accepts: vec![accepts.into()],
            returns: returns.into(),
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec!["LEAD=>".into()],
        }
    }

    fn read(
        processors: &Processors,
        media_type: &str,
        payloads: &HashMap<String, Any>,
    ) -> io::Result<String> {
        let layer = io::Cursor::new(b"layer".to_vec());
        io::read_to_string(processors.open(media_type, layer, payloads).map_err(io::Error::other)?)
    }

    #[test]
    fn a_layer_goes_through_one_after_the_other() {
        let processors = Processors::new(vec![
            shell("outer", "x/outer", "x/inner", "tr a-z A-Z"),
            shell("inner", "x/inner", LAYER, "printf \"$LEAD$STREAM_PROCESSOR_MEDIATYPE \"; cat"),
        ]);
        let none = HashMap::new();
        assert_eq!(read(&processors, "x/outer", &none).unwrap(), ">x/inner LAYER");
        assert_eq!(read(&processors, LAYER, &none).unwrap(), "layer");
        let unknown = processors.chain("x/other").unwrap_err();
        assert_eq!(unknown.kind(), errdefs::Kind::Unimplemented);
        assert!(unknown.to_string().contains("no processor for media-type"));
    }

    #[test]
    fn processors_that_lead_in_a_circle_are_no_way() {
        let processors = Processors::new(vec![shell("a", "x/a", "x/b", ""), shell("b", "x/b", "x/a", "")]);
        assert_eq!(processors.chain("x/a").unwrap_err().kind(), errdefs::Kind::Unimplemented);
    }

    #[test]
    fn a_message_reaches_its_program_and_no_other() {
        let processors = Processors::new(vec![shell("one", "x/one", LAYER, "cat <&3; cat")]);
        let message = Any { type_url: "t".into(), value: b"key ".to_vec() };
        let to = |id: &str| HashMap::from([(id.to_owned(), message.clone())]);
        let heard = read(&processors, "x/one", &to("one")).unwrap();
        assert!(heard.contains("key ") && heard.ends_with("layer"), "{heard:?}");
        // The shell has no descriptor 3 then, and goes on.
        assert_eq!(read(&processors, "x/one", &to("two")).unwrap(), "layer");
    }

    #[test]
    fn the_end_of_a_program_is_the_end_of_the_layer() {
        let processors = Processors::new(vec![
            shell("bad", "x/bad", LAYER, "cat; echo no key >&2; exit 3"),
            // It has enough after a byte, and that is fine.
            shell("short", "x/short", LAYER, "head -c 1"),
        ]);
        let none = HashMap::new();
        let failed = read(&processors, "x/bad", &none).unwrap_err().to_string();
        assert!(failed.contains("stream processor bad failed: no key: exit status: 3"), "{failed}");
        let endless = io::repeat(b'a');
        let mut short = processors.open("x/short", endless, &none).unwrap();
        assert_eq!(io::read_to_string(&mut short).unwrap(), "a");
        let missing = Processor { path: "/no/such".into(), ..shell("gone", "x/gone", LAYER, "") };
        assert!(read(&Processors::new(vec![missing]), "x/gone", &none).is_err());
    }

    #[test]
    fn one_that_nobody_reads_is_ended() {
        let processors = Processors::new(vec![shell("slow", "x/slow", LAYER, "exec sleep 1000")]);
        let started = std::time::Instant::now();
        drop(processors.open("x/slow", io::empty(), &HashMap::new()).unwrap());
        assert!(started.elapsed() < std::time::Duration::from_secs(500));
    }
}
