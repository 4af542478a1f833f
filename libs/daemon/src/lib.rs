//! Identity, sockets, descriptors, readiness and shutdown of a daemon.
//!
//! A daemon's `main` reads: [`memory::be_thrifty`], [`socket::inherited`] or [`socket::listen`], then [`ready::ready`], then
//! serve until [`shutdown::Signals`] says stop.

pub mod descriptors;
pub mod identity;
pub mod memory;
pub mod ready;
pub mod shutdown;
pub mod socket;
