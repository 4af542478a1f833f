//! The containerd filter grammar.
