//! The tree a container sees: mounts, devices, masks, pivot.
