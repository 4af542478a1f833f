//! The layouts of the file through containerd's releases, each brought to the newest.
//!
//! Version 1, also that of a file which names none, has plugins by their short names; 2 and 3 differ in
//! plugins that we have not; 4 has the servers' settings in plugins of their own (containerd
//! docs/man/containerd-config.toml.5).

use super::{GRPC, GRPC_TCP, HISTOGRAM, METRICS, RESTART, TTRPC};
use errdefs::{Error, Result};
use toml::{Table, Value};

/// The newest layout that containerd knows.
pub const NEWEST: i64 = 4;
/// What the part that restarts containers was called up to version 2.
const OLD_RESTART: &str = "io.containerd.internal.v1.restart";
/// The server plugin of the socket for profiles.
pub const DEBUG: &str = "io.containerd.server.v1.debug";

/// The layout that a file says it has.
fn version(file: &Table) -> Result<i64> {
    match file.get("version") {
        None => Ok(1),
        Some(Value::Integer(version)) if *version <= NEWEST => Ok((*version).max(1)),
        Some(Value::Integer(version)) => Err(Error::invalid_argument(format!(
            "expected containerd config version equal to or less than `{NEWEST}`, got `{version}`"
        ))),
        Some(other) => Err(Error::invalid_argument(format!("version must be a number, not {other}"))),
    }
}

/// Brings a file to the newest layout.
pub fn migrate(file: &mut Table) -> Result<()> {
    let from = version(file)?;
    if from < 2 {
        name_plugins(file);
    }
    if from < 3 {
        rename(file, OLD_RESTART, RESTART);
    }
    if from < 4 {
        move_servers(file);
    }
    file.insert("version".into(), Value::Integer(NEWEST));
    Ok(())
}

/// The whole name of a plugin that version 1 called `short`.
fn plugin_name(short: &str) -> String {
    let kind = match short {
        _ if short.contains('.') => return short.to_owned(),
        "cgroups" => "monitor.v1",
        "linux" => "runtime.v1",
        "scheduler" => "gc.v1",
        "bolt" => "metadata.v1",
        "task" => "runtime.v2",
        "opt" | "restart" | "tracing" => "internal.v1",
        "otlp" => "tracing.processor.v1",
        "aufs" | "btrfs" | "devmapper" | "native" | "overlayfs" | "zfs" => "snapshotter.v1",
        _ if short.ends_with("-service") => "service.v1",
        _ => "grpc.v1",
    };
    format!("io.containerd.{kind}.{short}")
}

/// Gives a plugin its newer name.
fn rename(file: &mut Table, old: &str, new: &str) {
    if let Some(Value::Table(plugins)) = file.get_mut("plugins")
        && let Some(section) = plugins.remove(old)
    {
        plugins.entry(new).or_insert(section);
    }
    for list in ["disabled_plugins", "required_plugins"] {
        for name in file.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if name.as_str() == Some(old) {
                *name = Value::String(new.to_owned());
            }
        }
    }
}

fn name_plugins(file: &mut Table) {
    if let Some(Value::Table(plugins)) = file.get_mut("plugins") {
        *plugins =
            std::mem::take(plugins).into_iter().map(|(name, value)| (plugin_name(&name), value)).collect();
    }
    for list in ["disabled_plugins", "required_plugins"] {
        let names = file.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for name in names {
            if let Value::String(name) = name {
                *name = plugin_name(name);
            }
        }
    }
}

/// What each setting of a server is in the newest layout: table, key, plugin, key there.
const SERVERS: [(&str, &str, &str, &str); 20] = [
    ("grpc", "address", GRPC, "address"),
    ("grpc", "uid", GRPC, "uid"),
    ("grpc", "gid", GRPC, "gid"),
    ("grpc", "group", GRPC, "group"),
    ("grpc", "max_recv_message_size", GRPC, "max_recv_message_size"),
    ("grpc", "max_send_message_size", GRPC, "max_send_message_size"),
    ("grpc", "tcp_address", GRPC_TCP, "address"),
    ("grpc", "tcp_tls_ca", GRPC_TCP, "tls_ca"),
    ("grpc", "tcp_tls_cert", GRPC_TCP, "tls_cert"),
    ("grpc", "tcp_tls_key", GRPC_TCP, "tls_key"),
    ("grpc", "tcp_tls_common_name", GRPC_TCP, "tls_common_name"),
    ("ttrpc", "address", TTRPC, "address"),
    ("ttrpc", "uid", TTRPC, "uid"),
    ("ttrpc", "gid", TTRPC, "gid"),
    ("debug", "address", DEBUG, "address"),
    ("debug", "uid", DEBUG, "uid"),
    ("debug", "gid", DEBUG, "gid"),
    ("metrics", "address", METRICS, "address"),
    ("metrics", "grpc_histogram", HISTOGRAM, "grpc_histogram"),
    // Early releases had it so.
    ("grpc", "tcp_tls_client_ca", GRPC_TCP, "tls_ca"),
];

fn move_servers(file: &mut Table) {
    for (table, key, plugin, name) in SERVERS {
        let Some(value) =
            file.get_mut(table).and_then(Value::as_table_mut).and_then(|table| table.remove(key))
        else {
            continue;
        };
        let plugins = file.entry("plugins").or_insert_with(|| Value::Table(Table::new()));
        let Some(plugins) = plugins.as_table_mut() else { continue };
        let section = plugins.entry(plugin).or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.entry(name).or_insert(value);
        }
    }
    for table in ["grpc", "ttrpc", "debug", "metrics"] {
        if file.get(table).and_then(Value::as_table).is_some_and(Table::is_empty) {
            file.remove(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(text: &str) -> Table {
        let mut file = toml::from_str(text).unwrap();
        migrate(&mut file).unwrap();
        file
    }

    #[test]
    fn short_names_get_whole() {
        let file = migrated(
            "disabled_plugins = ['cri', 'zfs']\n[plugins.overlayfs]\nsync_remove = true\n\
             [plugins.'diff-service']\ndefault = ['walking']\n[plugins.odd]\nx = 1",
        );
        let plugins = file["plugins"].as_table().unwrap();
        let mut names: Vec<&str> = plugins.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "io.containerd.grpc.v1.odd",
                "io.containerd.service.v1.diff-service",
                "io.containerd.snapshotter.v1.overlayfs"
            ]
        );
        let disabled = file["disabled_plugins"].as_array().unwrap();
        assert_eq!(disabled[0].as_str(), Some("io.containerd.grpc.v1.cri"));
        assert_eq!(disabled[1].as_str(), Some("io.containerd.snapshotter.v1.zfs"));
    }

    #[test]
    fn servers_become_plugins_and_what_is_unknown_stays() {
        let file = migrated(
            "version = 2\n[grpc]\naddress = '/a'\nuid = 1\ntcp_address = 'x:1'\ntcp_tls_key = '/k'\nodd = 1\n\
             [metrics]\naddress = 'm:2'\ngrpc_histogram = true\n[debug]\nlevel = 'warn'\naddress = '/d'",
        );
        let at = |plugin: &str, key: &str| file["plugins"][plugin][key].to_string();
        assert_eq!(at(GRPC, "address"), "\"/a\"");
        assert_eq!(at(GRPC, "uid"), "1");
        assert_eq!(at(GRPC_TCP, "address"), "\"x:1\"");
        assert_eq!(at(GRPC_TCP, "tls_key"), "\"/k\"");
        assert_eq!(at(METRICS, "address"), "\"m:2\"");
        assert_eq!(at(HISTOGRAM, "grpc_histogram"), "true");
        assert_eq!(at(DEBUG, "address"), "\"/d\"");
        assert_eq!(file["grpc"].to_string(), "{ odd = 1 }");
        assert_eq!(file["debug"].to_string(), "{ level = \"warn\" }");
        assert!(!file.contains_key("metrics"));
        assert_eq!(file["version"].as_integer(), Some(NEWEST));
    }

    #[test]
    fn the_part_that_restarts_has_its_newer_name() {
        for text in [
            "[plugins.restart]\ninterval = '1s'",
            "version = 2\n[plugins.'io.containerd.internal.v1.restart']\ninterval = '1s'",
        ] {
            assert_eq!(migrated(text)["plugins"][RESTART]["interval"].as_str(), Some("1s"), "{text}");
        }
        let off = migrated("version = 2\ndisabled_plugins = ['io.containerd.internal.v1.restart']");
        assert_eq!(off["disabled_plugins"][0].as_str(), Some(RESTART));
    }

    #[test]
    fn the_newest_is_left_and_the_unknown_refused() {
        assert_eq!(
            migrated("version = 4\n[grpc]\naddress = '/a'")["grpc"].to_string(),
            "{ address = \"/a\" }"
        );
        for bad in ["version = 5", "version = 'x'"] {
            assert!(migrate(&mut toml::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
