//! Proxies of config.json, as variables of new containers.

use engine_client::ConfigFile;

/// Keys of config.json and the variables they set, in both spellings.
const PROXIES: &[(&str, &str)] = &[
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
];

/// Variables for a container on the engine at `host`, but for those that `given` sets.
pub fn variables(config: &ConfigFile, host: &str, given: &[String]) -> Vec<String> {
    let Some(proxies) = config.value("proxies").and_then(|value| value.as_object()) else {
        return Vec::new();
    };
    let Some(chosen) =
        proxies.get(host).or_else(|| proxies.get("default")).and_then(|value| value.as_object())
    else {
        return Vec::new();
    };
    let is_given = |name: &str| given.iter().any(|variable| variable.split('=').next() == Some(name));
    let mut variables = Vec::new();
    for (key, name) in PROXIES {
        let Some(value) = chosen.get(*key).and_then(|value| value.as_str()).filter(|value| !value.is_empty())
        else {
            continue;
        };
        for name in [(*name).to_owned(), name.to_lowercase()] {
            if !is_given(&name) {
                variables.push(format!("{name}={value}"));
            }
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_own_proxies_win_and_what_is_given_stays() {
        let home = tempfile::tempdir().unwrap();
        let text = r#"{"proxies":{"default":{"httpProxy":"http://d","noProxy":"x"},"tcp://h:1":{"httpsProxy":"http://h"}}}"#;
        std::fs::write(home.path().join("config.json"), text).unwrap();
        let config = ConfigFile::load(home.path()).unwrap();
        let given = ["no_proxy=mine".to_owned(), "NO_PROXY".to_owned()];
        assert_eq!(variables(&config, "unix:///x", &given), ["HTTP_PROXY=http://d", "http_proxy=http://d"]);
        assert_eq!(variables(&config, "tcp://h:1", &[]), ["HTTPS_PROXY=http://h", "https_proxy=http://h"]);
    }
}
