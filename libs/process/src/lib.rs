//! What a container process is: user, capabilities, limits, labels.
