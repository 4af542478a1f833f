//! Container log drivers: write, rotate, read, follow.
