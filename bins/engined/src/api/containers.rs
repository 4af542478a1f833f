//! Handlers of containers: parameters in, answers out.

use bytes::Bytes;
use engine_api::container::{Config, CreateRequest};
use errdefs::Error;
use http::StatusCode;
use tokio::sync::mpsc;

use super::call::{Answer, Call, empty, json, json_with, pieces};
use super::system::done;
use crate::containers::start::Outcome;
use crate::containers::{
    archive, attach, changes, commit, create, export, inspect, kill, links, list, logs, pause, prune, remove,
    rename, resize, restart, start, stats, stop, top, update, versions, wait, websocket,
};
use crate::detach::DetachKeys;

pub async fn list(call: Call) -> Answer {
    let limit = call.query.number::<i64>("limit")?.filter(|limit| *limit > 0);
    let wish = list::Wish {
        all: call.query.is("all"),
        limit: limit.and_then(|limit| usize::try_from(limit).ok()),
        with_size: call.query.is("size"),
        filters: call.filters(&list::FILTERS)?,
    };
    let mut rows = list::list(&call.engine, wish).await?;
    rows.iter_mut().for_each(|row| versions::summary(call.version, row));
    json(&rows)
}

pub async fn create(mut call: Call) -> Answer {
    let Some(mut request) = call.optional_json::<CreateRequest>().await? else {
        return Err(Error::invalid_argument("invalid JSON: EOF"));
    };
    if request.config == Config::default() {
        return Err(Error::invalid_argument("config cannot be empty in order to create a container"));
    }
    let old = versions::create(call.version, &mut request)?;
    let platform = crate::images::pull::parse_platform(call.query.text("platform"))?;
    if platform.architecture != crate::images::resolve::architecture() || platform.os != "linux" {
        return Err(Error::not_found(format!(
            "image with reference {} was found but does not match the specified platform: wanted {}/{}",
            request.config.image, platform.os, platform.architecture
        )));
    }
    let told = versions::warnings(call.version, &request);
    let mut created = create::create(&call.engine, call.query.text("name"), request, old).await?;
    created.warnings.extend(told);
    json_with(StatusCode::CREATED, &created)
}

pub async fn prune(call: Call) -> Answer {
    json(&prune::prune(&call.engine, &call.filters(&prune::FILTERS)?).await?)
}

pub async fn inspect(call: Call) -> Answer {
    let shown = inspect::inspect(&call.engine, &*call.container()?, call.query.is("size")).await?;
    json(&versions::inspect(call.version, shown)?)
}

pub async fn top(call: Call) -> Answer {
    json(&top::top(&call.engine, &*call.container()?, call.query.text("ps_args")).await?)
}

pub async fn logs(call: Call) -> Answer {
    let container = call.container()?;
    let tail = match call.query.text("tail") {
        "" | "all" => None,
        // Docker takes whatever is no number for "all".
        text => text.parse::<u64>().ok(),
    };
    let wish = logs::Wish {
        follow: call.query.is("follow"),
        stdout: call.query.is("stdout"),
        stderr: call.query.is("stderr"),
        timestamps: call.query.is("timestamps"),
        details: call.query.is("details"),
        since: call.query.time("since")?,
        until: call.query.time("until")?,
        tail,
    };
    let kind = if container.record().is_tty() || !versions::is_stream_named(call.version) {
        "application/vnd.docker.raw-stream"
    } else {
        "application/vnd.docker.multiplexed-stream"
    };
    pieces(kind, logs::logs(&call.engine, &container, wish)?)
}

pub async fn changes(call: Call) -> Answer {
    json(&changes::changes(&call.engine, &*call.container()?).await?)
}

pub async fn export(call: Call) -> Answer {
    pieces("application/octet-stream", export::export(&call.engine, &*call.container()?).await?)
}

pub async fn stats(call: Call) -> Answer {
    let wish = stats::Wish {
        is_stream: call.query.is_or("stream", true),
        is_one_shot: call.query.is("one-shot"),
        has_os_type: true,
    };
    let wish = versions::stats(call.version, wish);
    pieces("application/json", stats::stats(&call.engine, &call.container()?, wish).await?)
}

pub async fn resize(call: Call) -> Answer {
    let (height, width) = (call.query.side("h", "height")?, call.query.side("w", "width")?);
    resize::resize(&call.engine, &*call.container()?, height, width).await?;
    empty(StatusCode::OK)
}

pub async fn start(call: Call) -> Answer {
    if call.has_body() {
        return Err(Error::invalid_argument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    if !call.query.text("checkpoint").is_empty() {
        return Err(Error::invalid_argument("checkpoint is only supported in experimental mode"));
    }
    match start::start(&call.engine, &call.container()?).await? {
        Outcome::Started => done(),
        Outcome::WasRunning => empty(StatusCode::NOT_MODIFIED),
    }
}

/// What a daemon says of them that was not started to experiment.
pub async fn checkpoints(_: Call) -> Answer {
    Err(Error::unimplemented(
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
    ))
}

pub async fn stop(call: Call) -> Answer {
    let timeout = call.query.number("t")?;
    let signal = versions::stop_signal(call.version, call.query.text("signal"));
    let was_running = stop::stop(&call.engine, &call.container()?, signal, timeout).await?;
    if was_running { done() } else { empty(StatusCode::NOT_MODIFIED) }
}

pub async fn restart(call: Call) -> Answer {
    let timeout = call.query.number("t")?;
    let signal = versions::stop_signal(call.version, call.query.text("signal"));
    restart::restart(&call.engine, &call.container()?, signal, timeout).await?;
    done()
}

pub async fn kill(call: Call) -> Answer {
    kill::kill(&call.engine, &call.container()?, call.query.text("signal")).await?;
    done()
}

pub async fn update(mut call: Call) -> Answer {
    let mut wish = call.json().await?;
    versions::update(call.version, &mut wish);
    json(&update::update(&call.engine, &call.container()?, wish).await?)
}

pub async fn rename(call: Call) -> Answer {
    rename::rename(&call.engine, &call.container()?, call.query.text("name"))?;
    done()
}

pub async fn pause(call: Call) -> Answer {
    pause::pause(&call.engine, &call.container()?).await?;
    done()
}

pub async fn unpause(call: Call) -> Answer {
    pause::unpause(&call.engine, &call.container()?).await?;
    done()
}

fn attach_wish(call: &Call) -> errdefs::Result<attach::Wish> {
    Ok(attach::Wish {
        stdin: call.query.is("stdin"),
        stdout: call.query.is("stdout"),
        stderr: call.query.is("stderr"),
        stream: call.query.is("stream"),
        logs: call.query.is("logs"),
        keys: DetachKeys::parse(call.query.text("detachKeys"))?,
        is_raw: false,
    })
}

pub async fn attach_ws(call: Call) -> Answer {
    let container = call.container()?;
    let head = websocket::accept(&call.headers)?;
    let mut wish = attach::Wish { is_raw: true, ..attach_wish(&call)? };
    if !versions::has_streams_by_websocket(call.version) || !wish.stdin && !wish.stdout && !wish.stderr {
        // Whoever names none wants all.
        (wish.stdin, wish.stdout, wish.stderr) = (true, true, true);
    }
    let attached = attach::attach(&call.engine, &container, wish).await?;
    call.take_over.take_after(head, |stream| websocket::serve(stream, attached)).await
}

pub async fn attach(call: Call) -> Answer {
    let container = call.container()?;
    let wish = attach_wish(&call)?;
    let is_raw = container.record().is_tty() || !versions::is_stream_named(call.version);
    let attached = attach::attach(&call.engine, &container, wish).await?;
    let is_upgrade = call.is_upgrade();
    call.take_over.take(is_upgrade, is_raw || !is_upgrade, |stream| attached.serve(stream)).await
}

pub async fn wait(call: Call) -> Answer {
    let condition = versions::condition(call.version, call.query.text("condition"))?;
    let waiting = wait::wait(&call.container()?, condition);
    // The status line goes out at once: clients start the container only then.
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let waited = tokio::select! {
            waited = waiting => waited,
            () = send.closed() => return,
        };
        let mut line = serde_json::to_vec(&waited).unwrap_or_default();
        line.push(b'\n');
        let _ = send.send(Ok(Bytes::from(line))).await;
    });
    pieces("application/json", receive)
}

pub async fn remove(call: Call) -> Answer {
    if call.query.is("link") {
        links::remove(&call.engine, call.name())?;
        return done();
    }
    let options = remove::Options { is_forced: call.query.is("force"), with_volumes: call.query.is("v") };
    remove::remove(&call.engine, &call.container()?, options).await?;
    done()
}

pub async fn stat_path(call: Call) -> Answer {
    archive::stat(&call.engine, &*call.container()?, call.name(), call.query.text("path"))
        .await
        .and_then(|stat| archive::with_stat(empty(StatusCode::OK)?, &stat))
}

pub async fn get_archive(call: Call) -> Answer {
    let (stat, bytes) =
        archive::get(&call.engine, &*call.container()?, call.name(), call.query.text("path")).await?;
    archive::with_stat(pieces("application/x-tar", bytes)?, &stat)
}

pub async fn put_archive(call: Call) -> Answer {
    let (engine, container, typed) = (call.engine.clone(), call.container()?, call.name().to_owned());
    let path = call.query.text("path").to_owned();
    let wish = archive::Put {
        keeps_kinds: call.query.is("noOverwriteDirNonDir"),
        for_user: call.query.is("copyUIDGID"),
    };
    archive::put(&engine, &container, &typed, &path, wish, call.pieces()).await?;
    empty(StatusCode::OK)
}

pub async fn commit(mut call: Call) -> Answer {
    let config = call.untyped_json().await?;
    let query = &call.query;
    let wish = commit::Wish {
        container: query.text("container").to_owned(),
        repository: query.text("repo").to_owned(),
        tag: query.text("tag").to_owned(),
        message: query.text("comment").to_owned(),
        author: query.text("author").to_owned(),
        pauses: query.is_or("pause", true),
        changes: query.all("changes"),
        config,
    };
    json_with(StatusCode::CREATED, &commit::commit(&call.engine, wish).await?)
}
