//! Types of the Docker Engine API.
