//! The stack's own nftables table, and its guests in foreign ones.
