//! Mount points by file descriptor.
