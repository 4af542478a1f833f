//! Bridges, addresses, NAT and published ports.
