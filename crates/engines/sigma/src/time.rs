//! Dates as they stand in events.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::model::TimePart;

/// The number that a date part has in a text or epoch number. Zones and offsets in the text are
/// not applied (modifiers appendix, "Time Modifiers": "not designed to handle timezone or format
/// conversions"); an epoch number is read as UTC.
pub fn part(text: &str, part: TimePart) -> Option<i64> {
    let dt = civil(text)?;
    Some(match part {
        TimePart::Minute => i64::from(dt.minute()),
        TimePart::Hour => i64::from(dt.hour()),
        TimePart::Day => i64::from(dt.day()),
        TimePart::Week => i64::from(dt.date().iso_week_date().week()),
        TimePart::Month => i64::from(dt.month()),
        TimePart::Year => i64::from(dt.year()),
    })
}

/// The date and time of a text, without its offset.
fn civil(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if let Some(us) = epoch(text) {
        let ts = Timestamp::from_microsecond(us).ok()?;
        return Some(jiff::tz::TimeZone::UTC.to_datetime(ts));
    }
    // What follows the time (offset, zone name) is cut off before parsing.
    let body_end = text
        .char_indices()
        .skip(11)
        .find(|(_, c)| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ',')))
        .map_or(text.len(), |(i, _)| i);
    let body = text.get(..body_end)?;
    body.parse::<DateTime>().ok().or_else(|| {
        body.parse::<jiff::civil::Date>()
            .ok()
            .map(|d| d.at(0, 0, 0, 0))
    })
}

/// Epoch seconds, milliseconds, microseconds or nanoseconds as microseconds. The unit follows from
/// the size: each covers the years 1973 to 5138, and the ranges do not overlap.
fn epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty()
        || digits.len() > 19
        || !digits.bytes().all(|b| b.is_ascii_digit())
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let n = whole.parse::<i64>().ok()?;
    // Eight digits are more likely 20240131 than 1970-08-23.
    if digits.len() == 8 {
        return None;
    }
    Some(match n.unsigned_abs() {
        0..100_000_000_000 => {
            let mut micros = fraction
                .get(..fraction.len().min(6))
                .unwrap_or("")
                .to_owned();
            while micros.len() < 6 {
                micros.push('0');
            }
            let micros: i64 = micros.parse().ok()?;
            let micros = if n < 0 { -micros } else { micros };
            n.checked_mul(1_000_000)?.checked_add(micros)?
        }
        100_000_000_000..100_000_000_000_000 => n * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => n,
        _ => n / 1_000,
    })
}

/// An instant in microseconds since 1970 (UTC). A text without an offset is read as UTC; epoch
/// numbers may be in s, ms, µs or ns. `None` when it is no date between the years -9999 and 9999.
pub fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(us) = epoch(text) {
        return Timestamp::from_microsecond(us).ok().map(|_| us);
    }
    if let Ok(ts) = text.parse::<Timestamp>() {
        return Some(ts.as_microsecond());
    }
    let dt = text.parse::<DateTime>().ok().or_else(|| {
        text.parse::<jiff::civil::Date>()
            .ok()
            .map(|d| d.at(0, 0, 0, 0))
    })?;
    jiff::tz::TimeZone::UTC
        .to_timestamp(dt)
        .ok()
        .map(Timestamp::as_microsecond)
}

/// A timespan of a rule in microseconds: a positive whole number and `s`, `m`, `h`, `d` (correlation
/// specification, "Time Selection") or `w`.
pub fn timespan(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let n: i64 = text.strip_suffix(unit)?.parse().ok().filter(|n| *n > 0)?;
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    n.checked_mul(seconds)?
        .checked_mul(1_000_000)
        .filter(|v| *v <= 100 * 366 * 86_400_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_all_units_are_one_instant() {
        let us = instant("2024-02-29T12:00:01Z");
        assert!(us.is_some());
        for t in [
            "1709208001",
            "1709208001000",
            "1709208001000000",
            "1709208001000000000",
        ] {
            assert_eq!(instant(t), us, "{t}");
        }
        assert_eq!(instant("1709208001.5"), us.map(|u| u + 500_000));
        assert_eq!(instant("2024-02-29 12:00:01"), us);
        assert_eq!(instant("2024-02-29T13:00:01+01:00"), us);
        for t in [
            "",
            "NaN",
            "inf",
            "-",
            "x",
            "99999999999999999999",
            "2024-13-01",
        ] {
            assert_eq!(instant(t), None, "{t}");
        }
        // A leap second is the last second of its minute.
        assert_eq!(
            instant("2016-12-31T23:59:60Z"),
            instant("2016-12-31T23:59:59Z")
        );
    }

    #[test]
    fn parts_ignore_the_offset() {
        let t = "2024-02-29T23:07:01.25+05:00";
        assert_eq!(part(t, TimePart::Hour), Some(23));
        assert_eq!(part(t, TimePart::Minute), Some(7));
        assert_eq!(part(t, TimePart::Day), Some(29));
        assert_eq!(part(t, TimePart::Week), Some(9));
        assert_eq!(part(t, TimePart::Month), Some(2));
        assert_eq!(part(t, TimePart::Year), Some(2024));
        assert_eq!(part("1709208001", TimePart::Hour), Some(12));
        assert_eq!(part("soon", TimePart::Hour), None);
    }

    #[test]
    fn timespans() {
        assert_eq!(timespan("90m"), Some(5_400_000_000));
        for t in [
            "",
            "m",
            "0s",
            "-1s",
            "+1s",
            "1M",
            "1 h",
            "1.5h",
            "9999999999999d",
        ] {
            assert_eq!(timespan(t), None, "{t}");
        }
    }
}
