//! Choosing a subnet that nothing on the host overlaps with.
