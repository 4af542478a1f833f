//! Manual pages, from the same tables as `--help`.

use crate::grammar::{Command, Flag, Group, usage_line};

/// A page of one command: its file's name and its text. `path` is the command's first.
pub fn command_page(program: &str, command: &Command) -> (String, String) {
    let path = command.paths[0];
    let name = format!("{program}-{}", path.replace(' ', "-"));
    let mut text = heading(&name, &format!("{} \\- {}", escaped(&name), escaped(command.about)));
    text.push_str(".SH SYNOPSIS\n");
    for form in usage_line(program, path, command).split("\n\t") {
        text.push_str(&format!(".nf\n{}\n.fi\n", escaped(form)));
    }
    if command.paths.len() > 1 {
        let names: Vec<String> =
            command.paths.iter().map(|path| format!("\\fB{program} {}\\fR", escaped(path))).collect();
        text.push_str(&format!(".SH ALIASES\n{}\n", names.join(", ")));
    }
    text.push_str(&options("OPTIONS", command.flags()));
    text.push_str(&format!(".SH SEE ALSO\n.BR {program} (1)\n"));
    (format!("{name}.1"), text)
}

/// The same page under the command's other names, as people ask for it: `man ctl-run`.
pub fn other_pages(program: &str, command: &Command) -> Vec<(String, String)> {
    let name = |path: &str| format!("{program}-{}.1", path.replace(' ', "-"));
    let text = format!(".so man1/{}\n", name(command.paths[0]));
    command.paths[1..].iter().map(|path| (name(path), text.clone())).collect()
}

/// The page of the program: its groups, commands and global flags.
pub fn root_page(
    program: &str,
    groups: &[Group],
    commands: &[&'static Command],
    globals: &'static [Flag],
) -> (String, String) {
    let mut text = heading(program, &format!("{program} \\- runs containers"));
    text.push_str(&format!(".SH SYNOPSIS\n\\fB{program}\\fR [OPTIONS] COMMAND\n.SH COMMANDS\n"));
    let mut rows: Vec<(String, &str)> =
        commands.iter().map(|command| (command.paths[0].to_owned(), command.about)).collect();
    rows.extend(groups.iter().map(|group| (group.name.to_owned(), group.about)));
    rows.sort();
    for (path, about) in rows {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escaped(&path), escaped(about)));
    }
    text.push_str(&options("GLOBAL OPTIONS", globals.iter()));
    text.push_str(".SH ENVIRONMENT\n");
    for (name, about) in [
        ("DOCKER_HOST", "Address of the engine"),
        ("DOCKER_CONTEXT", "Context to use; DOCKER_HOST wins over it"),
        ("DOCKER_CONFIG", "Directory of the configuration, ~/.docker otherwise"),
        ("DOCKER_API_VERSION", "Version of the API to speak"),
        ("DOCKER_TLS_VERIFY", "Use TLS and verify the engine"),
        ("DOCKER_CERT_PATH", "Directory of ca.pem, cert.pem and key.pem"),
        ("DOCKER_DEFAULT_PLATFORM", "Platform of images to pull and run"),
        ("DOCKER_CUSTOM_HEADERS", "Headers of every request: name=value,..."),
    ] {
        text.push_str(&format!(".TP\n\\fB{name}\\fR\n{about}\n"));
    }
    (format!("{program}.1"), text)
}

fn heading(name: &str, line: &str) -> String {
    let title = name.to_uppercase();
    format!(".TH \"{title}\" 1 \"\" \"Wherry {}\" \"Wherry\"\n.SH NAME\n{line}\n", env!("CARGO_PKG_VERSION"))
}

fn options(title: &str, flags: impl Iterator<Item = &'static Flag>) -> String {
    let mut flags: Vec<&Flag> = flags.filter(|flag| !flag.hidden).collect();
    if flags.is_empty() {
        return String::new();
    }
    flags.sort_by_key(|flag| flag.name);
    let mut text = format!(".SH {title}\n");
    for flag in flags {
        let short = flag.short.map(|short| format!("\\fB\\-{short}\\fR, ")).unwrap_or_default();
        let value =
            if flag.value.is_empty() { String::new() } else { format!(" \\fI{}\\fR", escaped(flag.value)) };
        let default = if flag.default.is_empty() {
            String::new()
        } else {
            format!(" (default {})", escaped(flag.default))
        };
        text.push_str(&format!(
            ".TP\n{short}\\fB\\-\\-{}\\fR{value}\n{}{default}\n",
            escaped(flag.name),
            escaped(flag.help)
        ));
    }
    text
}

/// Text that roff prints as it stands.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    #[test]
    fn every_command_has_a_page_without_stray_requests() {
        for command in commands::ALL {
            let (name, text) = command_page("ctl", command);
            assert!(name.starts_with("ctl-") && name.ends_with(".1"), "{name}");
            let requests = ["TH", "SH", "nf", "fi", "TP", "BR"];
            for line in text.lines().filter(|line| line.starts_with('.')) {
                assert!(requests.contains(&line[1..].split(' ').next().unwrap()), "{name}: {line}");
            }
        }
        assert_eq!(escaped(".a-b\\c"), "\\&.a\\-b\\ec");
    }
}
