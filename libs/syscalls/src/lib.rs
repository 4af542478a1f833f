//! Every kernel call that needs unsafe, typed.
