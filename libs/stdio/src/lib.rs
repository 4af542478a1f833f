//! Fifos, terminals, and copying between them.
