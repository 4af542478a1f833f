//! Layers to directories and back: decompress, hash and untar at once; compare two trees.
//!
//! Everything is synchronous and uses threads of its own while a call lasts.

mod apply;
mod chunks;
mod compare;
mod compression;
mod hash;
mod ids;
mod processor;
mod target;
mod upper;
mod write;

pub use apply::{Applied, Layer, apply, needs_lowers};
pub use compression::{Compression, decompress};
pub use hash::HashWriter;
pub use processor::{Processor, Processors};
pub use target::Target;
pub use write::{WriteOptions, Written, compress, write};
