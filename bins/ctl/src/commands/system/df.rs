//! `system df`.

use std::sync::Arc;

use engine_api::container::Summary;
use engine_api::system::{BuildCache, DiskUsage};

use gotmpl::Value;

use crate::commands::listing::{FORMAT, Listing, NO_RAW, short_id};
use crate::commands::{container, image, volume};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::output::{self, Format, Row, cell, time, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["system df"],
    usage: "",
    about: "Show the disk space that the engine uses",
    flags: &[FLAGS],
    arity: Arity::None,
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[FORMAT, Flag::bool("verbose", "Show each object").short('v')];
const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const COLUMNS: &[(&str, &str)] = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    let usage: DiskUsage = session.engine.get("/system/df").fetch().await?;
    if matches.flag("verbose") {
        if let Some(format) = matches.text("format").filter(|format| !format.is_empty() && *format != "table")
        {
            output::print(verbose_by_template(&usage, format)?)?;
            return Ok(Exit::OK);
        }
        output::print(verbose(&usage)?)?;
        return Ok(Exit::OK);
    }
    let rows = [images(&usage), containers(&usage), volumes(&usage), build_cache(&usage)];
    Listing { columns: COLUMNS, table: TABLE, quiet: "", setting: "", raw: NO_RAW }
        .print(session, matches, &rows)?;
    Ok(Exit::OK)
}

struct Sum {
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

fn row(kind: &str, sum: &Sum) -> Row {
    let mut row = Row::new();
    cell(&mut row, "Type", kind);
    cell(&mut row, "TotalCount", sum.total.to_string());
    cell(&mut row, "Active", sum.active.to_string());
    cell(&mut row, "Size", units::human_size(sum.size as f64));
    let shown = units::human_size(sum.reclaimable as f64);
    let percent =
        if sum.size > 0 { format!(" ({}%)", sum.reclaimable * 100 / sum.size) } else { String::new() };
    cell(&mut row, "Reclaimable", if kind == "Build Cache" { shown } else { shown + &percent });
    row
}

fn images(usage: &DiskUsage) -> Row {
    let images = usage.images.as_deref().unwrap_or_default();
    let used = |image: &&engine_api::image::ImageSummary| {
        image.containers > 0 && image.size != -1 && image.shared_size != -1
    };
    let in_use: i64 = images.iter().filter(used).map(|image| image.size - image.shared_size).sum();
    let active = images.iter().filter(|image| image.containers > 0).count();
    let size = usage.layers_size;
    row("Images", &Sum { total: images.len(), active, size, reclaimable: (size - in_use).max(0) })
}

fn containers(usage: &DiskUsage) -> Row {
    let containers = usage.containers.as_deref().unwrap_or_default();
    let active = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let size = containers.iter().map(|container| container.size_rw).sum();
    let idle = containers
        .iter()
        .filter(|container| !active(&container.state))
        .map(|container| container.size_rw)
        .sum();
    let active = containers.iter().filter(|container| active(&container.state)).count();
    row("Containers", &Sum { total: containers.len(), active, size, reclaimable: idle })
}

fn volumes(usage: &DiskUsage) -> Row {
    let volumes = usage.volumes.as_deref().unwrap_or_default();
    let known = || volumes.iter().filter_map(|volume| volume.usage_data.as_ref());
    let size = known().filter(|usage| usage.size > 0).map(|usage| usage.size).sum();
    let idle = known().filter(|usage| usage.size > 0 && usage.ref_count == 0).map(|usage| usage.size).sum();
    let active = known().filter(|usage| usage.ref_count > 0).count();
    row("Local Volumes", &Sum { total: volumes.len(), active, size, reclaimable: idle })
}

fn build_cache(usage: &DiskUsage) -> Row {
    let caches = usage.build_cache.as_deref().unwrap_or_default();
    let size = caches.iter().filter(|cache| !cache.shared).map(|cache| cache.size).sum();
    let in_use: i64 =
        caches.iter().filter(|cache| cache.in_use && !cache.shared).map(|cache| cache.size).sum();
    let active = caches.iter().filter(|cache| cache.in_use).count();
    row("Build Cache", &Sum { total: caches.len(), active, size, reclaimable: size - in_use })
}

fn verbose(usage: &DiskUsage) -> Result<String, Failure> {
    let table = |columns: &[(&'static str, &'static str)], template: &str, rows: &[Row]| {
        Format::parse("", template).render(columns, rows)
    };
    let mut image_rows = Vec::new();
    for summary in usage.images.iter().flatten() {
        image_rows.extend(image::ls::rows(summary, false, false));
    }
    let images = table(
        &[
            ("Repository", "REPOSITORY"),
            ("Tag", "TAG"),
            ("ID", "IMAGE ID"),
            ("CreatedSince", "CREATED"),
            ("Size", "SIZE"),
            ("SharedSize", "SHARED SIZE"),
            ("UniqueSize", "UNIQUE SIZE"),
            ("Containers", "CONTAINERS"),
        ],
        "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
        &image_rows,
    )?;
    let container_rows: Vec<Row> = usage.containers.iter().flatten().map(container_row).collect();
    let containers = table(
        &[
            ("ID", "CONTAINER ID"),
            ("Image", "IMAGE"),
            ("Command", "COMMAND"),
            ("LocalVolumes", "LOCAL VOLUMES"),
            ("Size", "SIZE"),
            ("RunningFor", "CREATED"),
            ("Status", "STATUS"),
            ("Names", "NAMES"),
        ],
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
        &container_rows,
    )?;
    let volume_rows: Vec<Row> = usage.volumes.iter().flatten().map(volume::ls::row).collect();
    let volumes = table(
        &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
        "{{.Name}}\t{{.Links}}\t{{.Size}}",
        &volume_rows,
    )?;
    let cache_rows: Vec<Row> = usage.build_cache.iter().flatten().map(cache_row).collect();
    let caches = table(
        &[
            ("ID", "CACHE ID"),
            ("Type", "CACHE TYPE"),
            ("Size", "SIZE"),
            ("Created", "CREATED"),
            ("LastUsed", "LAST USED"),
            ("Usage", "USAGE"),
            ("Shared", "SHARED"),
        ],
        "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.Created}}\t{{.LastUsed}}\t{{.Usage}}\t{{.Shared}}",
        &cache_rows,
    )?;
    let cached: i64 =
        usage.build_cache.iter().flatten().filter(|cache| !cache.shared).map(|cache| cache.size).sum();
    Ok(format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: {}\n\n{caches}",
        units::human_size(cached as f64)
    ))
}

/// All objects as one row of lists.
fn verbose_by_template(usage: &DiskUsage, format: &str) -> Result<String, Failure> {
    let list = |rows: Vec<Row>| Value::List(rows.into_iter().map(|row| Value::Map(Arc::new(row))).collect());
    // One row an image, by its first name.
    let images = usage
        .images
        .iter()
        .flatten()
        .filter_map(|summary| image::ls::rows(summary, false, true).into_iter().next());
    let images = images.map(|mut row| {
        cell(&mut row, "Digest", "");
        row
    });
    let without_functions = |mut row: Row| {
        row.retain(|_, value| !value.is_function());
        row
    };
    let containers = usage.containers.iter().flatten().map(|one| {
        let one = Summary { size_root_fs: 0, ..one.clone() };
        without_functions(container::ls::row(&one, true))
    });
    let volumes = usage.volumes.iter().flatten().map(|one| without_functions(volume::ls::row(one)));
    let caches = usage.build_cache.iter().flatten().map(cache_row);
    let mut row = Row::new();
    for (name, rows) in [
        ("Images", images.collect()),
        ("Containers", containers.collect()),
        ("Volumes", volumes.collect()),
        ("BuildCache", caches.collect()),
    ] {
        row.insert(name.into(), list(rows));
    }
    let columns = [("Images", ""), ("Containers", ""), ("Volumes", ""), ("BuildCache", "")];
    Ok(Format::parse(format, "").render(&columns, &[row])?)
}

/// The root file system's size counts with its image.
fn container_row(container: &Summary) -> Row {
    container::ls::row(&Summary { size_root_fs: 0, ..container.clone() }, false)
}

fn cache_row(cache: &BuildCache) -> Row {
    let ago = |text: &str| match time::unix_of(text) {
        0 => String::new(),
        then => format!("{} ago", units::human_duration(time::now() - then)),
    };
    let mut row = Row::new();
    cell(&mut row, "ID", short_id(&cache.id));
    cell(&mut row, "Type", &*cache.kind);
    cell(&mut row, "Size", units::human_size(cache.size as f64));
    cell(&mut row, "Created", ago(&cache.created_at));
    cell(&mut row, "LastUsed", ago(cache.last_used_at.as_deref().unwrap_or_default()));
    cell(&mut row, "Usage", cache.usage_count.to_string());
    cell(&mut row, "Shared", cache.shared.to_string());
    row
}
