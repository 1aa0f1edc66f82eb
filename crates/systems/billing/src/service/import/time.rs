//! Times of rows, in the notation that the mapping names.

use std::str::FromStr as _;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use sealwright_core::UnixMicros;
use sealwright_money::Decimal;

/// How a column is read as a time.
#[derive(Debug, Clone)]
pub(super) struct TimeRule {
    pub(super) column: String,
    format: TimeFormat,
}

#[derive(Debug, Clone)]
enum TimeFormat {
    Rfc3339,
    /// A count of units of so many nanoseconds since the base.
    Count {
        nanos: i64,
        base: UnixMicros,
    },
    Pattern {
        pattern: String,
        zone: TimeZone,
    },
}

impl TimeRule {
    pub(super) fn new(
        column: String,
        format: &str,
        zone: Option<&str>,
        base: Option<&str>,
    ) -> Result<Self, String> {
        let nanos = match format {
            "s" => Some(1_000_000_000),
            "ms" => Some(1_000_000),
            "us" => Some(1_000),
            "ns" => Some(1),
            _ => None,
        };
        if base.is_some() && nanos.is_none() {
            return Err("`base` goes with the formats s, ms, us and ns".to_owned());
        }
        if zone.is_some() && !format.contains('%') {
            return Err("`zone` goes with formats made of % directives".to_owned());
        }
        let format = match (format, nanos) {
            (_, Some(nanos)) => {
                let base = base.map_or(Ok(UnixMicros(0)), UnixMicros::parse_rfc3339);
                let base = base.map_err(|_| "`base` is not an RFC 3339 time".to_owned())?;
                TimeFormat::Count { nanos, base }
            }
            ("rfc3339", None) => TimeFormat::Rfc3339,
            (pattern, None) if pattern.contains('%') => TimeFormat::Pattern {
                pattern: pattern.to_owned(),
                zone: match zone {
                    None | Some("UTC") => TimeZone::UTC,
                    Some(name) => TimeZone::get(name)
                        .map_err(|_| format!("`{name}` is not the name of a time zone"))?,
                },
            },
            (other, None) => {
                return Err(format!(
                    "`{other}` is not a time format; there are rfc3339, s, ms, us, ns and patterns such as \
                     %Y-%m-%d %H:%M:%S%.f"
                ));
            }
        };
        Ok(Self { column, format })
    }

    /// Reads a time; what is finer than a microsecond is cut off.
    pub(super) fn read(&self, text: &str) -> Result<UnixMicros, String> {
        match &self.format {
            TimeFormat::Rfc3339 => UnixMicros::parse_rfc3339(text)
                .map_err(|_| format!("`{text}` is not an RFC 3339 time")),
            TimeFormat::Count { nanos, base } => {
                let count = Decimal::from_str(text)
                    .or_else(|_| Decimal::from_scientific(text))
                    .map_err(|_| format!("`{text}` is not a number"))?;
                let micros = count
                    .checked_mul(Decimal::from(*nanos))
                    .map(|nanos| (nanos / Decimal::from(1_000)).floor())
                    .and_then(|micros| i64::try_from(micros).ok())
                    .and_then(|micros| micros.checked_add(base.0));
                micros
                    .filter(|micros| jiff::Timestamp::from_microsecond(*micros).is_ok())
                    .map(UnixMicros)
                    .ok_or_else(|| format!("`{text}` is a time outside the calendar"))
            }
            TimeFormat::Pattern { pattern, zone } => pattern_time(pattern, zone, text),
        }
    }
}

fn pattern_time(pattern: &str, zone: &TimeZone, text: &str) -> Result<UnixMicros, String> {
    let wrong = |error: jiff::Error| format!("`{text}` does not fit `{pattern}`: {error}");
    let parts = strtime::parse(pattern, text).map_err(wrong)?;
    let timestamp = if parts.offset().is_some() {
        parts.to_timestamp().map_err(wrong)?
    } else {
        let local = parts.to_datetime().map_err(wrong)?;
        zone.to_ambiguous_zoned(local)
            .unambiguous()
            .map_err(|_| {
                format!("`{text}` is there twice or not at all in its zone, as clocks were changed; give times in UTC")
            })?
            .timestamp()
    };
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000))
        .map(UnixMicros)
        .map_err(|_| format!("`{text}` is a time outside the calendar"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(
        format: &str,
        zone: Option<&str>,
        base: Option<&str>,
        text: &str,
    ) -> Result<String, String> {
        TimeRule::new("t".into(), format, zone, base)?
            .read(text)
            .map(|at| at.to_string())
    }

    #[test]
    fn every_notation_is_read() {
        let pattern = "%Y-%m-%d %H:%M:%S%.f";
        assert_eq!(
            read(pattern, None, None, "2023-11-16 18:17:03.9799609").unwrap(),
            "2023-11-16T18:17:03.97996Z"
        );
        assert_eq!(
            read(pattern, Some("Europe/Berlin"), None, "2023-07-01 12:00:00").unwrap(),
            "2023-07-01T10:00:00Z"
        );
        assert_eq!(
            read("%d.%m.%Y %H:%M %z", None, None, "01.07.2023 12:00 +0200").unwrap(),
            "2023-07-01T10:00:00Z"
        );
        assert_eq!(
            read("ms", None, Some("2024-10-01T00:00:00Z"), "3536999").unwrap(),
            "2024-10-01T00:58:56.999Z"
        );
        assert_eq!(
            read("s", None, None, "1700000000.25").unwrap(),
            "2023-11-14T22:13:20.25Z"
        );
        assert_eq!(
            read("rfc3339", None, None, "2023-11-16T18:17:03+01:00").unwrap(),
            "2023-11-16T17:17:03Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let pattern = "%Y-%m-%d %H:%M:%S";
        // This hour is there twice.
        assert!(read(pattern, Some("Europe/Berlin"), None, "2023-10-29 02:30:00").is_err());
        assert!(read(pattern, None, None, "2023-02-30 02:30:00").is_err());
        for text in ["NaN", "1e400", "", "-", "99999999999999999999"] {
            assert!(read("s", None, None, text).is_err(), "{text}");
        }
        assert!(read("iso", None, None, "x").is_err());
        assert!(read("rfc3339", Some("UTC"), None, "x").is_err());
        assert!(read(pattern, Some("Mars/Base"), None, "x").is_err());
    }
}
