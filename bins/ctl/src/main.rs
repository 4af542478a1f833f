//! The command line: Docker's grammar over the Engine API.

fn main() {}
