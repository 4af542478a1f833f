//! A private stack for tests, and the checks that it left the host clean.
