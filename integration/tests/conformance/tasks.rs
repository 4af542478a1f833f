//! Tasks: lives of processes, what their states refuse, the events that tell of them.

use crate::subject::{Subject, refused};
use containerd_api::services::containers::v1::container::Runtime;
use containerd_api::services::containers::v1::containers_client::ContainersClient;
use containerd_api::services::containers::v1::{Container, CreateContainerRequest, DeleteContainerRequest};
use containerd_api::services::tasks::v1::tasks_client::TasksClient;
use containerd_api::services::tasks::v1::*;
use containerd_api::types::Mount;
use containerd_api::v1::types::Status as State;
use containerd_api::{Any, PROCESS_URL, SPEC_URL};
use serde_json::json;
use std::os::unix::fs::symlink;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

struct Task<'a> {
    subject: &'a Subject,
    client: TasksClient<Channel>,
    id: String,
}

fn process(args: &[&str]) -> serde_json::Value {
    json!({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})
}

impl Task<'_> {
    /// A container whose init is `args`, over a directory with busybox.
    async fn new<'a>(subject: &'a Subject, id: &str, args: &[&str]) -> Task<'a> {
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": process(args),
            "root": {"path": "rootfs"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "network"}],
                "cgroupsPath": format!("/{}/{id}", subject.namespace),
            },
        });
        let container = Container {
            id: id.into(),
            runtime: Some(Runtime { name: "io.containerd.runc.v2".into(), options: None }),
            spec: Some(Any { type_url: SPEC_URL.into(), value: spec.to_string().into_bytes() }),
            ..Container::default()
        };
        let mut containers = ContainersClient::new(subject.channel.clone());
        containers.create(subject.of(CreateContainerRequest { container: Some(container) })).await.unwrap();
        Task { subject, client: TasksClient::new(subject.channel.clone()), id: id.to_owned() }
    }

    async fn create(&self) -> Answer<CreateTaskResponse> {
        let rootfs = Mount {
            r#type: "bind".into(),
            source: self.subject.dir.join("busybox").display().to_string(),
            options: vec!["rbind".into(), "rw".into()],
            ..Mount::default()
        };
        let request = CreateTaskRequest {
            container_id: self.id.clone(),
            rootfs: vec![rootfs],
            ..CreateTaskRequest::default()
        };
        self.client.clone().create(self.subject.of(request)).await
    }

    async fn start(&self, exec: &str) -> Answer<StartResponse> {
        let request = StartRequest { container_id: self.id.clone(), exec_id: exec.into() };
        self.client.clone().start(self.subject.of(request)).await
    }

    async fn exec(&self, exec: &str, args: &[&str]) -> Answer<()> {
        let spec = Any { type_url: PROCESS_URL.into(), value: process(args).to_string().into_bytes() };
        let request = ExecProcessRequest {
            container_id: self.id.clone(),
            exec_id: exec.into(),
            spec: Some(spec),
            ..ExecProcessRequest::default()
        };
        self.client.clone().exec(self.subject.of(request)).await
    }

    async fn wait(&self, exec: &str) -> Answer<WaitResponse> {
        let request = WaitRequest { container_id: self.id.clone(), exec_id: exec.into() };
        self.client.clone().wait(self.subject.of(request)).await
    }

    async fn kill(&self, exec: &str, signal: u32) -> Answer<()> {
        let request = KillRequest { container_id: self.id.clone(), exec_id: exec.into(), signal, all: false };
        self.client.clone().kill(self.subject.of(request)).await
    }

    async fn state(&self, exec: &str) -> Result<State, Status> {
        let request = GetRequest { container_id: self.id.clone(), exec_id: exec.into() };
        let found = self.client.clone().get(self.subject.of(request)).await?;
        Ok(found.into_inner().process.unwrap().status())
    }

    async fn delete(&self) -> Answer<DeleteResponse> {
        let request = DeleteTaskRequest { container_id: self.id.clone() };
        self.client.clone().delete(self.subject.of(request)).await
    }

    async fn delete_process(&self, exec: &str) -> Answer<DeleteResponse> {
        let request = DeleteProcessRequest { container_id: self.id.clone(), exec_id: exec.into() };
        self.client.clone().delete_process(self.subject.of(request)).await
    }

    async fn pause(&self) -> Answer<()> {
        let request = PauseTaskRequest { container_id: self.id.clone() };
        self.client.clone().pause(self.subject.of(request)).await
    }

    async fn resume(&self) -> Answer<()> {
        let request = ResumeTaskRequest { container_id: self.id.clone() };
        self.client.clone().resume(self.subject.of(request)).await
    }

    async fn pids(&self) -> usize {
        let request = ListPidsRequest { container_id: self.id.clone() };
        self.client.clone().list_pids(self.subject.of(request)).await.unwrap().into_inner().processes.len()
    }

    async fn forget(self) {
        let request = DeleteContainerRequest { id: self.id.clone() };
        ContainersClient::new(self.subject.channel.clone()).delete(self.subject.of(request)).await.unwrap();
    }
}

pub async fn suite(subject: &Subject) {
    let bin = subject.dir.join("busybox/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(subject.dir.join("busybox/proc")).unwrap();
    assert!(std::process::Command::new("cp").arg("/bin/busybox").arg(&bin).status().unwrap().success());
    for name in ["sh", "sleep", "true"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    a_short_life(subject).await;
    states_and_execs(subject).await;
    what_cannot_be_made(subject).await;
}

async fn a_short_life(subject: &Subject) {
    let short = Task::new(subject, "short", &["sh", "-c", "exit 7"]).await;
    let pid = short.create().await.unwrap().into_inner().pid;
    assert!(pid > 0);
    assert_eq!(short.state("").await.unwrap(), State::Created);
    refused(short.create().await, Code::AlreadyExists);
    assert_eq!(short.start("").await.unwrap().into_inner().pid, pid);
    let waited = short.wait("").await.unwrap().into_inner();
    assert_eq!(waited.exit_status, 7);
    assert!(waited.exited_at.is_some());
    // Whoever asks later is told the same.
    assert_eq!(short.wait("").await.unwrap().into_inner(), waited);
    assert_eq!(short.state("").await.unwrap(), State::Stopped);
    refused(short.kill("", 9).await, Code::NotFound);
    let deleted = short.delete().await.unwrap().into_inner();
    assert_eq!((deleted.exit_status, deleted.pid, deleted.exited_at), (7, pid, waited.exited_at));
    assert_eq!(short.state("").await.unwrap_err().code(), Code::NotFound);
    refused(short.delete().await, Code::NotFound);
    short.forget().await;
}

async fn states_and_execs(subject: &Subject) {
    let long = Task::new(subject, "long", &["sleep", "1000"]).await;
    long.create().await.unwrap();
    long.start("").await.unwrap();
    assert_eq!(long.state("").await.unwrap(), State::Running);
    long.delete().await.unwrap_err();
    assert_eq!(long.pids().await, 1);

    long.exec("e1", &["sh", "-c", "exit 3"]).await.unwrap();
    refused(long.exec("e1", &["true"]).await, Code::AlreadyExists);
    refused(long.exec("a b", &["true"]).await, Code::InvalidArgument);
    refused(long.exec("", &["true"]).await, Code::InvalidArgument);
    assert_eq!(long.state("e1").await.unwrap(), State::Created);
    long.start("e1").await.unwrap();
    assert_eq!(long.wait("e1").await.unwrap().into_inner().exit_status, 3);
    assert_eq!(long.delete_process("e1").await.unwrap().into_inner().exit_status, 3);
    refused(long.delete_process("e1").await, Code::NotFound);
    long.exec("e2", &["sleep", "1000"]).await.unwrap();
    long.start("e2").await.unwrap();
    assert_eq!(long.pids().await, 2);
    long.kill("e2", 15).await.unwrap();
    assert_eq!(long.wait("e2").await.unwrap().into_inner().exit_status, 143);
    refused(long.kill("e2", 9).await, Code::NotFound);
    long.delete_process("e2").await.unwrap();
    long.exec("e3", &["no-such-program"]).await.unwrap();
    long.start("e3").await.unwrap_err();
    for exec in ["e9"] {
        refused(long.start(exec).await, Code::NotFound);
        refused(long.kill(exec, 9).await, Code::NotFound);
        refused(long.wait(exec).await, Code::NotFound);
    }

    long.pause().await.unwrap();
    assert_eq!(long.state("").await.unwrap(), State::Paused);
    long.pause().await.unwrap_err();
    long.resume().await.unwrap();
    assert_eq!(long.state("").await.unwrap(), State::Running);
    let metrics = MetricsRequest { filters: vec![format!("id=={}", long.id)] };
    let metrics = long.client.clone().metrics(subject.of(metrics)).await.unwrap().into_inner().metrics;
    assert_eq!(metrics.len(), 1);
    let none = MetricsRequest { filters: vec!["id==none".into()] };
    assert!(long.client.clone().metrics(subject.of(none)).await.unwrap().into_inner().metrics.is_empty());
    // Two that wait are both told.
    let (first, second, killed) = tokio::join!(long.wait(""), long.wait(""), long.kill("", 9));
    killed.unwrap();
    assert_eq!(
        (first.unwrap().into_inner().exit_status, second.unwrap().into_inner().exit_status),
        (137, 137)
    );
    long.exec("late", &["true"]).await.unwrap_err();
    long.delete().await.unwrap();
    long.forget().await;
}

async fn what_cannot_be_made(subject: &Subject) {
    let absent = Task::new(subject, "absent", &["no-such-program"]).await;
    let text = refused(absent.create().await, Code::Unknown);
    assert!(text.contains("no-such-program"), "{text}");
    // Nothing is left of it: it can be tried again.
    let again = refused(absent.create().await, Code::Unknown);
    assert!(again.contains("no-such-program"), "{again}");
    assert_eq!(absent.state("").await.unwrap_err().code(), Code::NotFound);
    absent.forget().await;
    let client = TasksClient::new(subject.channel.clone());
    let nobody = Task { subject, client, id: "nobody".into() };
    refused(nobody.create().await, Code::NotFound);
    refused(nobody.start("").await, Code::NotFound);
    refused(nobody.wait("").await, Code::NotFound);
    refused(nobody.pause().await, Code::NotFound);
    refused(nobody.delete().await, Code::NotFound);
}
