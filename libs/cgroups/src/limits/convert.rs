//! v1 values, which the specification is written in, to v2 values.

use runtime_spec::Memory;

use crate::error::{Error, Result};

/// `cpu.shares` (2 to 262144, 1024 by default) to `cpu.weight` (1 to 10000, 100 by default).
///
/// runc since 1.3 and crun since 1.23 map by the parabola through the logarithms of minimum,
/// default and maximum, so that the default stays the default: 10^((l² + 125 l)/612 - 7/34) with
/// l the binary logarithm of the shares, rounded up.
pub(crate) fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// `blkio.weight` (10 to 1000) to `io.weight` (1 to 10000), linearly.
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990
}

/// What `memory.swap.max` becomes; `None` leaves it. v1 counts memory plus swap, v2 only swap.
pub(crate) fn swap(memory: &Memory) -> Result<Option<i64>> {
    let both = memory.swap.unwrap_or(0);
    let limit = memory.limit.unwrap_or(0);
    match (limit, both) {
        // No limit of memory and nothing said of swap means no limit of either, as on v1.
        (-1, 0) => Ok(Some(-1)),
        (_, 0) => Ok(None),
        (_, -1) => Ok(Some(-1)),
        (-1, swap) => Ok(Some(swap)),
        (0, _) => Err(Error::invalid("memory swap", both, "unable to set swap limit without memory limit")),
        (limit, _) if limit < 0 => Err(Error::invalid("memory limit", limit, "it is negative")),
        (limit, both) if both < limit => {
            Err(Error::invalid("memory swap", both, "memory+swap limit should be >= memory limit"))
        }
        (limit, both) => Ok(Some(both - limit)),
    }
}

/// A number as v2 files take it: -1 is "max".
pub(crate) fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fit_minimum_default_and_maximum() {
        for (shares, expected) in [
            (0, 1),
            (2, 1),
            (3, 2),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
            (300_000, 10_000),
        ] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
        assert!((2..=262_144u64).step_by(97).map(weight).is_sorted());
        assert_eq!((io_weight(10), io_weight(500), io_weight(1000)), (1, 4950, 10_000));
    }

    #[test]
    fn swap_is_the_difference() {
        let swap_of = |limit, swap| super::swap(&Memory { limit, swap, ..Memory::default() });
        assert_eq!(swap_of(Some(100), Some(300)).unwrap(), Some(200));
        assert_eq!(swap_of(Some(100), Some(100)).unwrap(), Some(0));
        assert_eq!(swap_of(Some(100), None).unwrap(), None);
        assert_eq!(swap_of(Some(-1), None).unwrap(), Some(-1));
        assert_eq!(swap_of(Some(-1), Some(5)).unwrap(), Some(5));
        assert_eq!(swap_of(Some(7), Some(-1)).unwrap(), Some(-1));
        assert!(swap_of(None, Some(5)).is_err());
        assert!(swap_of(Some(5), Some(4)).is_err());
    }
}
