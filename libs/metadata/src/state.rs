//! Every record, in memory.
