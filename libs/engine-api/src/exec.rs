//! Processes added to a running container.

use crate::Words;

record! {
    /// `POST /containers/{id}/exec`.
    pub struct ExecCreate {
        user: String,
        privileged: bool,
        tty: bool,
        /// Height and width.
        console_size[omitempty]: Option<[u64; 2]>,
        attach_stdin: bool,
        attach_stderr: bool,
        attach_stdout: bool,
        detach: bool,
        /// docker-py writes it small.
        #[serde(alias = "detachKeys")]
        detach_keys: String,
        env: Option<Vec<String>>,
        working_dir: String,
        cmd: Option<Words>,
    }

    /// Its answer.
    pub struct ExecCreated {
        id: String,
    }

    /// `POST /exec/{id}/start`.
    pub struct ExecStart {
        detach: bool,
        tty: bool,
        console_size[omitempty]: Option<[u64; 2]>,
    }

    /// `GET /exec/{id}/json`.
    pub struct ExecInspect {
        #[serde(rename = "ID")]
        id: String,
        running: bool,
        exit_code: Option<i64>,
        process_config: ProcessConfig,
        open_stdin: bool,
        open_stderr: bool,
        open_stdout: bool,
        can_remove: bool,
        #[serde(rename = "ContainerID")]
        container_id: String,
        detach_keys: String,
        pid: i64,
    }

    /// What runs.
    pub struct ProcessConfig {
        #[serde(rename = "tty")]
        tty: bool,
        #[serde(rename = "entrypoint")]
        entrypoint: String,
        #[serde(rename = "arguments")]
        arguments: Vec<String>,
        #[serde(rename = "privileged")]
        privileged[omitempty]: Option<bool>,
        #[serde(rename = "user")]
        user[omitempty]: String,
    }
}
