//! bollard on an engine: run, exec, attach, logs, networks, volumes, events.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, ExecConfig, HostConfig, NetworkCreateRequest, PortBinding, VolumeCreateRequest,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, EventsOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

type Failure = Box<dyn std::error::Error>;

/// Stdout and stderr of a stream of frames.
async fn demultiplexed(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
) -> Result<(String, String), Failure> {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let mut output = std::pin::pin!(output);
    while let Some(frame) = output.next().await {
        match frame? {
            LogOutput::StdErr { message } => stderr.push_str(&String::from_utf8_lossy(&message)),
            other => stdout.push_str(&other.to_string()),
        }
    }
    Ok((stdout, stderr))
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

/// Does the work.
///
/// # Errors
/// What bollard says.
pub async fn work(host: &str) -> Result<(), Failure> {
    let docker = Docker::connect_with_unix(host, 60, API_DEFAULT_VERSION)?.negotiate_version().await?;
    assert_eq!(docker.ping().await?, "OK");
    assert!(docker.version().await?.api_version.is_some() && docker.info().await?.server_version.is_some());

    let labels = HashMap::from([("by".to_owned(), "bollard".to_owned())]);
    let network = NetworkCreateRequest {
        name: "bollard-net".into(),
        labels: Some(labels.clone()),
        ..Default::default()
    };
    docker.create_network(network).await?;
    docker
        .create_volume(VolumeCreateRequest { name: Some("bollard-volume".into()), ..Default::default() })
        .await?;
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: words(&["sh", "-c", "echo up; echo err >&2; exec sleep 100"]),
        labels: Some(labels),
        exposed_ports: words(&["80/tcp"]),
        host_config: Some(HostConfig {
            binds: words(&["bollard-volume:/data"]),
            network_mode: Some("bollard-net".into()),
            port_bindings: Some(HashMap::from([(
                "80/tcp".to_owned(),
                Some(vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) }]),
            )])),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = CreateContainerOptionsBuilder::default().name("bollard").build();
    let id = docker.create_container(Some(name), body).await?.id;
    docker.start_container(&id, None::<StartContainerOptions>).await?;
    let seen = docker.inspect_container("bollard", None).await?;
    assert_eq!(seen.state.and_then(|state| state.running), Some(true));
    let ports = seen.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
    assert!(ports["80/tcp"].as_ref().is_some_and(|bindings| bindings[0].host_port.is_some()), "{ports:?}");

    exec(&docker, &id).await?;
    attach(&docker).await?;
    let logs = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    assert_eq!(demultiplexed(docker.logs(&id, Some(logs))).await?, ("up\n".into(), "err\n".into()));

    docker.kill_container(&id, None).await?;
    let ended = docker.wait_container(&id, None::<WaitContainerOptions>).try_collect::<Vec<_>>().await;
    assert!(
        matches!(ended, Err(bollard::errors::Error::DockerContainerWaitError { code: 137, .. })),
        "{ended:?}"
    );
    docker.remove_container(&id, Some(RemoveContainerOptionsBuilder::default().force(true).build())).await?;
    events(&docker, &id).await?;
    docker.remove_network("bollard-net").await?;
    docker.remove_volume("bollard-volume", None::<RemoveVolumeOptions>).await?;
    let gone = docker.inspect_container("bollard", None).await;
    assert!(
        matches!(gone, Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })),
        "{gone:?}"
    );
    Ok(())
}

async fn exec(docker: &Docker, id: &str) -> Result<(), Failure> {
    let config = ExecConfig {
        cmd: words(&["sh", "-c", "cat; echo e >&2; ls -d /data; exit 5"]),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    let exec = docker.create_exec(id, config).await?.id;
    let StartExecResults::Attached { output, mut input } = docker.start_exec(&exec, None).await? else {
        return Err("an exec that is not detached gave no streams".into());
    };
    input.write_all(b"fed\n").await?;
    input.shutdown().await?;
    assert_eq!(demultiplexed(output).await?, ("fed\n/data\n".into(), "e\n".into()));
    assert_eq!(docker.inspect_exec(&exec).await?.exit_code, Some(5));
    Ok(())
}

/// Attached before the start: nothing is lost.
async fn attach(docker: &Docker) -> Result<(), Failure> {
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: words(&["cat"]),
        open_stdin: Some(true),
        stdin_once: Some(true),
        ..Default::default()
    };
    let id = docker.create_container(None, body).await?.id;
    let options =
        AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
    let AttachContainerResults { output, mut input } = docker.attach_container(&id, Some(options)).await?;
    docker.start_container(&id, None::<StartContainerOptions>).await?;
    input.write_all(b"through\n").await?;
    input.shutdown().await?;
    let said = tokio::time::timeout(Duration::from_secs(20), demultiplexed(output)).await??;
    assert_eq!(said, ("through\n".into(), String::new()));
    docker.remove_container(&id, Some(RemoveContainerOptionsBuilder::default().force(true).build())).await?;
    Ok(())
}

/// All that happened to a container, told afterwards.
async fn events(docker: &Docker, id: &str) -> Result<(), Failure> {
    let filters = HashMap::from([("container".to_owned(), vec![id.to_owned()])]);
    let until = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() + 1;
    let options =
        EventsOptionsBuilder::default().since("0").until(&until.to_string()).filters(&filters).build();
    let told: Vec<_> = docker.events(Some(options)).try_collect().await?;
    let actions: Vec<String> = told.into_iter().filter_map(|event| event.action).collect();
    for action in ["create", "start", "kill", "die", "destroy"] {
        assert!(actions.iter().any(|known| known == action), "no event {action} in {actions:?}");
    }
    Ok(())
}
