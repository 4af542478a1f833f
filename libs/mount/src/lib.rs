//! Mounts by file descriptor: the option words, and detached trees that are attached at the end.

mod lowers;
mod options;
mod tree;

pub use lowers::MappedLowers;
pub use options::{Options, ParseError, Propagation, Range, Ranges, is_superblock_flag, known_options};
pub use tree::{Error, Tree};
