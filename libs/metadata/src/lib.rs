//! Transactional records, leases, garbage collection.
