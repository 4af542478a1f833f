//! Running an exec, with or without a client on its streams.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use containerd_api::services::tasks::v1::{CloseIoRequest, ExecProcessRequest, StartRequest};
use containerd_api::{PROCESS_URL, pack_json};
use engine_api::exec::ExecCreate;
use errdefs::{Error, Kind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use super::Exec;
use crate::api::hijack::Stream;
use crate::containers::stdio::{Stdin, frame, make_fifo};
use crate::containers::{plan, spec};
use crate::detach::{DetachKeys, Escape};
use crate::engine::Engine;
use crate::supervisor::failed;

/// Who is on the streams.
pub enum Client {
    None,
    /// The start says whether the output is framed, whatever the process writes to.
    Attached {
        stream: Stream,
        is_framed: bool,
    },
}

/// The fifos of an exec; they go when this goes.
struct Fifos {
    stdin: Option<PathBuf>,
    stdout: Option<PathBuf>,
    stderr: Option<PathBuf>,
}

impl Drop for Fifos {
    fn drop(&mut self) {
        for path in [&self.stdin, &self.stdout, &self.stderr].into_iter().flatten() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Starts an exec; with a client, serves it to the end.
///
/// # Errors
/// The process cannot be started.
pub async fn start(
    engine: &Arc<Engine>,
    exec: &Arc<Exec>,
    client: Client,
    console_size: Option<[u64; 2]>,
) -> Result<()> {
    let is_first = exec.state.send_if_modified(|state| !std::mem::replace(&mut state.is_started, true));
    if !is_first {
        return Err(exec.has_started());
    }
    engine.tell_container(&exec.action("exec_start"), &exec.container, &[("execID", exec.id.clone())]);
    let started = match client {
        Client::None => {
            begin(engine, exec, &Fifos { stdin: None, stdout: None, stderr: None }, console_size).await
        }
        Client::Attached { stream, is_framed } => {
            return attached(engine, exec, stream, is_framed, console_size).await;
        }
    };
    if let Err(error) = &started {
        exec.state.send_modify(|state| state.exit_code = Some(code_of(error)));
    }
    started
}

/// 126 and 127 as a shell has them.
fn code_of(error: &Error) -> i64 {
    match crate::containers::start::exit_code(&error.chain()) {
        128 => 126,
        code => code,
    }
}

async fn begin(
    engine: &Arc<Engine>,
    exec: &Arc<Exec>,
    fifos: &Fifos,
    console_size: Option<[u64; 2]>,
) -> Result<()> {
    let container = &exec.container;
    let record = container.record();
    let accounts = plan::accounts(engine, container, &record).await?;
    let user = if exec.wish.user.is_empty() { &record.config.user } else { &exec.wish.user };
    let more = record.host_config.group_add.clone().unwrap_or_default();
    let (user, home) = accounts.resolve(user, &more)?;
    let wish = ExecCreate { console_size: console_size.or(exec.wish.console_size), ..exec.wish.clone() };
    let limits: Vec<_> = engine.config.default_ulimits.values().cloned().collect();
    let process = spec::exec_process(&record, &wish, user, &home, &plan::all_capabilities(), &limits)?;
    let json = serde_json::to_vec(&process)
        .map_err(|cause| Error::internal("cannot encode a process").with_source(cause))?;
    let text = |path: &Option<PathBuf>| {
        path.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let request = ExecProcessRequest {
        container_id: container.id.clone(),
        exec_id: exec.id.clone(),
        stdin: text(&fifos.stdin),
        stdout: text(&fifos.stdout),
        stderr: if exec.wish.tty { String::new() } else { text(&fifos.stderr) },
        terminal: exec.wish.tty,
        spec: Some(pack_json(PROCESS_URL, json)),
    };
    let mut tasks = engine.supervisor.tasks();
    tasks.exec(request).await.map_err(runtime_failure)?;
    let start = StartRequest { container_id: container.id.clone(), exec_id: exec.id.clone() };
    match tasks.start(start).await {
        Ok(answer) => {
            exec.state.send_modify(|state| state.pid = answer.into_inner().pid);
            Ok(())
        }
        Err(status) => {
            let request = containerd_api::services::tasks::v1::DeleteProcessRequest {
                container_id: container.id.clone(),
                exec_id: exec.id.clone(),
            };
            let _ = tasks.delete_process(request).await;
            Err(runtime_failure(status))
        }
    }
}

fn runtime_failure(status: tonic::Status) -> Error {
    let cause = Error::from(status);
    let text = cause.to_string();
    let kind = match crate::containers::start::exit_code(&text) {
        126 | 127 => Kind::InvalidArgument,
        _ => cause.kind(),
    };
    Error::new(
        kind,
        format!("OCI runtime exec failed: {}", text.trim_start_matches("OCI runtime exec failed: ")),
    )
}

/// Serves a client: a failure to start is told on its stream, as Docker does.
async fn attached(
    engine: &Arc<Engine>,
    exec: &Arc<Exec>,
    stream: Stream,
    is_framed: bool,
    console_size: Option<[u64; 2]>,
) -> Result<()> {
    let (read, mut write) = tokio::io::split(stream);
    let fifo = |suffix: &str, is_wanted: bool| -> Result<Option<PathBuf>> {
        if !is_wanted {
            return Ok(None);
        }
        let path = engine.config.run("stdio").join(format!("{}-{suffix}", &exec.id[..24]));
        make_fifo(&path).map_err(crate::files::failed("make", &path))?;
        Ok(Some(path))
    };
    let wish = &exec.wish;
    let fifos = Fifos {
        stdin: fifo("in", wish.attach_stdin)?,
        stdout: fifo("out", wish.attach_stdout)?,
        stderr: fifo("err", wish.attach_stderr && !wish.tty)?,
    };
    let stdin = fifos
        .stdin
        .as_deref()
        .map(Stdin::open)
        .transpose()
        .map_err(|cause| Error::internal("cannot open a fifo").with_source(cause))?
        .map(Arc::new);
    let open = |path: &Option<PathBuf>| {
        path.as_deref()
            .map(Output::open)
            .transpose()
            .map_err(|cause| Error::internal("cannot open a fifo").with_source(cause))
    };
    let (stdout, stderr) = (open(&fifos.stdout)?, open(&fifos.stderr)?);
    if let Err(error) = begin(engine, exec, &fifos, console_size).await {
        exec.state.send_modify(|state| state.exit_code = Some(code_of(&error)));
        let text = format!("{}\r\n", error.chain());
        let bytes = if is_framed { frame(1, text.as_bytes()) } else { Bytes::from(text) };
        let _ = write.write_all(&bytes).await;
        let _ = write.shutdown().await;
        return Ok(());
    }
    let (send, mut pieces) = mpsc::channel::<Bytes>(8);
    for (output, number) in [(stdout, 1), (stderr, 2)] {
        if let Some(output) = output {
            tokio::spawn(output.copy(send.clone(), is_framed.then_some(number)));
        }
    }
    drop(send);
    let receiving = copy_input(engine.clone(), exec.clone(), stdin, read);
    let mut ended = exec.state.subscribe();
    {
        let sending = send_on(&mut pieces, &mut write, &mut ended);
        tokio::pin!(sending);
        tokio::select! {
            () = &mut sending => {}
            is_left = receiving => if !is_left {
                sending.await;
            },
        }
    }
    let _ = write.shutdown().await;
    Ok(())
}

/// Sends the output on; the stream ends only when the exit code is known, because the client asks
/// for it as soon as the stream ends.
async fn send_on(
    pieces: &mut mpsc::Receiver<Bytes>,
    write: &mut WriteHalf<Stream>,
    ended: &mut watch::Receiver<super::State>,
) {
    while let Some(piece) = pieces.recv().await {
        if write.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = ended.wait_for(|state| state.exit_code.is_some()).await;
}

/// The reading end of one stream.
struct Output {
    reader: pipe::Receiver,
    /// Keeps the end from being seen before the shim has opened its side.
    holder: pipe::Sender,
}

impl Output {
    fn open(path: &std::path::Path) -> std::io::Result<Output> {
        let holder = pipe::OpenOptions::new().read_write(true).open_sender(path)?;
        let reader = pipe::OpenOptions::new().open_receiver(path)?;
        Ok(Output { reader, holder })
    }

    /// Sends pieces on, framed where a stream number is given. The shim has opened its side.
    async fn copy(self, send: mpsc::Sender<Bytes>, number: Option<u8>) {
        let Output { mut reader, holder } = self;
        drop(holder);
        let mut buffer = vec![0; 32 << 10];
        while let Ok(length) = reader.read(&mut buffer).await {
            if length == 0 {
                return;
            }
            let piece = number.map_or_else(
                || Bytes::copy_from_slice(&buffer[..length]),
                |number| frame(number, &buffer[..length]),
            );
            if send.send(piece).await.is_err() {
                return;
            }
        }
    }
}

/// Copies the client's input; true when the client has left for good.
async fn copy_input(
    engine: Arc<Engine>,
    exec: Arc<Exec>,
    stdin: Option<Arc<Stdin>>,
    mut read: ReadHalf<Stream>,
) -> bool {
    let Some(stdin) = stdin else {
        crate::containers::attach::gone(&mut read).await;
        return true;
    };
    let mut escape = Escape::new(if exec.wish.tty { exec.keys.clone() } else { DetachKeys::none() });
    let mut buffer = vec![0; 32 << 10];
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => break,
            Err(_) => return true,
            Ok(length) => {
                let (bytes, is_left) = escape.pass(&buffer[..length]);
                let is_closed = stdin.write(&bytes).await.is_err();
                if is_left {
                    engine.tell_container("exec_detach", &exec.container, &[("execID", exec.id.clone())]);
                    return true;
                }
                if is_closed {
                    break;
                }
            }
        }
    }
    stdin.close().await;
    let request =
        CloseIoRequest { container_id: exec.container.id.clone(), exec_id: exec.id.clone(), stdin: true };
    if let Err(error) =
        engine.supervisor.tasks().close_io(request).await.map_err(failed("close standard input"))
    {
        tracing::debug!(exec = exec.id, error = %error.chain(), "the input of a process stays open");
    }
    false
}
