//! Linux namespaces: create, join, map ids.
