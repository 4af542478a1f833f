//! Sizes and fractions: `512m`, `1.5GiB`, `0.25` CPUs.

/// Billionths of one.
const BILLION: i128 = 1_000_000_000;

/// Parses a memory size, units in powers of 1024; `-1` passes as no limit.
///
/// # Errors
/// go-units' text.
pub fn parse_bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    if text == "-1" {
        return Ok(-1);
    }
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(invalid)? + 1;
    let (number, suffix) = text.split_at(split);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let value: f64 = number.parse().map_err(|_| invalid())?;
    if !value.is_finite() || value < 0.0 || number.starts_with(['+', '-', 'i', 'n', 'I', 'N']) {
        return Err(invalid());
    }
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let power = match suffix.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let bytes = value * 1024f64.powi(power);
    if bytes >= i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(bytes as i64)
}

/// Parses a number of CPUs into billionths: a decimal, with an exponent or not, or a fraction.
///
/// # Errors
/// Not a number, or finer than a billionth.
pub fn parse_cpus(text: &str) -> Result<i64, String> {
    let invalid = || format!("failed to parse {text} as a rational number");
    let too_precise = || "value is too precise".to_owned();
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanos = match number.split_once('/') {
        Some((above, below)) => {
            let whole = |part: &str| {
                part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok())?
            };
            let (above, below) =
                whole(above).zip(whole(below)).filter(|(_, below)| *below > 0).ok_or_else(invalid)?;
            let billionths = i128::from(above) * BILLION;
            if billionths % i128::from(below) != 0 {
                return Err(too_precise());
            }
            billionths / i128::from(below)
        }
        None => {
            let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
            let exponent: i32 = exponent.parse().map_err(|_| invalid())?;
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let digits = format!("{whole}{fraction}");
            if digits.is_empty() || digits.len() > 24 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid());
            }
            let value: i128 = digits.parse().map_err(|_| invalid())?;
            let scale = exponent.saturating_sub(fraction.len() as i32).saturating_add(9);
            if value == 0 {
                0
            } else if scale >= 0 {
                let power = u32::try_from(scale).ok().and_then(|scale| 10i128.checked_pow(scale));
                power.and_then(|power| value.checked_mul(power)).ok_or_else(invalid)?
            } else {
                let power = 10i128.checked_pow(scale.unsigned_abs()).filter(|power| value % power == 0);
                value / power.ok_or_else(too_precise)?
            }
        }
    };
    i64::try_from(sign * nanos).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_go_units_reads_them() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32 KiB", 32 << 10),
            ("1.5m", 1_572_864),
            ("2G", 2 << 30),
            ("-1", -1),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "abc", "k", "-5", "1x", "1 0", "inf", "9e99", "99999999p"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cpus_are_exact() {
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus(".000000001"), Ok(1));
        assert_eq!(parse_cpus("2"), Ok(2_000_000_000));
        assert_eq!(parse_cpus("1/2"), Ok(500_000_000));
        assert_eq!(parse_cpus("15e-1"), Ok(1_500_000_000));
        assert_eq!(parse_cpus("-1"), Ok(-1_000_000_000));
        assert_eq!(parse_cpus("0.50000000000"), Ok(500_000_000));
        for text in
            ["", ".", "1/0", "1/3", "1/", "1e", "1e99", "0.0000000001", "x", "99999999999", "--1", "1/-2"]
        {
            assert!(parse_cpus(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9./eE]{0,30}") {
            let _ = (parse_cpus(&text), parse_bytes(&text));
        }

        #[test]
        fn decimals_are_what_they_say(nanos in 0i64..=1_000_000_000_000) {
            let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            proptest::prop_assert_eq!(parse_cpus(&text), Ok(nanos));
        }
    }
}
