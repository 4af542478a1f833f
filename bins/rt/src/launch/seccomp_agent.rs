//! The agent that answers a seccomp filter's questions (config-linux.md#seccomp listenerPath).

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use runtime_spec::Seccomp;
use runtime_spec::{State, Status};
use serde::Serialize;

use super::channel::send_with;
use crate::container::Record;
use crate::failure::{Failure, Tried};

/// `ContainerProcessState`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    oci_version: &'a str,
    /// What the descriptors that come along are.
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: State,
}

/// Sends the listener and the state of the container to the agent's socket.
pub fn hand_over(
    profile: &Seccomp,
    listener: &OwnedFd,
    pid: i32,
    record: &Record,
    status: Status,
) -> Result<(), Failure> {
    let message = Message {
        oci_version: &record.oci_version,
        fds: ["seccompFd"],
        pid,
        metadata: &profile.listener_metadata,
        state: record.state(status),
    };
    let bytes = serde_json::to_vec(&message).map_err(|error| Failure::new(error.to_string()))?;
    let path = &profile.listener_path;
    let socket = UnixStream::connect(path).tried(format!("failed to connect with seccomp agent {path}"))?;
    send_with(socket.as_fd(), &bytes, Some(listener.as_fd())).tried("cannot send the listener")
}
