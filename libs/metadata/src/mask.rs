//! Which fields an update changes.
