//! The same commands on Debian's dockerd and on this engine.

use integration::{Story, image, peer};
use serde_json::Value;

/// One shell line on an engine: exit code, what it printed, what it complained of.
fn shell(host: &str, line: &str) -> (i32, String, String) {
    let output = std::process::Command::new("sh")
        .args(["-c", line])
        .env("DOCKER_HOST", host)
        // What both speak, so that the version makes no difference.
        .env("DOCKER_API_VERSION", "1.41")
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Without what no two engines have in common.
fn normalised(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = matches!(bare.len(), 12 | 64) && bare.bytes().all(|b| b.is_ascii_hexdigit());
        words.push_str(if is_id { "ID" } else { bare });
        words.push_str(&word[bare.len()..]);
    }
    // Docker has changed the first letters of its complaints between the versions, and left out this.
    words.to_lowercase().replace("error when allocating new name: ", "")
}

/// An engine's container and volume events as lines; what an end is made of comes in any order.
fn events(host: &str, since: &str) -> Vec<String> {
    let (_, text, _) = shell(
        host,
        &format!("docker events --since {since} --until $(date +%s.%N) --format '{{{{json .}}}}'"),
    );
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("an event");
        let mut attributes = event["Actor"]["Attributes"].clone();
        let fields = attributes.as_object_mut().expect("attributes");
        // Newer engines tell how long it ran.
        fields.remove("execDuration");
        lines.push(normalised(&format!("{} {} {attributes}", event["Type"], event["Action"])));
    }
    let is_end =
        |line: &String| ["\"die\"", "\"disconnect\"", "\"unmount\""].iter().any(|word| line.contains(word));
    let mut sorted: Vec<String> = Vec::new();
    for run in lines.chunk_by(|a, b| is_end(a) && is_end(b)) {
        let mut run = run.to_vec();
        if is_end(&run[0]) {
            run.sort();
        }
        sorted.extend(run);
    }
    sorted
}

#[test]
fn side_by_side_with_dockerd() {
    if !peer::require("dockerd") || !peer::require("docker") {
        return;
    }
    let story = Story::new();
    let dockerd = peer::Dockerd::start_in_own_network(&story.path("dockerd")).expect("a dockerd");
    let archive =
        image::Image::busybox().and_then(|image| image.docker_archive("busybox:latest")).expect("an image");
    std::fs::write(story.path("busybox.tar"), archive).unwrap();
    let hosts = [dockerd.docker_host(), story.stack.docker_host()];
    let (code, _, said) =
        shell(&hosts[0], &format!("docker load -i {}", story.path("busybox.tar").display()));
    assert_eq!(code, 0, "{said}");
    let script = [
        "docker run --name aa busybox sh -c 'echo out; echo err >&2; exit 3'",
        "docker run -d --name bb --label x=y -e A=1 -v data:/data -v /usr:/t:ro --tmpfs /q busybox sleep 600",
        "docker inspect -f '{{json .Mounts}}' bb | tr '{' '\\n' | sed 's/\"Source\":\"[^\"]*\"//' | tr -d ',][' | sort",
        "docker inspect -f '{{json .Config}}' bb",
        "docker inspect -f '{{.HostConfig.RestartPolicy}} {{.HostConfig.Tmpfs}} {{.HostConfig.PidsLimit}} {{.HostConfig.MemorySwappiness}}' bb",
        "docker inspect -f '{{.Path}} {{.Args}} {{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' aa bb",
        "docker ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.Labels}} {{.State}} {{.Networks}} {{.LocalVolumes}}'",
        "docker exec -e B=2 -w /tmp bb sh -c 'echo $A $B; pwd'; docker exec bb sh -c 'exit 9'; echo $?",
        "docker exec bb true; docker exec aa true",
        "docker top bb -o pid,comm | wc -l",
        "docker pause bb; docker pause bb; docker unpause bb; docker unpause bb",
        "docker rename bb aa; docker rename bb cc; docker kill -s USR1 cc; docker kill -s NONE cc",
        "docker update --restart on-failure:3 --memory 64m --memory-swap 128m cc; docker update --memory 1m cc",
        "docker stop -t 0 cc; docker stop cc; docker kill cc 2>&1 | grep -o 'is not running'; docker start cc; docker restart -t 0 cc",
        "docker rm cc 2>/dev/null; docker rm -f cc; docker rm nobody; docker wait aa; docker logs aa",
        "docker cp /etc/hostname aa:/x/y/z; docker cp aa:/nothing -; docker cp /etc/hostname aa:/tmp/h; docker diff aa",
    ];
    // What a newer engine tells other events of: a volume that was there, a container that was not made.
    let more = [
        "docker volume create data; docker volume create data2 --label a=b; docker volume inspect -f '{{.Driver}} {{.Labels}} {{.Options}} {{.Scope}}' data2",
        "docker volume create -d nothing data3; docker volume create -o foo=1 data3; docker volume rm data data2 data3",
        "docker create --cpuset-cpus 99 busybox; docker create --cap-add FLY busybox; docker create -v /a:/b:foo busybox",
        "docker create --security-opt foo busybox; docker create --mount type=bind,source=/nothing,target=/x busybox; docker create -w rel busybox",
        "docker run --rm --gpus all busybox true; docker run --rm --link nobody:x busybox true; docker create --volumes-from nobody busybox",
        "docker rm aa; docker volume prune -f; docker container prune -f --filter until=nonsense",
    ];
    let since = shell("", "date +%s.%N").1.trim().to_owned();
    let mut differences = String::new();
    let mut compare = |line: &str| {
        let [theirs, ours] = [&hosts[0], &hosts[1]].map(|host| {
            let (code, said, complained) = shell(host, line);
            (code, normalised(&said), normalised(&complained))
        });
        if theirs != ours {
            differences.push_str(&format!("\n$ {line}\n  docker: {theirs:?}\n  ours:   {ours:?}"));
        }
    };
    script.iter().for_each(|line| compare(line));
    let [theirs, ours] = [&hosts[0], &hosts[1]].map(|host| events(host, &since));
    more.iter().for_each(|line| compare(line));
    for (theirs, ours) in theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).take(4) {
        differences.push_str(&format!("\nevent\n  docker: {theirs}\n  ours:   {ours}"));
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(theirs.len(), ours.len(), "as many events");
    drop(dockerd);
    story.end();
}
