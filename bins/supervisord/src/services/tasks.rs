//! `containerd.services.tasks.v1.Tasks`.

use super::checkpoint;
use super::context::{namespace, namespace_of};
use super::records::{blocking, namespace_in};
use crate::sandboxes::Sandboxes;
use crate::tasks::{Create, ProcessId, Restored, Runtime, Tasks};
use containerd_api::services::containers::v1::Container;
use containerd_api::services::tasks::v1::tasks_server;
use containerd_api::services::tasks::v1::*;
use containerd_api::task::v3;
use errdefs::{Error, Kind};
use metadata::{Db, Namespace};
use std::path::Path;
use tonic::{Request, Response, Status, async_trait};

type Answer<T> = Result<Response<T>, Status>;

/// The service: container records from the database, tasks from their shims.
pub struct TasksService {
    /// Where the records are.
    pub records: Db,
    /// What runs.
    pub tasks: Tasks,
    /// What tasks may be made in.
    pub sandboxes: Sandboxes,
}

/// Restored from what, if the request names a checkpoint.
fn restored(records: &Namespace, request: &CreateTaskRequest) -> Restored {
    let Some(checkpoint) = request.checkpoint.clone() else { return Restored::Fresh };
    if let Some(path) = checkpoint.annotations.get("RestoreFromPath") {
        return Restored::From(path.clone());
    }
    let records = records.clone();
    Restored::Filled(Box::new(move |into: &Path| checkpoint::load(&records, &checkpoint, into)))
}

/// The container's runtime, unless the request has another.
fn runtime(container: &Container, request: &CreateTaskRequest) -> Result<Runtime, Error> {
    let recorded = container.runtime.clone().unwrap_or_default();
    let name = if request.runtime_path.is_empty() { recorded.name } else { request.runtime_path.clone() };
    let options = request.options.clone().filter(|any| !any.type_url.is_empty()).or(recorded.options);
    Ok(Runtime { name, options })
}

#[async_trait]
impl tasks_server::Tasks for TasksService {
    async fn create(&self, request: Request<CreateTaskRequest>) -> Answer<CreateTaskResponse> {
        let records = namespace_in(&self.records, &request)?;
        let (namespace, request) = namespace_of(request)?;
        let container = records.containers().get(&request.container_id)?;
        let address = (request.task_api_address.as_str(), request.task_api_version);
        let join = self.sandboxes.join(&records, &container, address)?;
        let create = Create {
            runtime: runtime(&container, &request)?,
            join,
            restored: restored(&records, &request),
            namespace,
            id: request.container_id.clone(),
            spec: container.spec.unwrap_or_default().value,
            rootfs: request.rootfs,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        };
        let pid = self.tasks.create(create).await?;
        Ok(Response::new(CreateTaskResponse { container_id: request.container_id, pid }))
    }

    async fn start(&self, request: Request<StartRequest>) -> Answer<StartResponse> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        Ok(Response::new(StartResponse { pid: self.tasks.start(process).await? }))
    }

    async fn delete(&self, request: Request<DeleteTaskRequest>) -> Answer<DeleteResponse> {
        let (namespace, request) = namespace_of(request)?;
        let record = self.records.namespace(&namespace)?.containers().get(&request.container_id);
        let deleted = self.tasks.delete(Tasks::init(&namespace, &request.container_id)).await;
        let exit = match (deleted, record) {
            (Err(error), Err(missing)) if error.kind() == Kind::NotFound => return Err(missing.into()),
            // A task whose record went while it was being made can be removed still.
            (deleted, _) => deleted?,
        };
        Ok(Response::new(DeleteResponse {
            id: request.container_id,
            pid: exit.pid,
            exit_status: exit.status,
            exited_at: exit.at,
        }))
    }

    async fn delete_process(&self, request: Request<DeleteProcessRequest>) -> Answer<DeleteResponse> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        let exit = self.tasks.delete_process(process).await?;
        Ok(Response::new(DeleteResponse {
            id: request.exec_id,
            pid: exit.pid,
            exit_status: exit.status,
            exited_at: exit.at,
        }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Answer<GetResponse> {
        let (namespace, request) = namespace_of(request)?;
        let process = self.tasks.get(process(&namespace, &request.container_id, &request.exec_id)).await?;
        Ok(Response::new(GetResponse { process: Some(process) }))
    }

    async fn list(&self, request: Request<ListTasksRequest>) -> Answer<ListTasksResponse> {
        let namespace = namespace(&request)?;
        Ok(Response::new(ListTasksResponse { tasks: self.tasks.list(&namespace).await? }))
    }

    async fn kill(&self, request: Request<KillRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        Ok(Response::new(self.tasks.kill(process, request.signal, request.all).await?))
    }

    async fn exec(&self, request: Request<ExecProcessRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        let exec = v3::ExecProcessRequest {
            id: String::new(),
            exec_id: String::new(),
            terminal: request.terminal,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            spec: request.spec,
        };
        Ok(Response::new(self.tasks.exec(process, exec).await?))
    }

    async fn resize_pty(&self, request: Request<ResizePtyRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        Ok(Response::new(self.tasks.resize(process, request.width, request.height).await?))
    }

    async fn close_io(&self, request: Request<CloseIoRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        let process = process(&namespace, &request.container_id, &request.exec_id);
        Ok(Response::new(self.tasks.close_io(process, request.stdin).await?))
    }

    async fn pause(&self, request: Request<PauseTaskRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        Ok(Response::new(self.tasks.pause(Tasks::init(&namespace, &request.container_id)).await?))
    }

    async fn resume(&self, request: Request<ResumeTaskRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        Ok(Response::new(self.tasks.resume(Tasks::init(&namespace, &request.container_id)).await?))
    }

    async fn list_pids(&self, request: Request<ListPidsRequest>) -> Answer<ListPidsResponse> {
        let (namespace, request) = namespace_of(request)?;
        let processes = self.tasks.pids(Tasks::init(&namespace, &request.container_id)).await?;
        Ok(Response::new(ListPidsResponse { processes }))
    }

    async fn checkpoint(&self, request: Request<CheckpointTaskRequest>) -> Answer<CheckpointTaskResponse> {
        let records = namespace_in(&self.records, &request)?;
        let (namespace, request) = namespace_of(request)?;
        let container = records.containers().get(&request.container_id)?;
        let task = Tasks::init(&namespace, &request.container_id);
        let Some(images) = self.tasks.checkpoint(task, request.options).await? else {
            return Ok(Response::new(CheckpointTaskResponse::default()));
        };
        let spec = container.spec.unwrap_or_default();
        let stored = blocking(move || checkpoint::store(&records, images.path(), &spec)).await?;
        Ok(Response::new(CheckpointTaskResponse { descriptors: stored }))
    }

    async fn update(&self, request: Request<UpdateTaskRequest>) -> Answer<()> {
        let (namespace, request) = namespace_of(request)?;
        let task = Tasks::init(&namespace, &request.container_id);
        Ok(Response::new(self.tasks.update(task, request.resources, request.annotations).await?))
    }

    async fn metrics(&self, request: Request<MetricsRequest>) -> Answer<MetricsResponse> {
        let (namespace, request) = namespace_of(request)?;
        let filter = filters::Filters::parse(&request.filters)?;
        let wanted = |id: &str| {
            filter.matches(&|path: &[&str]| match path {
                ["id"] => Some(id.to_owned()),
                ["namespace"] => Some(namespace.clone()),
                _ => None,
            })
        };
        Ok(Response::new(MetricsResponse { metrics: self.tasks.metrics(&namespace, wanted).await? }))
    }

    async fn wait(&self, request: Request<WaitRequest>) -> Answer<WaitResponse> {
        let (namespace, request) = namespace_of(request)?;
        let exit = self.tasks.wait(process(&namespace, &request.container_id, &request.exec_id)).await?;
        Ok(Response::new(WaitResponse { exit_status: exit.status, exited_at: exit.at }))
    }
}

fn process<'a>(namespace: &'a str, task: &'a str, exec: &'a str) -> ProcessId<'a> {
    ProcessId { namespace, task, exec }
}
