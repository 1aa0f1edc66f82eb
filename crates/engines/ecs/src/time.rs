//! Times as sources write them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// An instant in microseconds since 1970 (UTC).
///
/// Understood are RFC 3339 and ISO 8601 with `T` or a space (without an offset: UTC; a leap second
/// is the last second of its minute), epoch numbers in seconds, milliseconds, microseconds or
/// nanoseconds (told apart by their size, with fractions of seconds), RFC 2822, the common log
/// format (`25/Nov/2026:21:07:00 +0000`), nginx's error log (`2026/11/25 21:07:00`), and syslog's
/// `Nov 25 21:07:00`, which has no year: `reference` (microseconds) gives it, as the year in which
/// the time lies nearest to it.
///
/// `None` for anything else: NaN, infinities, months that do not exist.
pub fn instant(text: &str, reference: i64) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() < 2 || bytes.len() > 64 || !text.is_ascii() {
        return None;
    }
    if let Some(us) = rfc3339(bytes) {
        return Some(us);
    }
    if let Some(us) = epoch(text) {
        return Some(us);
    }
    if bytes[0].is_ascii_digit() {
        if let Some(us) = common_log(text) {
            return Some(us);
        }
        return written(text);
    }
    if bytes[0].is_ascii_alphabetic() {
        return syslog(text, reference).or_else(|| {
            jiff::fmt::rfc2822::parse(text)
                .ok()
                .map(|z| z.timestamp().as_microsecond())
        });
    }
    None
}

fn two(b: &[u8], i: usize) -> Option<i64> {
    let (a, c) = (b.get(i)?, b.get(i + 1)?);
    (a.is_ascii_digit() && c.is_ascii_digit())
        .then(|| i64::from(a - b'0') * 10 + i64::from(c - b'0'))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The form of nearly all events, read without a general parser.
fn rfc3339(b: &[u8]) -> Option<i64> {
    if b.len() < 19 || b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    if !matches!(b[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = two(b, 0)? * 100 + two(b, 2)?;
    let (month, day) = (two(b, 5)?, two(b, 8)?);
    let (hour, minute, second) = (two(b, 11)?, two(b, 14)?, two(b, 17)?);
    if !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut i = 19;
    let mut micros = 0;
    if matches!(b.get(i), Some(b'.' | b',')) {
        i += 1;
        let start = i;
        let mut scale = 100_000;
        while let Some(d) = b.get(i).filter(|d| d.is_ascii_digit()) {
            micros += i64::from(d - b'0') * scale;
            scale /= 10;
            i += 1;
        }
        if i == start {
            return None;
        }
    }
    let rest = &b[i..];
    let offset = match rest {
        [] | [b'Z' | b'z'] | [b' ', b'U', b'T', b'C'] => 0,
        [sign @ (b'+' | b'-'), tail @ ..] => {
            let hours = two(tail, 0)?;
            let minutes = match &tail[2..] {
                [] => 0,
                [b':', m @ ..] if m.len() == 2 => two(m, 0)?,
                m if m.len() == 2 => two(m, 0)?,
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            let value = hours * 3600 + minutes * 60;
            if *sign == b'-' { -value } else { value }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    if second == 60 {
        micros = 999_999;
    }
    Some((seconds - offset) * 1_000_000 + micros)
}

/// Seconds up to 10^11, then milliseconds, microseconds, nanoseconds: the ranges do not overlap for
/// the years 1973 to 5138.
fn epoch(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 19
        || fraction.len() > 20
        || !digits(whole)
        || !digits(fraction)
    {
        return None;
    }
    if exponent != 0 {
        // Some writers give 1.7092080015E9; a double holds microseconds of this century exactly enough.
        if !(0..=18).contains(&exponent) {
            return None;
        }
        let value: f64 = text.parse().ok()?;
        #[allow(clippy::cast_possible_truncation)]
        return (value < 1e11).then(|| (value * 1e6).round() as i64);
    }
    let n = whole.parse::<i64>().ok()?;
    // Eight digits are a date, fewer than eight are no time of a log.
    if whole.len() <= 8 {
        return None;
    }
    Some(match n {
        0..100_000_000_000 => {
            let mut micros = 0;
            let mut scale = 100_000;
            for d in fraction.bytes().take(6) {
                micros += i64::from(d - b'0') * scale;
                scale /= 10;
            }
            n * 1_000_000 + micros
        }
        100_000_000_000..100_000_000_000_000 => n * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => n,
        _ => n / 1_000,
    })
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

fn month(text: &str) -> Option<i64> {
    let at = MONTHS.iter().position(|m| text.eq_ignore_ascii_case(m))?;
    i64::try_from(at + 1).ok()
}

fn clock(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() < 8 || b[2] != b':' || b[5] != b':' {
        return None;
    }
    let (h, m, s) = (two(b, 0)?, two(b, 3)?, two(b, 6)?);
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let mut micros = 0;
    if b.len() > 8 {
        if b[8] != b'.' {
            return None;
        }
        let mut scale = 100_000;
        for d in &b[9..] {
            if !d.is_ascii_digit() {
                return None;
            }
            micros += i64::from(d - b'0') * scale;
            scale /= 10;
        }
    }
    Some((h * 3600 + m * 60 + s.min(59)) * 1_000_000 + micros)
}

/// `25/Nov/2026:21:07:00 +0000`
fn common_log(text: &str) -> Option<i64> {
    let (stamp, offset) = text.split_once(' ')?;
    let mut parts = stamp.splitn(3, '/');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = month(parts.next()?)?;
    let (year, time) = parts.next()?.split_once(':')?;
    let year: i64 = year.parse().ok().filter(|y| (1970..=9999).contains(y))?;
    let b = offset.as_bytes();
    if b.len() != 5 || !matches!(b[0], b'+' | b'-') || day < 1 || day > month_length(year, month) {
        return None;
    }
    let shift = two(b, 1)? * 3600 + two(b, 3)? * 60;
    let shift = if b[0] == b'-' { -shift } else { shift };
    Some((days(year, month, day) * 86_400 - shift) * 1_000_000 + clock(time)?)
}

fn written(text: &str) -> Option<i64> {
    // nginx: slashes between the parts of the date.
    let slashes = text.as_bytes().get(4) == Some(&b'/') && text.as_bytes().get(7) == Some(&b'/');
    if slashes {
        let dashes = format!("{}-{}-{}", &text[..4], &text[5..7], &text[8..]);
        return rfc3339(dashes.as_bytes());
    }
    if let Ok(ts) = text.parse::<Timestamp>() {
        return Some(ts.as_microsecond());
    }
    let dt = text
        .parse::<DateTime>()
        .ok()
        .or_else(|| text.parse::<Date>().ok().map(|d| d.at(0, 0, 0, 0)))?;
    TimeZone::UTC
        .to_timestamp(dt)
        .ok()
        .map(Timestamp::as_microsecond)
}

/// `Nov 25 21:07:00`, with one or two spaces before a day of one digit.
pub(crate) fn syslog(text: &str, reference: i64) -> Option<i64> {
    let mut parts = text.split_ascii_whitespace();
    let month = month(parts.next()?)?;
    let day: i64 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?;
    let mut stated = None;
    // Some devices write the year before or after the time.
    if let Ok(y) = time.parse::<i64>() {
        stated = Some(y);
        time = parts.next()?;
    } else if let Some(y) = parts.next() {
        stated = Some(y.parse::<i64>().ok()?);
    }
    let within = clock(time)?;
    let at = |year: i64| {
        (day >= 1 && day <= month_length(year, month))
            .then(|| days(year, month, day) * 86_400_000_000 + within)
    };
    if let Some(year) = stated {
        return (1970..=9999).contains(&year).then(|| at(year)).flatten();
    }
    let now = Timestamp::from_microsecond(reference).ok()?;
    let year = i64::from(TimeZone::UTC.to_datetime(now).year());
    (year - 1..=year + 1)
        .filter_map(at)
        .min_by_key(|t| (t - reference).unsigned_abs())
}

/// RFC 3339 in UTC with the digits that are needed: `2026-11-25T21:07:00.123456Z`.
pub fn format(micros: i64, out: &mut String) {
    use std::fmt::Write as _;
    match Timestamp::from_microsecond(micros) {
        Ok(ts) => {
            let dt = TimeZone::UTC.to_datetime(ts);
            let us = micros.rem_euclid(1_000_000);
            let _ = write!(
                out,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                dt.year(),
                dt.month(),
                dt.day(),
                dt.hour(),
                dt.minute(),
                dt.second()
            );
            if us % 1000 != 0 {
                let _ = write!(out, ".{us:06}");
            } else {
                let _ = write!(out, ".{:03}", us / 1000);
            }
            out.push('Z');
        }
        // Beyond the year 9999 there is no RFC 3339.
        Err(_) => out.push_str("1970-01-01T00:00:00.000Z"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_640_820_000_000; // 2026-11-25T21:07:00Z

    #[test]
    fn all_forms_of_one_instant() {
        for t in [
            "2026-11-25T21:07:00Z",
            "2026-11-25 21:07:00",
            "2026-11-25T21:07:00.000000000Z",
            "2026-11-25T22:07:00+01:00",
            "2026-11-25T16:07:00-0500",
            "2026-11-25 21:07:00 UTC",
            "2026/11/25 21:07:00",
            "25/Nov/2026:21:07:00 +0000",
            "25/Nov/2026:22:07:00 +0100",
            "Nov 25 21:07:00",
            "Nov 25 2026 21:07:00",
            "Nov 25 21:07:00 2026",
            "Wed, 25 Nov 2026 21:07:00 +0000",
            "1795640820",
            "1795640820000",
            "1795640820000000",
            "1795640820000000000",
            "1795640820.0",
            "1.79564082E9",
        ] {
            assert_eq!(instant(t, NOW), Some(NOW), "{t}");
        }
        let mut out = String::new();
        format(NOW, &mut out);
        format(NOW + 123_456, &mut out);
        assert_eq!(out, "2026-11-25T21:07:00.000Z2026-11-25T21:07:00.123456Z");
    }

    #[test]
    fn the_year_of_syslog_is_the_nearest() {
        let january = instant("2027-01-01T00:00:30Z", 0).unwrap();
        assert_eq!(
            instant("Dec 31 23:59:59", january),
            instant("2026-12-31T23:59:59Z", 0)
        );
        let december = instant("2026-12-31T23:59:30Z", 0).unwrap();
        assert_eq!(
            instant("Jan  1 00:00:05", december),
            instant("2027-01-01T00:00:05Z", 0)
        );
        let leap = instant("2029-01-10T00:00:00Z", 0).unwrap();
        assert_eq!(
            instant("Feb 29 12:00:00", leap),
            instant("2028-02-29T12:00:00Z", 0)
        );
        assert_eq!(
            instant("Feb 29 12:00:00", instant("2026-06-01", 0).unwrap()),
            None
        );
    }

    #[test]
    fn a_leap_second_is_the_end_of_its_minute_and_nonsense_is_none() {
        assert_eq!(
            instant("2016-12-31T23:59:60Z", 0),
            instant("2016-12-31T23:59:59.999999Z", 0)
        );
        for t in [
            "",
            "NaN",
            "inf",
            "-1",
            "20240131x",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "99999999999999999999",
            "2024-01-01T25:00:00Z",
            "Foo 1 00:00:00",
            "1e400",
            "ä",
            "12345",
        ] {
            assert_eq!(instant(t, 0), None, "{t}");
        }
    }
}
