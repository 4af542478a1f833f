//! Netlink messages: links, addresses, routes, nftables.
