//! Moments as Docker writes them: RFC 3339 with nanoseconds, zero being the year 1.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Nanoseconds since 1970; zero stands for "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// A moment, or a length of time before now (`10m`, `24h`, `1h30m`).
    pub fn before_now(text: &str) -> Option<Time> {
        if let Some(time) = Time::parse(text) {
            return Some(time);
        }
        let mut seconds: i64 = 0;
        for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
            let unit = match part.as_bytes().last()? {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                _ => return None,
            };
            let count: i64 = part.get(..part.len() - 1)?.parse().ok()?;
            seconds = seconds.checked_add(count.checked_mul(unit)?)?;
        }
        Some(Time(Time::now().0.checked_sub(seconds.checked_mul(SECOND)?)?))
    }

    /// The present moment.
    pub fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// A moment told by the containerd API; `None` is now.
    pub fn of(stamp: Option<&Timestamp>) -> Time {
        stamp.map_or_else(Time::now, |stamp| Time(stamp.seconds * SECOND + i64::from(stamp.nanos)))
    }

    /// As [`Time::rfc3339`], without the parts of a second.
    pub fn rfc3339_seconds(self) -> String {
        Time(self.seconds() * SECOND).rfc3339()
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// `2026-01-02T03:04:05.123Z`, trailing zeros left out as Go does.
    pub fn rfc3339(self) -> String {
        if self.0 == 0 {
            return "0001-01-01T00:00:00Z".to_owned();
        }
        let (days, rest) = (self.seconds().div_euclid(DAY_SECONDS), self.seconds().rem_euclid(DAY_SECONDS));
        let (year, month, day) = civil(days);
        let mut text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        );
        let nanos = self.0.rem_euclid(SECOND);
        if nanos != 0 {
            text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
        }
        text.push('Z');
        text
    }

    /// Reads what clients send for `since` and `until`: Unix seconds with an optional fraction, or
    /// RFC 3339.
    pub fn parse(text: &str) -> Option<Time> {
        match text.split_once('.').map_or((text, ""), |parts| parts) {
            (whole, fraction) if is_number(whole) && fraction.bytes().all(|b| b.is_ascii_digit()) => {
                let seconds: i64 = whole.parse().ok()?;
                Some(Time(seconds.checked_mul(SECOND)?.checked_add(nanoseconds(fraction))?))
            }
            _ => parse_rfc3339(text),
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The digits after the point, as nanoseconds.
fn nanoseconds(fraction: &str) -> i64 {
    format!("{fraction:0<9}").get(..9).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn parse_rfc3339(text: &str) -> Option<Time> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>());
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let (clock, offset) = split_offset(clock)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<i64>());
    let hour = parts.next()?.ok()?;
    let minute = parts.next().map_or(Some(0), Result::ok)?;
    let second = parts.next().map_or(Some(0), Result::ok)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let seconds = days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(SECOND)?.checked_add(nanoseconds(fraction)).map(Time)
}

/// Splits `+02:00` off, in seconds; none and `Z` are zero.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, 0)) };
    let (clock, zone) = (clock.get(..at)?, clock.get(at..)?);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((clock, if zone.starts_with('-') { -seconds } else { seconds }))
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Year, month, day of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        assert_eq!(Time(0).rfc3339(), "0001-01-01T00:00:00Z");
        assert_eq!(Time(1_700_000_000 * SECOND).rfc3339(), "2023-11-14T22:13:20Z");
        assert_eq!(Time(951_782_400 * SECOND + 120_000_000).rfc3339(), "2000-02-29T00:00:00.12Z");
    }

    #[test]
    fn what_clients_send() {
        assert_eq!(Time::parse("1700000000.5").unwrap().0, 1_700_000_000 * SECOND + SECOND / 2);
        assert_eq!(Time::parse("2023-11-14T23:13:20+01:00").unwrap().seconds(), 1_700_000_000);
        assert_eq!(Time::parse("2023-11-14").unwrap().seconds(), 1_699_920_000);
        assert_eq!(Time::parse("yesterday"), None);
    }

    proptest! {
        #[test]
        fn text_and_back(nanos in 1..253_000_000_000_000_000_i64) {
            prop_assert_eq!(Time::parse(&Time(nanos).rfc3339()), Some(Time(nanos)));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            let _ = Time::parse(&text);
        }
    }
}
