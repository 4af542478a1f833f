//! Tar archives: read, write, apply to a directory that they cannot leave, make from a tree.
//!
//! [`Reader`] and [`Writer`] know the format (ustar, GNU, PAX, sparse files); [`apply`] brings an
//! archive into a root by descriptors alone, resolving every path with openat2(2) inside that root;
//! [`pack`] writes a tree out.

mod apply;
mod body;
mod entry;
mod error;
mod extract;
mod header;
mod hide;
mod ids;
mod metadata;
mod pack;
mod pax;
mod reader;
mod remove;
mod root;
mod sparse;
mod whiteout;
mod writer;

pub use apply::{Applied, Lowers, Options, apply};
pub use entry::{Entry, Kind, Segment, Time};
pub use error::{Error, Result};
pub use extract::{Extract, extract};
pub use ids::{IdRange, Ids};
pub use pack::{describe, pack};
pub use reader::Reader;
pub use whiteout::{OPAQUE, PREFIX as WHITEOUT_PREFIX, Whiteouts};
pub use writer::Writer;
