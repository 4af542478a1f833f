//! Image names: parsing, Docker normalisation, digests.
