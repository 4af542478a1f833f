//! What every daemon does: sockets, readiness, shutdown.
