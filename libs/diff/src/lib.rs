//! Layers to directories and back.
