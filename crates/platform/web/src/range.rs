//! The span of time a page shows, kept in its address.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::url::PageUrl;

/// Longest span a page is asked for: ten years.
const MAX_DAYS: i32 = 3653;

/// A span that is named by its relation to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The 24 hours before now.
    Day,
    /// The 7 × 24 hours before now.
    Week,
    /// The 30 × 24 hours before now.
    Days30,
    /// The 90 × 24 hours before now.
    Days90,
    /// From the first of this month to now.
    MonthToDate,
    /// The whole calendar month before this one.
    LastMonth,
    /// From the first of January to now.
    YearToDate,
}

impl Preset {
    /// Every preset, in the order of the menu.
    pub const ALL: [Self; 7] = [
        Self::Day,
        Self::Week,
        Self::Days30,
        Self::Days90,
        Self::MonthToDate,
        Self::LastMonth,
        Self::YearToDate,
    ];

    /// The value of `range` in the address.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Days30 => "30d",
            Self::Days90 => "90d",
            Self::MonthToDate => "mtd",
            Self::LastMonth => "last-month",
            Self::YearToDate => "ytd",
        }
    }

    /// The words of the menu.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Day => "Last 24 hours",
            Self::Week => "Last 7 days",
            Self::Days30 => "Last 30 days",
            Self::Days90 => "Last 90 days",
            Self::MonthToDate => "This month to date",
            Self::LastMonth => "Last month",
            Self::YearToDate => "This year to date",
        }
    }

    fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.key() == key)
    }
}

/// Why the span in an address cannot be used. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// `range` names no preset.
    #[error("range={0:?} is unknown; use one of 24h, 7d, 30d, 90d, mtd, last-month, ytd")]
    Unknown(String),
    /// `from` or `to` is neither a date nor an instant.
    #[error("{field}={value:?} is no date; write 2026-11-22 or 2026-11-22T14:00:00Z")]
    NotATime {
        /// `from` or `to`.
        field: &'static str,
        /// What stood there.
        value: String,
    },
    /// One end was given without the other.
    #[error("from and to belong together; give both or a range")]
    HalfOpen,
    /// The start is not before the end.
    #[error("from must lie before to")]
    Backwards,
    /// The span is longer than ten years, or outside the calendar.
    #[error("the span is longer than ten years; choose a shorter one")]
    TooLong,
    /// `zone` names no time zone.
    #[error("zone={0:?} is no time zone of the IANA database; write e.g. Europe/Berlin")]
    Zone(String),
}

/// A half-open span `[from, to)` in a named zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First instant that is shown.
    pub from: Timestamp,
    /// First instant that is no longer shown.
    pub to: Timestamp,
    /// The zone in which days begin and times are written.
    pub zone: TimeZone,
    /// The preset it came from.
    pub preset: Option<Preset>,
}

impl TimeRange {
    /// Reads `range`, or `from` and `to`, and `zone`, from a page's address.
    ///
    /// `from` and `to` are instants (RFC 3339) or days; a day given as `to` is shown whole.
    /// Without any of them it is `default`. `now` is given because nothing here reads a clock.
    ///
    /// # Errors
    /// [`RangeError`] when the address holds something else; show its text with status 400.
    pub fn from_url(url: &PageUrl, now: Timestamp, default: Preset) -> Result<Self, RangeError> {
        let zone = match url.get("zone") {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| RangeError::Zone(shown(name)))?,
        };
        match (url.get("from"), url.get("to"), url.get("range")) {
            (None, None, None) => Self::preset(default, now, zone),
            (None, None, Some(key)) => {
                let preset =
                    Preset::from_key(key).ok_or_else(|| RangeError::Unknown(shown(key)))?;
                Self::preset(preset, now, zone)
            }
            (Some(from), Some(to), _) => {
                let from = instant("from", from, &zone, false)?;
                let to = instant("to", to, &zone, true)?;
                Self::new(from, to, zone, None)
            }
            _ => Err(RangeError::HalfOpen),
        }
    }

    /// A preset, seen from `now`.
    ///
    /// # Errors
    /// [`RangeError::TooLong`] when the calendar ends before it does.
    pub fn preset(preset: Preset, now: Timestamp, zone: TimeZone) -> Result<Self, RangeError> {
        let local = now.to_zoned(zone.clone());
        let month = |z: &Zoned| z.first_of_month().and_then(|z| z.start_of_day());
        let back = |hours: i64| now.checked_sub(hours.hours());
        let bounds = match preset {
            Preset::Day => back(24).map(|from| (from, now)),
            Preset::Week => back(7 * 24).map(|from| (from, now)),
            Preset::Days30 => back(30 * 24).map(|from| (from, now)),
            Preset::Days90 => back(90 * 24).map(|from| (from, now)),
            Preset::MonthToDate => month(&local).map(|from| (from.timestamp(), now)),
            Preset::LastMonth => month(&local).and_then(|to| {
                let from = month(&to.checked_sub(1.day())?)?;
                Ok((from.timestamp(), to.timestamp()))
            }),
            Preset::YearToDate => local
                .first_of_year()
                .and_then(|z| z.start_of_day())
                .map(|from| (from.timestamp(), now)),
        };
        let (from, to) = bounds.map_err(|_| RangeError::TooLong)?;
        // At the first instant of a month, the month to date is still empty; show the instant.
        let to = if to > from {
            to
        } else {
            from + 1.microsecond()
        };
        Self::new(from, to, zone, Some(preset))
    }

    fn new(
        from: Timestamp,
        to: Timestamp,
        zone: TimeZone,
        preset: Option<Preset>,
    ) -> Result<Self, RangeError> {
        if from >= to {
            return Err(RangeError::Backwards);
        }
        if to.as_second() - from.as_second() > i64::from(MAX_DAYS) * 86_400 {
            return Err(RangeError::TooLong);
        }
        Ok(Self {
            from,
            to,
            zone,
            preset,
        })
    }

    /// The name of the zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// First and last day it touches, as the date fields of the form show them.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        let last = self.to.checked_sub(1.nanosecond()).unwrap_or(self.to);
        (
            self.from.to_zoned(self.zone.clone()).date(),
            last.to_zoned(self.zone.clone()).date(),
        )
    }

    /// What the control says: `1 – 22 Nov 2026, UTC`. The days are both shown.
    #[must_use]
    pub fn label(&self) -> String {
        let (first, last) = self.days();
        let end = last.strftime("%-d %b %Y");
        let zone = self.zone_name();
        if first == last {
            format!("{end}, {zone}")
        } else if (first.year(), first.month()) == (last.year(), last.month()) {
            format!("{} – {end}, {zone}", first.day())
        } else if first.year() == last.year() {
            format!("{} – {end}, {zone}", first.strftime("%-d %b"))
        } else {
            format!("{} – {end}, {zone}", first.strftime("%-d %b %Y"))
        }
    }
}

fn instant(
    field: &'static str,
    text: &str,
    zone: &TimeZone,
    end_of_day: bool,
) -> Result<Timestamp, RangeError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || RangeError::NotATime {
        field,
        value: shown(text),
    };
    let date: Date = text.parse().map_err(|_| wrong())?;
    let date = if end_of_day {
        date.tomorrow().map_err(|_| wrong())?
    } else {
        date
    };
    Ok(date
        .to_zoned(zone.clone())
        .map_err(|_| wrong())?
        .timestamp())
}

/// What came from outside, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-22T14:05:09Z".parse().unwrap()
    }

    fn read(query: &str) -> Result<TimeRange, RangeError> {
        TimeRange::from_url(
            &PageUrl::parse(&format!("/p?{query}")),
            now(),
            Preset::MonthToDate,
        )
    }

    #[test]
    fn month_to_date_is_the_default() {
        let range = read("").unwrap();
        assert_eq!(range.from.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(range.to, now());
        assert_eq!(range.label(), "1 – 22 Nov 2026, UTC");
    }

    #[test]
    fn a_day_as_end_is_shown_whole_in_its_zone() {
        // Europe/Berlin leaves summer time on 25 October 2026: that day has 25 hours.
        let range = read("from=2026-10-25&to=2026-10-25&zone=Europe/Berlin").unwrap();
        assert_eq!(range.to.as_second() - range.from.as_second(), 25 * 3600);
        assert_eq!(range.label(), "25 Oct 2026, Europe/Berlin");
    }

    #[test]
    fn last_month_is_a_calendar_month() {
        let range = read("range=last-month").unwrap();
        assert_eq!(range.from.to_string(), "2026-10-01T00:00:00Z");
        assert_eq!(range.to.to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(range.label(), "1 – 31 Oct 2026, UTC");
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(read("range=1y"), Err(RangeError::Unknown("1y".into())));
        assert_eq!(read("from=2026-11-01"), Err(RangeError::HalfOpen));
        assert_eq!(
            read("from=2026-11-02&to=2026-11-01"),
            Err(RangeError::Backwards)
        );
        assert_eq!(
            read("from=1900-01-01&to=2026-11-01"),
            Err(RangeError::TooLong)
        );
        assert!(matches!(
            read("from=x&to=y"),
            Err(RangeError::NotATime { field: "from", .. })
        ));
        assert!(matches!(
            read("zone=Mars/Olympus"),
            Err(RangeError::Zone(_))
        ));
    }

    #[test]
    fn an_empty_month_is_no_error() {
        let midnight = "2026-11-01T00:00:00Z".parse().unwrap();
        let range = TimeRange::preset(Preset::MonthToDate, midnight, TimeZone::UTC).unwrap();
        assert_eq!(range.label(), "1 Nov 2026, UTC");
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer(a in ".{0,30}", b in ".{0,30}", z in ".{0,12}") {
            let url = PageUrl::default().with("from", &a).with("to", &b).with("zone", &z);
            let _ = TimeRange::from_url(&url, now(), Preset::Day);
        }
    }
}
