//! What to do about an engine's refusal.
//!
//! The API tells causes by text alone, and the texts are Docker's, which clients know. They are read here to advise a
//! person, and decide nothing else.

/// Parts of texts, and the advice; the first that fits.
const ADVICE: &[(&str, &str)] = &[
    (
        "port is already allocated",
        "A container has this port: 'PROGRAM ps' shows which. Remove it, or publish on another: -p OTHER:PORT.",
    ),
    (
        "address already in use",
        "Another program of the host has this port: 'ss -lntup' shows which. Publish on another: -p OTHER:PORT.",
    ),
    (
        "No such image: ",
        "'PROGRAM images' lists what is here; 'PROGRAM pull NAME' gets an image from its registry.",
    ),
    (
        "executable file not found in $PATH",
        "The image has no such program: look around in it with 'PROGRAM run -it --rm --entrypoint sh IMAGE'.",
    ),
    (
        "client error (Connect)",
        "Is the registry's name right, does it run, and can the engine reach it (proxies, DNS)?",
    ),
    (
        "http: server gave HTTP response to HTTPS client",
        "Name the registry in insecure-registries of daemon.json.",
    ),
    ("No such container: ", "'PROGRAM ps -a' lists all containers."),
];

/// The advice on a failure that `message` tells of.
pub fn on(program: &str, message: &str) -> Option<String> {
    let (_, advice) = ADVICE.iter().find(|(part, _)| message.contains(part))?;
    Some(advice.replace("PROGRAM", program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_what_to_do() {
        let taken = "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated";
        assert!(on("ctl", taken).unwrap().contains("'ctl ps'"));
        assert_eq!(on("ctl", "something else"), None);
    }
}
