//! Points in time: RFC 3339 in, Docker's forms out.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, in Unix seconds.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// `2026-11-21 08:00:11 +0000 UTC`, in local time.
pub fn go_string(unix_seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(unix_seconds) else { return String::new() };
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// The same of an RFC 3339 text, with its fraction and in its own zone, as Go prints it.
pub fn go_string_of(text: &str) -> String {
    let Ok(time) = text.parse::<Timestamp>() else { return text.to_owned() };
    let fraction = match time.subsec_nanosecond() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{}{fraction} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"))
}

/// `2026-11-21T08:00:11+00:00` with an offset or `Z`, in local time.
pub fn rfc3339_local(unix_seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(unix_seconds) else { return String::new() };
    zulu(time.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// `Sat Nov 21 08:00:11 2026`, in local time.
pub fn ctime(unix_seconds: i64) -> String {
    let Ok(time) = Timestamp::from_second(unix_seconds) else { return String::new() };
    time.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// With exactly nine digits of the second.
pub fn rfc3339_nanos_local(unix_nanos: i64) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(unix_nanos)) else { return String::new() };
    zulu(time.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string())
}

fn zulu(text: String) -> String {
    match text.strip_suffix("+00:00") {
        Some(bare) => format!("{bare}Z"),
        None => text,
    }
}

/// Unix seconds of an RFC 3339 text; 0 where it is none.
pub fn unix_of(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

/// What `--since` and `--until` send: Unix seconds (with a fraction) as they are, durations as
/// so long ago, dates as their second.
///
/// # Errors
/// None of the three.
pub fn engine_timestamp(text: &str) -> Result<String, String> {
    if let Ok(nanos) = crate::options::duration::parse(text) {
        let then = Timestamp::now().as_nanosecond() - i128::from(nanos);
        return Ok(format!("{}.{:09}", then / 1_000_000_000, then % 1_000_000_000));
    }
    if text.parse::<f64>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()));
    }
    let local = text.parse::<jiff::civil::DateTime>().or_else(|_| {
        let day: Result<jiff::civil::Date, _> = text.parse();
        day.map(|day| day.at(0, 0, 0, 0))
    });
    let zoned = local.ok().and_then(|local| local.to_zoned(TimeZone::system()).ok());
    let time =
        zoned.ok_or_else(|| format!("failed to parse value as time or duration: {text:?}"))?.timestamp();
    Ok(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_forms() {
        assert_eq!(engine_timestamp("1700000000.5").unwrap(), "1700000000.5");
        assert_eq!(engine_timestamp("2023-11-14T22:13:20Z").unwrap(), "1700000000.000000000");
        assert_eq!(engine_timestamp("2023-11-14T22:13:20.25+00:00").unwrap(), "1700000000.250000000");
        assert!(engine_timestamp("2023-11-14").is_ok());
        let ago: f64 = engine_timestamp("10m").unwrap().parse().unwrap();
        assert!((ago - (now() as f64 - 600.0)).abs() < 5.0);
        assert!(engine_timestamp("yesterday").is_err());
        assert_eq!(unix_of("2023-11-14T22:13:20.123456789Z"), 1_700_000_000);
    }
}
