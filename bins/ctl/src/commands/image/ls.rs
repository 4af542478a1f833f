//! `images`, `image ls`.

use std::collections::BTreeMap;

use engine_api::image::ImageSummary;
use reference::Reference;

use crate::commands::image::tree;
use crate::commands::listing::{FILTER, FORMAT, Listing, NO_TRUNC, short_id};
use crate::grammar::{Arity, Command, Exit, Failure, Flag, Matches};
use crate::options::filter;
use crate::output::{Row, cell, time, units};
use crate::session::Session;

pub const COMMAND: Command = Command {
    paths: &["image ls", "image list", "images"],
    usage: "[REPOSITORY[:TAG]]",
    about: "List images",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    stops_at_positional: false,
    run: |session, matches| Box::pin(run(session, matches)),
};

const FLAGS: &[Flag] = &[
    Flag::bool("all", "Show intermediate images too").short('a'),
    Flag::bool("digests", "Show digests"),
    FILTER,
    FORMAT,
    NO_TRUNC,
    Flag::bool("quiet", "Show only IDs").short('q'),
    Flag::bool("tree", "Show the platforms of each image"),
];

const TABLE: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";
const TABLE_WITH_DIGEST: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";
const RAW: (&str, &str) = (
    "repository: {{.Repository}}\\ntag: {{.Tag}}\\nimage_id: {{.ID}}\\ncreated_at: {{.CreatedAt}}\\nvirtual_size: {{.Size}}\\n",
    "image_id: {{.ID}}",
);
const RAW_WITH_DIGEST: (&str, &str) = (
    "repository: {{.Repository}}\\ntag: {{.Tag}}\\ndigest: {{.Digest}}\\nimage_id: {{.ID}}\\ncreated_at: {{.CreatedAt}}\\nvirtual_size: {{.Size}}\\n",
    "image_id: {{.ID}}",
);
const COLUMNS: &[(&str, &str)] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];
pub const NONE: &str = "<none>";

async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if matches.flag("tree") {
        return tree::run(session, matches).await;
    }
    let mut filters = matches.list("filter").to_vec();
    if let Some(name) = matches.args.first() {
        filters.push(format!("reference={name}"));
    }
    let request = session.engine.get("/images/json").query_flag("all", matches.flag("all"));
    let mut images: Vec<ImageSummary> =
        request.query_some("filters", filter::to_json(&filters)?).fetch().await?;
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let format = matches.text_or_empty("format");
    let digests = matches.flag("digests") || format.contains(".Digest");
    let rows: Vec<Row> =
        images.iter().flat_map(|image| rows(image, digests, matches.flag("no-trunc"))).collect();
    let (table, raw) =
        if matches.flag("digests") { (TABLE_WITH_DIGEST, RAW_WITH_DIGEST) } else { (TABLE, RAW) };
    Listing { columns: COLUMNS, table, quiet: "{{.ID}}", setting: "imagesFormat", raw }
        .print(session, matches, &rows)?;
    Ok(Exit::OK)
}

/// A row for each name of an image; with digests, for each digest.
pub fn rows(image: &ImageSummary, digests: bool, whole: bool) -> Vec<Row> {
    let mut repositories: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for name in image.repo_tags.iter().flatten().filter(|name| *name != "<none>:<none>") {
        if let Ok(name) = Reference::parse_normalized(name) {
            repositories
                .entry(name.familiar_name())
                .or_default()
                .0
                .push(name.tag().unwrap_or(NONE).to_owned());
        }
    }
    for name in image.repo_digests.iter().flatten().filter(|name| *name != "<none>@<none>") {
        if let Ok(name) = Reference::parse_normalized(name)
            && let Some(digest) = name.digest()
        {
            repositories.entry(name.familiar_name()).or_default().1.push(digest.to_string());
        }
    }
    let mut names = Vec::new();
    for (repository, (tags, of)) in repositories {
        let of_all = if of.is_empty() || !digests { vec![NONE.to_owned()] } else { of };
        let tags = if tags.is_empty() { vec![NONE.to_owned()] } else { tags };
        for tag in tags {
            names.extend(of_all.iter().map(|digest| (repository.clone(), tag.clone(), digest.clone())));
        }
    }
    if names.is_empty() {
        names.push((NONE.into(), NONE.into(), NONE.into()));
    }
    names.into_iter().map(|name| row(image, name, whole)).collect()
}

fn row(image: &ImageSummary, (repository, tag, digest): (String, String, String), whole: bool) -> Row {
    let mut row = Row::new();
    let cells = &mut row;
    cell(cells, "ID", if whole { &image.id } else { short_id(&image.id) });
    cell(cells, "Repository", repository);
    cell(cells, "Tag", tag);
    cell(cells, "Digest", digest);
    let since = if image.created <= 0 {
        String::new()
    } else {
        format!("{} ago", units::human_duration(time::now() - image.created))
    };
    cell(cells, "CreatedSince", since);
    cell(cells, "CreatedAt", time::go_string(image.created));
    cell(cells, "Size", units::human_size_3(image.size as f64));
    let known = |value: i64, shown: String| if value == -1 { "N/A".to_owned() } else { shown };
    cell(cells, "Containers", known(image.containers, image.containers.to_string()));
    cell(cells, "VirtualSize", units::human_size(image.size as f64));
    cell(cells, "SharedSize", known(image.shared_size, units::human_size(image.shared_size as f64)));
    let unique = image.size - image.shared_size;
    cell(cells, "UniqueSize", known(image.shared_size, units::human_size(unique as f64)));
    row
}
