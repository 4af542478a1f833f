//! Handlers of images.

use engine_api::container::Config;
use errdefs::Error;
use http::StatusCode;

use super::call::{Answer, Call, empty, json, pieces};
use crate::images::progress::Report;
use crate::images::{history, import, inspect, list, load, prune, pull, push, remove, save, tag};

pub async fn list(call: Call) -> Answer {
    let mut filters = call.filters(&list::FILTERS)?;
    if !call.query.text("filter").is_empty() {
        let old = serde_json::json!({"reference": [call.query.text("filter")]}).to_string();
        filters = crate::filters::Filters::parse(&old, &list::FILTERS)?;
    }
    json(&list::list(&call.engine, &filters).await?)
}

pub async fn inspect(call: Call) -> Answer {
    json(&inspect::inspect(&call.engine, call.name()).await?)
}

pub async fn history(call: Call) -> Answer {
    json(&history::history(&call.engine, call.name()).await?)
}

pub async fn create(call: Call) -> Answer {
    let (report, body) = Report::new();
    let query = &call.query;
    let image = query.text("fromImage").to_owned();
    if !image.is_empty() {
        let wish = pull::Wish::parse(&image, query.text("tag"), query.text("platform"), call.auth()?)?;
        report.clone().run(pull::pull(call.engine.clone(), wish, report));
        return pieces("application/json", body);
    }
    match query.text("fromSrc") {
        "-" => {}
        "" => return Err(Error::invalid_argument("either fromImage or fromSrc must be set")),
        _ => return Err(Error::unimplemented("importing from a URL: not implemented")),
    }
    let mut config = Config::default();
    for change in query.all("changes") {
        crate::containers::commit::change(&mut config, &change)?;
    }
    let wish = import::Wish {
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        message: query.text("message").to_owned(),
        config,
        ..import::Wish::default()
    };
    let engine = call.engine.clone();
    let pieces_in = call.pieces();
    report.clone().run(import::import(engine, wish, pieces_in, report));
    pieces("application/json", body)
}

pub async fn load(call: Call) -> Answer {
    let (report, body) = Report::new();
    let engine = call.engine.clone();
    report.clone().run(load::load(engine, call.pieces(), report));
    pieces("application/json", begun(body).await)
}

/// The pieces of an answer.
type Told = tokio::sync::mpsc::Receiver<std::io::Result<bytes::Bytes>>;

/// Waits for the first thing told, as Docker does: a client may take the beginning of the answer for
/// the end of the loading, and stop sending.
async fn begun(mut told: Told) -> Told {
    let (send, receive) = tokio::sync::mpsc::channel(64);
    let mut next = told.recv().await;
    tokio::spawn(async move {
        while let Some(piece) = next {
            if send.send(piece).await.is_err() {
                return;
            }
            next = tokio::select! {
                piece = told.recv() => piece,
                () = send.closed() => return,
            };
        }
    });
    receive
}

pub async fn save(call: Call) -> Answer {
    pieces("application/x-tar", save::save(&call.engine, &[call.name().to_owned()]).await?)
}

pub async fn save_many(call: Call) -> Answer {
    pieces("application/x-tar", save::save(&call.engine, &call.query.all("names")).await?)
}

pub async fn push(call: Call) -> Answer {
    let (report, body) = Report::new();
    let (name, tag, auth) = (call.name().to_owned(), call.query.text("tag").to_owned(), call.auth()?);
    report.clone().run(push::push(call.engine, name, tag, auth, report));
    pieces("application/json", body)
}

pub async fn tag(call: Call) -> Answer {
    tag::tag(&call.engine, call.name(), call.query.text("repo"), call.query.text("tag")).await?;
    empty(StatusCode::CREATED)
}

pub async fn remove(call: Call) -> Answer {
    json(&remove::remove(&call.engine, call.name(), call.query.is("force")).await?)
}

pub async fn prune(call: Call) -> Answer {
    json(&prune::prune(&call.engine, &call.filters(&prune::FILTERS)?).await?)
}
