//! The fields of events' payloads that subscribers filter by: `event.container_id`, `event.labels."k"`.
//!
//! They are those of containerd's messages that are text (its `fieldpath` plugin): numbers and times are none.

use containerd_api::events::*;
use containerd_api::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use containerd_api::{Any, unpack};
use filters::map_field;

/// A payload that has fields to filter by.
trait Fields {
    /// The value at a path; `None` when the message has no such field.
    fn at(&self, path: &[&str]) -> Option<String>;
}

macro_rules! fields {
    ($($message:ident { $($field:ident),* $(; $labels:ident)? })*) => {
        $(impl Fields for $message {
            fn at(&self, path: &[&str]) -> Option<String> {
                match path {
                    $([stringify!($field)] => Some(self.$field.clone()),)*
                    $([stringify!($labels), key @ ..] => map_field(&self.$labels, key).map(Into::into),)?
                    _ => None,
                }
            }
        })*

        /// The value of `event.PATH`, if the payload is of a kind that has such a field.
        pub fn field(event: &Any, path: &[&str]) -> Option<String> {
            $(
                if let Ok(event) = unpack::<$message>(event) {
                    return event.at(path);
                }
            )*
            if let Ok(event) = unpack::<ContainerCreate>(event) {
                return event.at(path);
            }
            unpack::<TaskCreate>(event).ok()?.at(path)
        }
    };
}

fields! {
    TaskStart { container_id }
    TaskDelete { container_id, id }
    TaskExit { container_id, id }
    TaskOom { container_id }
    TaskExecAdded { container_id, exec_id }
    TaskExecStarted { container_id, exec_id }
    TaskPaused { container_id }
    TaskResumed { container_id }
    TaskCheckpointed { container_id, checkpoint }
    ContainerUpdate { id, image, snapshot_key; labels }
    ContainerDelete { id }
    ContentCreate { digest, media_type }
    ContentDelete { digest }
    ImageCreate { name; labels }
    ImageUpdate { name; labels }
    ImageDelete { name }
    NamespaceCreate { name; labels }
    NamespaceUpdate { name; labels }
    NamespaceDelete { name }
    SandboxCreate { sandbox_id }
    SandboxStart { sandbox_id }
    SandboxExit { sandbox_id }
    SnapshotPrepare { key, parent, snapshotter }
    SnapshotCommit { key, name, snapshotter }
    SnapshotRemove { key, snapshotter }
}

impl Fields for ContainerCreate {
    fn at(&self, path: &[&str]) -> Option<String> {
        match path {
            ["id"] => Some(self.id.clone()),
            ["image"] => Some(self.image.clone()),
            ["runtime", "name"] => Some(self.runtime.as_ref()?.name.clone()),
            _ => None,
        }
    }
}

impl Fields for TaskCreate {
    fn at(&self, path: &[&str]) -> Option<String> {
        match path {
            ["container_id"] => Some(self.container_id.clone()),
            ["bundle"] => Some(self.bundle.clone()),
            ["checkpoint"] => Some(self.checkpoint.clone()),
            ["io", field] => {
                let io = self.io.as_ref()?;
                match *field {
                    "stdin" => Some(io.stdin.clone()),
                    "stdout" => Some(io.stdout.clone()),
                    "stderr" => Some(io.stderr.clone()),
                    "terminal" => Some(io.terminal.to_string()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_api::pack;

    #[test]
    fn fields_are_found_by_their_names() {
        let exit = pack(&TaskExit { container_id: "a".into(), ..Default::default() });
        assert_eq!(field(&exit, &["container_id"]).as_deref(), Some("a"));
        assert_eq!(field(&exit, &["image"]), None);
        let removed = pack(&SnapshotRemove { key: "k".into(), snapshotter: "native".into() });
        assert_eq!(field(&removed, &["snapshotter"]).as_deref(), Some("native"));
        assert_eq!(field(&removed, &[]), None);
    }

    #[test]
    fn labels_and_messages_within_are_reached() {
        let labels = [("a.b/c".to_owned(), "1".to_owned())].into();
        let image = pack(&ImageCreate { name: "n".into(), labels });
        assert_eq!(field(&image, &["name"]).as_deref(), Some("n"));
        assert_eq!(field(&image, &["labels", "a", "b/c"]).as_deref(), Some("1"));
        assert_eq!(field(&image, &["labels"]), None);
        let runtime = container_create::Runtime { name: "r".into(), options: None };
        let container = pack(&ContainerCreate { runtime: Some(runtime), ..Default::default() });
        assert_eq!(field(&container, &["runtime", "name"]).as_deref(), Some("r"));
        let io = TaskIo { stdout: "file:///x".into(), ..Default::default() };
        let task = pack(&TaskCreate { io: Some(io), ..Default::default() });
        assert_eq!(field(&task, &["io", "stdout"]).as_deref(), Some("file:///x"));
        assert_eq!(field(&task, &["io"]), None);
    }
}
