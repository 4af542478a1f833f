//! Every operation of Docker's published API: documented statuses, answers of the documented shape, no 5xx.
//!
//! The table beside this file says what is documented. Each operation is asked with what exists, with what does
//! not, with nonsense, and with bodies made from the documented types. `WHERRY_OPENAPI_ROUNDS` says how often
//! (1 unless set).

mod sample;
mod table;
mod wire;

use integration::{Client, Story};
use sample::Dice;
use serde_json::Value;
use std::collections::BTreeSet;
use table::{Operation, Table};
use wire::{Answer, ask};

/// Operations of which something is answered with 501: builds come later, the others in part.
const NOT_IMPLEMENTED: [&str; 8] = [
    "POST /build",
    "POST /session",
    "GET /containers/{id}/attach/ws",
    "DELETE /containers/{id}",
    "GET /distribution/{name}/json",
    "GET /images/search",
    "POST /auth",
    "POST /images/create",
];

/// Fields whose null says something: a container without an entry point of its own has not an empty one, and
/// a command that runs has no exit code. Docker's own clients read them so.
const MEANT: [&str; 8] = [
    ".Entrypoint: null",
    ".Cmd: null",
    ".ExitCode: null",
    ".MemorySwappiness: null",
    // Nothing was asked for, which is not the same as asking for none.
    ".IPAMConfig: null",
    ".Aliases: null",
    ".Links: null",
    ".IPAM.Options: null",
];

#[test]
fn every_operation_is_as_documented() {
    let rounds = std::env::var("WHERRY_OPENAPI_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let only = std::env::var("WHERRY_OPENAPI_ONLY").unwrap_or_default();
    let story = Story::new();
    let table = Table::read();
    let mut tester = Tester {
        socket: story.stack.docker_host().trim_start_matches("unix://").to_owned(),
        ctl: story.ctl(),
        table: &table,
        dice: Dice(11),
        found: BTreeSet::new(),
        asked: 0,
    };
    for _ in 0..rounds {
        for operation in table.operations.iter().filter(|operation| operation.call.contains(&only)) {
            tester.ask_all(operation);
        }
    }
    let (found, asked) = (tester.found, tester.asked);
    println!("{asked} requests over {} operations of version {}", table.operations.len(), table.version);
    assert!(
        found.is_empty(),
        "{} faults:\n{}",
        found.len(),
        found.into_iter().collect::<Vec<_>>().join("\n")
    );
    story.ctl().call(["ps", "-a"]).expect();
    clean(&story.ctl());
    story.end();
}

fn clean(ctl: &Client) {
    for word in ["container", "network", "volume"] {
        ctl.call([word, "prune", "-f"]).run().unwrap();
    }
    let all = ctl.call(["ps", "-aq"]).expect();
    for id in all.split_whitespace() {
        ctl.call(["rm", "-fv", id]).run().unwrap();
    }
}

struct Tester<'a> {
    socket: String,
    ctl: Client,
    table: &'a Table,
    dice: Dice,
    found: BTreeSet<String>,
    asked: usize,
}

impl Tester<'_> {
    fn ask_all(&mut self, operation: &Operation) {
        let (_, path) = operation.call.split_once(' ').expect("a method");
        let names: Vec<String> = match path.contains('{') {
            true => {
                vec![self.own_name(path), "no-such-thing".into(), "%00".into(), "..".into(), "a".repeat(300)]
            }
            false => vec![String::new()],
        };
        for name in names {
            let mut queries = vec![String::new()];
            for (key, kind) in &operation.query {
                let key = key.trim_end_matches('!');
                queries.push(format!("{key}={}", self.dice.word(kind)));
                queries.push(format!("{key}=%7B%22x%22:[7"));
            }
            for query in queries {
                let bodies = match &operation.body {
                    Some(shape) => vec![
                        sample::minimal(operation),
                        Some(self.dice.value(self.table, shape, 0).to_string().into_bytes()),
                        Some(b"{\"".to_vec()),
                        Some(b"[7]".to_vec()),
                        Some(b"{}".to_vec()),
                    ],
                    None => vec![None],
                };
                for body in bodies {
                    self.prepare(path);
                    let at = path.replacen(&placeholder(path), &name, 1);
                    let at = if query.is_empty() { at } else { format!("{at}?{query}") };
                    self.ask(operation, &at, body.as_deref());
                }
            }
        }
    }

    fn ask(&mut self, operation: &Operation, path: &str, body: Option<&[u8]>) {
        let (method, _) = operation.call.split_once(' ').expect("a method");
        let answer = ask(&self.socket, method, path, body);
        self.asked += 1;
        let mut faults = self.faults(operation, &answer);
        // Details are for reading; one of each kind is enough.
        faults.sort();
        for fault in faults {
            let shown = body.map(|body| String::from_utf8_lossy(body).chars().take(300).collect::<String>());
            if !self.found.iter().any(|old| old.starts_with(&format!("{}: {fault}", operation.call))) {
                let said = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
                self.found.insert(format!(
                    "{}: {fault} <- {path:.120} {} -> {}",
                    operation.call,
                    shown.unwrap_or_default(),
                    said.trim()
                ));
            }
        }
    }

    fn faults(&self, operation: &Operation, answer: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        let status = answer.status;
        // 503 is said of a registry that cannot be reached.
        if matches!(status, 501 | 503) && NOT_IMPLEMENTED.contains(&operation.call.as_str()) {
            return found;
        }
        // What is malformed is refused with 400, or 404 and 409 and 403 where it names what cannot be.
        let is_refusal = matches!(status, 400 | 403 | 404 | 409);
        if !operation.statuses.contains(&status) && !is_refusal {
            found.push(format!("undocumented status {status}"));
        }
        if status >= 500 && !(status == 503 || status == 501) {
            found.push(format!("status {status}"));
        }
        for header in ["api-version: ", "ostype: linux", "server: "] {
            if status != 101 && !answer.head.contains(header) {
                found.push(format!("no header {header}"));
            }
        }
        if status >= 400 && operation.call.split(' ').next() != Some("HEAD") {
            match serde_json::from_slice::<Value>(&answer.body) {
                Ok(Value::Object(body)) if body.get("message").is_some_and(Value::is_string) => {}
                _ => found.push(format!("status {status} without a message")),
            }
        }
        if let Some(shape) = operation.answers.get(&status.to_string())
            && is_json(answer)
        {
            let mut stream = serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>();
            match stream.next() {
                Some(Ok(value)) => {
                    self.table.faults(shape, &value, "answer", &mut found);
                    found.retain(|fault| !MEANT.iter().any(|meant| fault.contains(meant)));
                }
                Some(Err(error)) if answer.is_whole => found.push(format!("no JSON: {error}")),
                None if answer.is_whole => found.push("an empty answer".to_owned()),
                _ => {}
            }
        }
        found
    }

    /// A thing that exists, of the kind that the path is about.
    fn own_name(&mut self, path: &str) -> String {
        match path.split('/').nth(1) {
            Some("containers") => "box".into(),
            Some("exec") => self.exec(),
            Some("images" | "distribution") => "busybox".into(),
            Some("networks") => "crew".into(),
            Some("volumes") => "shelf".into(),
            _ => "thing".into(),
        }
    }

    fn exec(&self) -> String {
        self.prepare("/containers/{id}/json");
        let body = br#"{"Cmd":["true"],"AttachStdout":true}"#;
        let made = ask(&self.socket, "POST", "/containers/box/exec", Some(body));
        let made: Value = serde_json::from_slice(&made.body).unwrap_or_default();
        made["Id"].as_str().unwrap_or("none").to_owned()
    }

    /// What the next request may have ended or removed is there again.
    fn prepare(&self, path: &str) {
        let exists = |path: &str| ask(&self.socket, "GET", path, None);
        match path.split('/').nth(1) {
            Some("containers" | "exec" | "commit") => {
                let found = exists("/containers/box/json");
                let state: Value = serde_json::from_slice(&found.body).unwrap_or_default();
                if state["State"]["Paused"] == true {
                    self.ctl.call(["unpause", "box"]).run().unwrap();
                }
                if found.status == 404 {
                    self.ctl
                        .call([
                            "run",
                            "-d",
                            "--stop-signal",
                            "KILL",
                            "--name",
                            "box",
                            "-p",
                            "80",
                            "-v",
                            "/data",
                            "busybox",
                            "sleep",
                            "1000",
                        ])
                        .expect();
                } else if state["State"]["Running"] != true {
                    self.ctl.call(["start", "box"]).run().unwrap();
                }
            }
            Some("networks") if exists("/networks/crew").status == 404 => {
                self.ctl.call(["network", "create", "crew"]).expect();
            }
            Some("volumes") if exists("/volumes/shelf").status == 404 => {
                self.ctl.call(["volume", "create", "shelf"]).expect();
            }
            Some("images") if exists("/images/busybox/json").status == 404 => {
                let image =
                    integration::image::Image::busybox().and_then(|i| i.docker_archive("busybox:latest"));
                self.ctl.call(["load"]).input(image.expect("an image")).expect();
            }
            _ => {}
        }
    }
}

fn placeholder(path: &str) -> String {
    let from = path.find('{');
    from.and_then(|from| Some(path[from..].split_once('}')?.0.to_owned() + "}")).unwrap_or("{}".to_owned())
}

fn is_json(answer: &Answer) -> bool {
    answer.head.contains("content-type: application/json")
}
