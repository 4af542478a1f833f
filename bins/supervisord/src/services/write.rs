//! The write protocol of the content service.

use super::records::blocking;
use containerd_api::services::content::v1::{WriteAction, WriteContentRequest, WriteContentResponse};
use content::{Digest, WriterOptions};
use errdefs::{Error, Kind, Result as Outcome};
use metadata::{CommitOptions, Content, ContentWriter};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

type Replies = mpsc::Sender<Result<WriteContentResponse, Status>>;

/// Bytes that are written where the stream is served.
const SMALL: usize = 64 << 10;

/// One stream: an open writer and what the client said last of its total and digest.
struct Session {
    content: Content,
    writer: ContentWriter,
    reference: String,
    total: u64,
    expected: Option<Digest>,
}

fn digest(text: &str) -> Outcome<Option<Digest>> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = Digest::parse(text);
    parsed
        .map(Some)
        .map_err(|cause| Error::invalid_argument(format!("{text:?} failed validation")).with_source(cause))
}

/// Serves a stream to its end: a commit, the client's close, or an error. An ingest that was not
/// committed stays, to be resumed.
pub async fn write(
    content: Content,
    mut messages: Streaming<WriteContentRequest>,
    replies: &Replies,
) -> Result<(), Status> {
    let Some(first) = messages.message().await? else { return Ok(()) };
    let (mut session, mut request) =
        blocking(move || Session::open(&content, &first).map(|session| (session, first))).await?;
    loop {
        let action = request.action();
        // Small pieces are written in less time than it takes to hand them to another thread.
        let reply = if request.data.len() <= SMALL && action != WriteAction::Commit {
            session.answer(&mut request)?
        } else {
            let (back, reply) = blocking(move || {
                let reply = session.answer(&mut request)?;
                Ok((session, reply))
            })
            .await?;
            session = back;
            reply
        };
        if replies.send(Ok(reply.clone())).await.is_err() {
            return Ok(());
        }
        let next = if action == WriteAction::Commit { None } else { messages.message().await? };
        let Some(next) = next else {
            // The last answer goes out once more at the end; clients of this API know it so.
            drop(session);
            let _ = replies.send(Ok(reply)).await;
            return Ok(());
        };
        request = next;
    }
}

impl Session {
    fn open(content: &Content, first: &WriteContentRequest) -> Outcome<Session> {
        if first.r#ref.is_empty() {
            return Err(Error::invalid_argument("first message must have a reference"));
        }
        let total = u64::try_from(first.total).unwrap_or(0);
        let expected = digest(&first.expected)?;
        let options = WriterOptions { reference: first.r#ref.clone(), total, expected: expected.clone() };
        let writer = content.writer(options)?;
        Ok(Session { content: content.clone(), writer, reference: first.r#ref.clone(), total, expected })
    }

    fn answer(&mut self, request: &mut WriteContentRequest) -> Outcome<WriteContentResponse> {
        if let Some(expected) = digest(&request.expected)? {
            self.refuse_present(&expected)?;
            self.expected = Some(expected);
        }
        if request.total > 0 {
            self.total = u64::try_from(request.total).unwrap_or(0);
        }
        let mut reply = WriteContentResponse { action: request.action, ..WriteContentResponse::default() };
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        match request.action() {
            WriteAction::Stat => {
                let status = self.writer.status();
                reply.started_at = Some(events::timestamp(status.started));
                reply.updated_at = Some(events::timestamp(status.updated));
                reply.total = number(self.total);
                reply.offset = number(status.offset);
            }
            action @ (WriteAction::Write | WriteAction::Commit) => {
                self.append(request)?;
                reply.offset = number(self.writer.offset());
                if action == WriteAction::Commit {
                    self.commit(std::mem::take(&mut request.labels))?;
                }
            }
        }
        reply.digest = self.writer.digest().to_string();
        Ok(reply)
    }

    /// A digest named later may be here already: then the ingest was for nothing.
    fn refuse_present(&self, expected: &Digest) -> Outcome<()> {
        if self.content.info(expected).is_err() {
            return Ok(());
        }
        match self.content.abort(&self.reference) {
            Err(error) if error.kind() != Kind::NotFound => Err(error),
            _ => Err(Error::already_exists(format!("blob with expected digest {expected} exists"))),
        }
    }

    /// An offset must be where the ingest ends, except that 0 begins anew.
    fn append(&mut self, request: &WriteContentRequest) -> Outcome<()> {
        let present = self.writer.offset();
        match u64::try_from(request.offset).unwrap_or(0) {
            0 if present > 0 => self.writer.truncate(0)?,
            offset if offset != present => {
                return Err(Error::out_of_range(format!(
                    "write @{offset} must occur at current offset {present}"
                )));
            }
            _ => {}
        }
        self.writer.write(&request.data)
    }

    fn commit(&mut self, labels: metadata::Labels) -> Outcome<()> {
        let options = CommitOptions { size: self.total, expected: self.expected.clone(), labels };
        self.writer.commit(options).map(drop)
    }
}
