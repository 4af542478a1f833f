//! What the image says where the person is silent.

use engine_api::container::Config;
use errdefs::{Error, Result};

/// Completes a container's configuration from its image's.
///
/// # Errors
/// The result is malformed.
pub fn complete(config: &mut Config, from: &Config) -> Result<()> {
    if config.user.is_empty() {
        config.user.clone_from(&from.user);
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&from.working_dir);
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid_argument(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if !config.working_dir.is_empty() {
        config.working_dir = super::mounts::clean(&config.working_dir)?;
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&from.stop_signal);
    }
    if !config.stop_signal.is_empty() {
        super::super::kill::parse(&config.stop_signal)?;
    }
    super::super::health::complete(config, from)?;
    config.stop_timeout = config.stop_timeout.or(from.stop_timeout);
    if config.volumes.as_ref().is_some_and(|volumes| volumes.is_empty()) {
        config.volumes = None;
    }
    for (port, nothing) in &from.exposed_ports {
        config.exposed_ports.entry(port.clone()).or_insert(*nothing);
    }
    merge_env(config, from)?;
    let labels = config.labels.get_or_insert_default();
    for (key, value) in from.labels.iter().flatten() {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if let Some(volumes) = &from.volumes {
        config
            .volumes
            .get_or_insert_default()
            .extend(volumes.iter().map(|(path, nothing)| (path.clone(), *nothing)));
    }
    // An entry point of one's own drops the image's command with the image's entry point.
    let is_unset = config.entrypoint.as_ref().is_none_or(|words| words.is_empty());
    if is_unset {
        if config.cmd.as_ref().is_none_or(|words| words.is_empty()) {
            config.cmd.clone_from(&from.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&from.entrypoint);
        }
    }
    // `--entrypoint ""` arrives as one empty word: no entry point at all.
    if config.entrypoint.as_ref().is_some_and(|words| words.0 == [""]) {
        config.entrypoint = None;
    }
    Ok(())
}

fn merge_env(config: &mut Config, from: &Config) -> Result<()> {
    let env = config.env.get_or_insert_default();
    if let Some(bad) = env.iter().find(|variable| variable.is_empty() || variable.starts_with('=')) {
        return Err(Error::invalid_argument(format!("invalid environment variable: {bad}")));
    }
    let name = |variable: &String| variable.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<String> = env.iter().map(name).collect();
    let inherited = from.env.iter().flatten().filter(|variable| !given.contains(&name(variable))).cloned();
    env.extend(inherited.collect::<Vec<_>>());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_api::Words;

    fn words(list: &[&str]) -> Option<Words> {
        Some(Words(list.iter().map(|word| (*word).to_owned()).collect()))
    }

    fn merged(config: Config) -> Config {
        let image = Config {
            cmd: words(&["img-cmd"]),
            entrypoint: words(&["img-entry"]),
            env: Some(vec!["A=image".into(), "B=image".into()]),
            working_dir: "/img".into(),
            ..Config::default()
        };
        let mut config = config;
        complete(&mut config, &image).unwrap();
        config
    }

    #[test]
    fn silence_means_the_images_words() {
        let config = merged(Config::default());
        assert_eq!((config.entrypoint, config.cmd), (words(&["img-entry"]), words(&["img-cmd"])));
        assert_eq!(config.working_dir, "/img");
    }

    #[test]
    fn a_command_keeps_the_entry_point_and_an_entry_point_drops_the_command() {
        let config = merged(Config { cmd: words(&["mine"]), ..Config::default() });
        assert_eq!((config.entrypoint, config.cmd), (words(&["img-entry"]), words(&["mine"])));
        let config = merged(Config { entrypoint: words(&["mine"]), ..Config::default() });
        assert_eq!((config.entrypoint, config.cmd), (words(&["mine"]), None));
        let config = merged(Config { entrypoint: words(&[""]), cmd: words(&["mine"]), ..Config::default() });
        assert_eq!((config.entrypoint, config.cmd), (None, words(&["mine"])));
    }

    #[test]
    fn variables_of_the_person_win() {
        let config = merged(Config { env: Some(vec!["A=mine".into()]), ..Config::default() });
        assert_eq!(config.env.unwrap(), ["A=mine", "B=image"]);
    }
}
