//! Moments as logs write them: RFC 3339 in UTC with up to nine decimals.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The present.
    pub fn now() -> Time {
        SystemTime::now().into()
    }

    /// As Go's RFC3339Nano prints it in UTC: without trailing zeros of the fraction.
    pub fn rfc3339(self) -> String {
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let mut text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        if nanos != 0 {
            text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
        }
        text.push('Z');
        text
    }

    /// Like [`Time::rfc3339`] with all nine decimals, as `docker logs --timestamps` prints it.
    pub fn rfc3339_padded(self) -> String {
        let nanos = self.0.rem_euclid(1_000_000_000);
        let whole = Time(self.0 - nanos).rfc3339();
        format!("{}.{nanos:09}Z", whole.trim_end_matches('Z'))
    }

    /// Reads RFC 3339 with any fraction and offset.
    pub fn parse(text: &str) -> Option<Time> {
        let bytes = text.as_bytes();
        if bytes.len() < 20 || !text.is_ascii() {
            return None;
        }
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
            return None;
        }
        let number = |from: usize, to: usize| digits(&bytes[from..to]);
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (nanos, zone) = fraction(&bytes[19..])?;
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Time)
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Time {
        Time(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        })
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0_i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// The nanoseconds after a dot, and what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if bytes.first() != Some(&b'.') {
        return Some((0, bytes));
    }
    let end = 1 + bytes[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let shown = &bytes[1..end.min(10)];
    if shown.is_empty() {
        return None;
    }
    Some((digits(shown)? * 10_i64.pow(9 - shown.len() as u32), &bytes[end..]))
}

/// The seconds that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let ahead = digits(&[*h1, *h2])? * 3600 + digits(&[*m1, *m2])? * 60;
            Some(if *sign == b'+' { ahead } else { -ahead })
        }
        _ => None,
    }
}

/// Days since 1970 of a Gregorian date, counting years from March so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

/// The date of a day since 1970; the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        assert_eq!(Time(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Time(1_709_164_800_120_000_000).rfc3339(), "2024-02-29T00:00:00.12Z");
        assert_eq!(Time(1_709_164_800_120_000_000).rfc3339_padded(), "2024-02-29T00:00:00.120000000Z");
        assert_eq!(Time::parse("2024-02-29T01:30:00.12+01:30"), Some(Time(1_709_164_800_120_000_000)));
        for wrong in
            ["", "2024-02-29", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z"]
        {
            assert_eq!(Time::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_agree(nanos in -2_000_000_000_000_000_000_i64..8_000_000_000_000_000_000) {
            prop_assert_eq!(Time::parse(&Time(nanos).rfc3339()), Some(Time(nanos)));
            prop_assert_eq!(Time::parse(&Time(nanos).rfc3339_padded()), Some(Time(nanos)));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,40}") {
            let _ = Time::parse(&text);
        }
    }
}
