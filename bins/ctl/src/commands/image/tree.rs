//! `image ls --tree`: each image with its platforms below it.

use engine_api::image::{ImageSummary, ManifestSummary};
use engine_client::ApiVersion;

use crate::commands::listing::short_id;
use crate::grammar::{Exit, Failure, Matches};
use crate::options::filter;
use crate::output::{self, units};
use crate::session::Session;
use crate::terminal;

const MANIFESTS_SINCE: ApiVersion = ApiVersion { major: 1, minor: 47 };
const UNTAGGED: &str = "<untagged>";
const BRANCH: &str = "├─ ";
const LAST_BRANCH: &str = "└─ ";
/// The columns after the first with their widths, as the stock client lays them out; sizes stand at the right.
const COLUMNS: [(&str, usize); 4] = [("ID", 12), ("DISK USAGE", 10), ("CONTENT SIZE", 12), ("EXTRA", 5)];
const GAP: &str = "   ";
/// Columns of a terminal that tells none.
const SCREEN: usize = 80;
const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
const LEGEND: &str = "Info ->  U In Use ";
/// Flags that make no sense for a tree.
const OTHERS: &[&str] = &["quiet", "no-trunc", "digests", "format"];

/// Shows the tree.
///
/// # Errors
/// A flag that a tree cannot have, or the engine refuses.
pub async fn run(session: &Session, matches: &Matches) -> Result<Exit, Failure> {
    if let Some(flag) = OTHERS.iter().find(|flag| matches.changed(flag)) {
        return Err(Failure::new(format!("--{flag} is not yet supported with --tree")));
    }
    session.engine.require("--tree", MANIFESTS_SINCE).await?;
    let mut filters = matches.list("filter").to_vec();
    filters.extend(matches.args.first().map(|name| format!("reference={name}")));
    let request =
        session.engine.get("/images/json").query_flag("all", matches.flag("all")).query("manifests", "1");
    let mut images: Vec<ImageSummary> =
        request.query_some("filters", filter::to_json(&filters)?).fetch().await?;
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    images.retain(|image| matches.flag("all") || has_names(image));
    let screen = terminal::window().map_or(SCREEN, |(_, columns)| usize::from(columns));
    output::print(tree(&images, screen))?;
    Ok(Exit::OK)
}

fn has_names(image: &ImageSummary) -> bool {
    image.repo_tags.as_ref().is_some_and(|names| !names.is_empty())
}

fn tree(images: &[ImageSummary], screen: usize) -> String {
    let all: Vec<(Vec<String>, [String; 4], Vec<Row>)> = images.iter().map(rows).collect();
    let widest = all
        .iter()
        .flat_map(|(names, _, children)| {
            // The stock client counts the branch's bytes.
            let child = |row: &Row| LAST_BRANCH.len() + row.0.chars().count();
            names.iter().map(|name| name.chars().count()).chain(children.iter().map(child))
        })
        .max()
        .unwrap_or_default();
    let others: usize = COLUMNS.iter().map(|(_, width)| GAP.len() + width).sum();
    let first = widest.min(screen.saturating_sub(others)).max("IMAGE".len());
    let mut text = format!("{WARNING}\n{LEGEND:>screen$}\n\n{:<first$}", "IMAGE");
    for (title, width) in COLUMNS {
        text.push_str(&format!("{GAP}{title:<width$}"));
    }
    text = text.trim_end_matches(' ').to_owned() + "\n";
    for (names, cells, children) in &all {
        for (index, name) in names.iter().enumerate() {
            if index + 1 < names.len() {
                text.push_str(&format!("{}\n", cut(name, first)));
            } else {
                line(&mut text, &cut(name, first), cells, first);
            }
        }
        for (index, (platform, cells)) in children.iter().enumerate() {
            let branch = if index + 1 == children.len() { LAST_BRANCH } else { BRANCH };
            line(&mut text, &cut(&format!("{branch}{platform}"), first), cells, first);
        }
        text.push('\n');
    }
    text
}

/// Platform, and what stands in the other columns.
type Row = (String, [String; 4]);

fn rows(image: &ImageSummary) -> (Vec<String>, [String; 4], Vec<Row>) {
    let used = |used: bool| if used { "U".to_owned() } else { String::new() };
    let size = |bytes: i64| units::human_size_3(bytes as f64);
    let manifests: Vec<&ManifestSummary> =
        image.manifests.iter().filter(|manifest| manifest.kind == "image").collect();
    let child = |manifest: &&ManifestSummary| {
        let data = manifest.image_data.as_ref()?;
        let parts = [&data.platform.os, &data.platform.architecture, &data.platform.variant];
        let platform: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let (total, content) = match manifest.available {
            true => (size(manifest.size.total), size(manifest.size.content)),
            false => Default::default(),
        };
        let id = short_id(&manifest.id).to_owned();
        Some((platform.join("/"), [id, total, content, used(!data.containers.is_empty())]))
    };
    let children: Vec<Row> = manifests.iter().filter_map(child).collect();
    let names = match &image.repo_tags {
        Some(names) if !names.is_empty() => names.clone(),
        _ => vec![UNTAGGED.to_owned()],
    };
    let content = match manifests.is_empty() {
        true => String::new(),
        false => size(manifests.iter().map(|manifest| manifest.size.content).sum()),
    };
    let is_used = image.containers > 0 || children.iter().any(|(_, cells)| !cells[3].is_empty());
    (names, [short_id(&image.id).to_owned(), size(image.size), content, used(is_used)], children)
}

fn line(text: &mut String, name: &str, [id, total, content, extra]: &[String; 4], first: usize) {
    let [(_, w1), (_, w2), (_, w3), (_, w4)] = COLUMNS;
    text.push_str(&format!(
        "{name:<first$}{GAP}{id:<w1$}{GAP}{total:>w2$}{GAP}{content:>w3$}{GAP}{extra:<w4$}\n"
    ));
}

/// A name in so many columns.
fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stacked_and_cut() {
        let image = |names: &[&str]| ImageSummary {
            id: format!("sha256:{}", "ab".repeat(32)),
            repo_tags: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            size: 2_040_000,
            containers: 1,
            ..ImageSummary::default()
        };
        let text =
            tree(&[image(&["one:1", "two:2"]), image(&["a-name-that-is-longer-than-all-columns:1"])], 80);
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(
            lines,
            [
                "IMAGE                           ID             DISK USAGE   CONTENT SIZE   EXTRA",
                "one:1",
                "two:2                           abababababab       2.04MB                  U    ",
                "",
                "a-name-that-is-longer-than-a…   abababababab       2.04MB                  U    ",
                "",
            ]
        );
        assert_eq!(text.lines().nth(1).unwrap().len(), 80);
    }
}
