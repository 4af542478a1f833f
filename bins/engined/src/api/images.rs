//! Handlers of images.

use engine_api::auth::AuthConfig;
use engine_api::container::Config;
use errdefs::Error;
use http::StatusCode;

use super::call::{Answer, Call, empty, json, pieces};
use crate::images::progress::Report;
use crate::images::{
    attestations, history, import, inspect, list, load, platform, prune, pull, push, registry, remove, save,
    tag,
};

pub async fn list(call: Call) -> Answer {
    let mut filters = call.filters(&list::FILTERS)?;
    if !call.query.text("filter").is_empty() {
        let old = serde_json::json!({"reference": [call.query.text("filter")]}).to_string();
        filters = crate::filters::Filters::parse(&old, &list::FILTERS)?;
    }
    let wish =
        list::Wish { manifests: call.query.is("manifests"), shared_size: call.query.is("shared-size") };
    json(&list::list(&call.engine, &filters, wish).await?)
}

pub async fn inspect(call: Call) -> Answer {
    let platform = platform::of_json(call.query.text("platform"))?;
    let wish = inspect::Wish { platform, manifests: call.query.is("manifests") };
    json(&inspect::inspect(&call.engine, call.name(), &wish).await?)
}

pub async fn history(call: Call) -> Answer {
    let platform = platform::of_json(call.query.text("platform"))?;
    json(&history::history(&call.engine, call.name(), platform.as_ref()).await?)
}

pub async fn attestations(call: Call) -> Answer {
    let platforms = platform::all_of_json(&call.query.all("platform"))?;
    if platforms.len() > 1 {
        return Err(Error::invalid_argument("only one platform value is currently supported"));
    }
    let wish = attestations::Wish {
        platform: platforms.into_iter().next(),
        types: call.query.all("type"),
        with_statement: call.query.is("statement"),
    };
    json(&attestations::attestations(&call.engine, call.name(), &wish).await?)
}

pub async fn search(call: Call) -> Answer {
    let filters = call.filters(&registry::SEARCH_FILTERS)?;
    // No credential is no failure here, as in Docker.
    let auth = call.auth().unwrap_or_default();
    let limit = call.query.number("limit")?;
    json(&registry::search(&call.engine, call.query.text("term"), limit, &filters, &auth).await?)
}

pub async fn describe(call: Call) -> Answer {
    let auth = call.auth().unwrap_or_default();
    json(&registry::describe(&call.engine, call.name(), &auth).await?)
}

pub async fn login(mut call: Call) -> Answer {
    let auth: AuthConfig = call.untyped_json().await?;
    json(&registry::login(&call.engine, &auth).await?)
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
    let source = query.text("fromSrc").to_owned();
    if source.is_empty() {
        return Err(Error::invalid_argument("either fromImage or fromSrc must be set"));
    }
    let mut config = Config::default();
    crate::containers::commit::instruction::apply(&mut config, &query.all("changes"))?;
    let wish = import::Wish {
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        message: query.text("message").to_owned(),
        config,
        platform: pull::parse_platform(query.text("platform"))?,
        ..import::Wish::default()
    };
    let engine = call.engine.clone();
    if source == "-" {
        let pieces_in = call.pieces();
        report.clone().run(import::import(engine, wish, pieces_in, report));
    } else {
        report.clone().run(import::import_url(engine, wish, source, report));
    }
    pieces("application/json", body)
}

pub async fn load(call: Call) -> Answer {
    let (report, body) = Report::new();
    let engine = call.engine.clone();
    let platforms = platform::all_of_json(&call.query.all("platform"))?;
    report.clone().run(load::load(engine, call.pieces(), platforms, report));
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
    let platforms = platform::all_of_json(&call.query.all("platform"))?;
    pieces("application/x-tar", save::save(&call.engine, &[call.name().to_owned()], &platforms).await?)
}

pub async fn save_many(call: Call) -> Answer {
    let platforms = platform::all_of_json(&call.query.all("platform"))?;
    pieces("application/x-tar", save::save(&call.engine, &call.query.all("names"), &platforms).await?)
}

pub async fn push(call: Call) -> Answer {
    let (report, body) = Report::new();
    let (tag, platform) = (call.query.text("tag"), call.query.text("platform"));
    let wish = push::Wish::parse(call.name(), tag, platform, call.auth()?)?;
    report.clone().run(push::push(call.engine, wish, report));
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
