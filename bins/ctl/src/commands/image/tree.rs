//! `image ls --tree`: each image with its platforms below it.

use engine_api::image::{ImageSummary, ManifestSummary};
use engine_client::ApiVersion;

use crate::commands::image::ls::NONE;
use crate::commands::listing::short_id;
use crate::grammar::{Exit, Failure, Matches};
use crate::options::filter;
use crate::output::{self, align, units};
use crate::session::Session;

const MANIFESTS_SINCE: ApiVersion = ApiVersion { major: 1, minor: 47 };
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
    let mut text = "IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tIN USE\n".to_owned();
    for image in &images {
        show(&mut text, image);
    }
    output::print(align(&text, 10))?;
    Ok(Exit::OK)
}

fn show(text: &mut String, image: &ImageSummary) {
    let used = |used: bool| if used { "yes" } else { "" };
    let size = |bytes: i64| units::human_size_3(bytes as f64);
    let manifests: Vec<&ManifestSummary> =
        image.manifests.iter().filter(|manifest| manifest.kind == "image").collect();
    let content: i64 = manifests.iter().map(|manifest| manifest.size.content).sum();
    let names =
        image.repo_tags.clone().filter(|names| !names.is_empty()).unwrap_or_else(|| vec![NONE.to_owned()]);
    for name in &names {
        let content = if manifests.is_empty() { String::new() } else { size(content) };
        text.push_str(&format!(
            "{name}\t{}\t{}\t{content}\t{}\n",
            short_id(&image.id),
            size(image.size),
            used(image.containers > 0)
        ));
        for (index, manifest) in manifests.iter().enumerate() {
            let Some(data) = &manifest.image_data else { continue };
            let branch = if index + 1 == manifests.len() { "└─" } else { "├─" };
            let parts = [&data.platform.os, &data.platform.architecture, &data.platform.variant];
            let platform: Vec<&str> =
                parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            let (total, content) = if manifest.available {
                (size(manifest.size.total), size(manifest.size.content))
            } else {
                Default::default()
            };
            let row = [short_id(&manifest.id), &total, &content, used(!data.containers.is_empty())]
                .map(str::to_owned);
            text.push_str(&format!("{branch} {}\t{}\n", platform.join("/"), row.join("\t")));
        }
    }
}
