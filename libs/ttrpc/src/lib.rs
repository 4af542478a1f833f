//! The ttrpc protocol, client and server.
