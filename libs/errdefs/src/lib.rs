//! Kinds of failure shared by every floor, with the hint a person needs.
