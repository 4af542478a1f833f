//! Tar archives that cannot leave their root.
