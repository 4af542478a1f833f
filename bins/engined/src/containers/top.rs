//! A container's processes, as the host's `ps` shows them.

use containerd_api::services::tasks::v1::ListPidsRequest;
use engine_api::container::Top;
use errdefs::{Error, Result};

use super::{Container, Phase};
use crate::engine::Engine;
use crate::supervisor::failed;

/// `GET /containers/{id}/top`.
///
/// # Errors
/// The container does not run, or `ps` does not understand the words.
pub async fn top(engine: &Engine, container: &Container, ps_args: &str) -> Result<Top> {
    if !container.record().state.phase.is_live() {
        let word =
            if container.record().state.phase == Phase::Restarting { "restarting" } else { "not running" };
        return Err(Error::failed_precondition(format!("container {} is {word}", container.id)));
    }
    let words: Vec<&str> =
        if ps_args.is_empty() { vec!["-ef"] } else { ps_args.split_whitespace().collect() };
    if words.iter().any(|word| word.starts_with("-o") || word.contains("--format"))
        && words.iter().any(|word| word.contains('='))
        && !words.iter().any(|word| word.to_lowercase().contains("pid"))
    {
        return Err(Error::invalid_argument("Couldn't find PID field in ps output"));
    }
    let request = ListPidsRequest { container_id: container.id.clone() };
    let answer = engine.supervisor.tasks().list_pids(request).await.map_err(failed("list processes"))?;
    let pids: Vec<u32> = answer.into_inner().processes.iter().map(|process| process.pid).collect();
    let output = tokio::process::Command::new("ps")
        .args(&words)
        .output()
        .await
        .map_err(|cause| Error::internal("cannot run ps").with_source(cause))?;
    if !output.status.success() {
        return Err(Error::invalid_argument(format!(
            "error running ps: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    let top = parse(&String::from_utf8_lossy(&output.stdout), &pids)?;
    engine.tell_container("top", container, &[]);
    Ok(top)
}

/// The rows of these processes; the last column may hold spaces.
fn parse(text: &str, pids: &[u32]) -> Result<Top> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let at = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::invalid_argument("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_ours =
            words.get(at).and_then(|pid| pid.parse().ok()).is_some_and(|pid: u32| pids.contains(&pid));
        if !is_ours {
            continue;
        }
        let last = titles.len() - 1;
        let mut row: Vec<String> = words.iter().take(last).map(|word| (*word).to_owned()).collect();
        row.push(words.get(last..).unwrap_or_default().join(" "));
        processes.push(row);
    }
    Ok(Top { processes, titles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_containers_processes() {
        let text = "UID   PID  CMD\nroot    1  /sbin/init\nroot   42  sleep 100 now\n";
        let top = parse(text, &[42]).unwrap();
        assert_eq!(top.titles, ["UID", "PID", "CMD"]);
        assert_eq!(top.processes, [["root", "42", "sleep 100 now"]]);
        assert!(parse("CMD\nx\n", &[1]).is_err());
    }
}
