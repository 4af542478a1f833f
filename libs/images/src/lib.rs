//! Image manifests, configs, layouts, unpacking.
