//! The fields of events' payloads that subscribers filter by.

use containerd_api::events::{
    ContainerCreate, ContainerDelete, ContainerUpdate, TaskCreate, TaskDelete, TaskExecAdded,
    TaskExecStarted, TaskExit, TaskOom, TaskPaused, TaskResumed, TaskStart,
};
use containerd_api::{Any, unpack};

/// The value of `event.FIELD`, if the payload is of a kind that has such a field.
pub fn field(event: &Any, name: &str) -> Option<String> {
    macro_rules! lookup {
        ($($message:ident { $($field:ident),* })*) => {
            $(
                if let Ok(event) = unpack::<$message>(event) {
                    return match name {
                        $(stringify!($field) => Some(event.$field),)*
                        _ => None,
                    };
                }
            )*
        };
    }
    lookup! {
        TaskCreate { container_id, bundle, checkpoint }
        TaskStart { container_id }
        TaskDelete { container_id, id }
        TaskExit { container_id, id }
        TaskOom { container_id }
        TaskExecAdded { container_id, exec_id }
        TaskExecStarted { container_id, exec_id }
        TaskPaused { container_id }
        TaskResumed { container_id }
        ContainerCreate { id, image }
        ContainerUpdate { id, image, snapshot_key }
        ContainerDelete { id }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::field;
    use containerd_api::events::TaskExit;

    #[test]
    fn fields_are_found_by_their_names() {
        let event = containerd_api::pack(&TaskExit { container_id: "a".into(), ..Default::default() });
        assert_eq!(field(&event, "container_id").as_deref(), Some("a"));
        assert_eq!(field(&event, "image"), None);
    }
}
