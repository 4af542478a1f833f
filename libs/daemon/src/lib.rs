//! Sockets, readiness and shutdown of a daemon.
//!
//! A daemon's `main` reads: [`socket::inherited`] or [`socket::listen`], then [`ready::ready`], then
//! serve until [`shutdown::Signals`] says stop.

pub mod ready;
pub mod shutdown;
pub mod socket;
