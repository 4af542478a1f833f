//! Kernel settings of links, under `/proc/sys/net`.
