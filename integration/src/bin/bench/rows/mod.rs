//! The rows, a group a file.

pub mod daemons;
pub mod fifty;
pub mod growth;
pub mod images;
pub mod lives;
pub mod logs;
pub mod questions;
pub mod running;
pub mod streams;
pub mod thousand;
pub mod traffic;
