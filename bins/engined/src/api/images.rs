//! Handlers of images.

use engine_api::auth::AuthConfig;
use engine_api::container::Config;
use errdefs::Error;
use http::StatusCode;

use super::call::{Answer, Call, empty, json, pieces};
use crate::images::progress::{self, Report};
use crate::images::{
    attestations, history, import, inspect, list, load, platform, prune, pull, push, registry, remove,
    remove_platforms, save, tag,
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
        let pulling = pull::pull(call.engine.clone(), wish, report.clone());
        return pieces("application/json", report.begin(body, pulling).await?);
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
        message: match query.text("message") {
            "" => format!("Imported from {source}"),
            message => message.to_owned(),
        },
        config,
        platform: pull::parse_platform(query.text("platform"))?,
        ..import::Wish::default()
    };
    let engine = call.engine.clone();
    let begun = if source == "-" {
        let pieces_in = call.pieces();
        report.clone().begin(body, import::import(engine, wish, pieces_in, report)).await?
    } else {
        report.clone().begin(body, import::import_url(engine, wish, source, report)).await?
    };
    pieces("application/json", begun)
}

pub async fn load(call: Call) -> Answer {
    let (report, body) = Report::new();
    let engine = call.engine.clone();
    let platforms = platform::all_of_json(&call.query.all("platform"))?;
    report.clone().run(load::load(engine, call.pieces(), platforms, report));
    // A client may take the beginning of the answer for the end of the loading, and stop sending.
    pieces("application/json", progress::first_told(body).await)
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
    let platforms = platform::all_of_json(&call.query.all("platforms"))?;
    if !platforms.is_empty() {
        return json(&remove_platforms::remove_platforms(&call.engine, call.name(), &platforms).await?);
    }
    json(&remove::remove(&call.engine, call.name(), call.query.is("force")).await?)
}

pub async fn prune(call: Call) -> Answer {
    json(&prune::prune(&call.engine, &call.filters(&prune::FILTERS)?).await?)
}
