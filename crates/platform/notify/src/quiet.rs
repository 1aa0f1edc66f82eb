//! Quiet hours, in a named zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use sealwright_core::UnixMicros;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::message::Severity;

/// A time of day by the clock on the wall, to the minute: `22:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(Time);

impl FromStr for WallTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a time of day such as 22:00",
                crate::message::line(text, 20)
            )
        };
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let two = |part: &str| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse::<i8>().ok())
                .flatten()
        };
        let (Some(hour), Some(minute)) = (two(hour), two(minute)) else {
            return Err(wrong());
        };
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for WallTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

const fn critical() -> Severity {
    Severity::Critical
}

/// When a channel is not to be disturbed. Messages below `passes` that are routed in quiet hours are held
/// until these end. The clock on the wall of `zone` decides: where it jumps over the end, quiet hours end
/// with the jump; an hour that comes twice is quiet twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// An IANA zone, e.g. `Europe/Berlin`.
    pub zone: String,
    /// Quiet from this time of day (`22:00`, included).
    #[schema(value_type = String)]
    pub from: WallTime,
    /// To this one (`07:00`, not included), on the next day when it is the earlier one. Equal: no hours.
    #[schema(value_type = String)]
    pub to: WallTime,
    /// Days that are quiet as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// From this severity on messages pass; `critical` when absent.
    #[serde(default = "critical")]
    pub passes: Severity,
}

/// Why quiet hours are not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuietError {
    /// No such zone.
    #[error("`{0}` is not an IANA time zone such as Europe/Berlin")]
    Zone(String),
    /// They never end.
    #[error("are quiet all the time; leave a time to deliver what was held")]
    Endless,
    /// They never begin.
    #[error("are never quiet: `from` and `to` are equal and no day is named")]
    Never,
}

impl Quiet {
    fn tz(&self) -> Result<TimeZone, QuietError> {
        TimeZone::get(&self.zone)
            .map_err(|_| QuietError::Zone(crate::message::line(&self.zone, 60)))
    }

    /// Whether these are quiet hours that begin and end.
    ///
    /// # Errors
    /// [`QuietError`].
    pub fn check(&self) -> Result<(), QuietError> {
        self.tz()?;
        let every_day = [
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
            Weekday::Sunday,
        ]
        .into_iter()
        .all(|day| self.days.iter().any(|quiet| quiet.weekday() == day));
        if every_day {
            return Err(QuietError::Endless);
        }
        if self.from == self.to && self.days.is_empty() {
            return Err(QuietError::Never);
        }
        Ok(())
    }

    fn holds(&self, local: &Zoned) -> bool {
        if self.days.iter().any(|day| day.weekday() == local.weekday()) {
            return true;
        }
        let time = local.time();
        if self.from <= self.to {
            (self.from.0..self.to.0).contains(&time)
        } else {
            time >= self.from.0 || time < self.to.0
        }
    }

    /// When the quiet hours that `now` is in end; `None` when it is in none. A zone that is not known (any
    /// more) has no quiet hours: a message too many is better than one that is lost.
    pub fn ends(&self, now: UnixMicros) -> Option<UnixMicros> {
        let zone = self.tz().ok()?;
        let local = now.timestamp().to_zoned(zone);
        if !self.holds(&local) {
            return None;
        }
        // They end at a `to`, or at a midnight after a quiet day; at most eight days ahead.
        let mut ends: Vec<Zoned> = Vec::new();
        for days in -1_i64..=8 {
            let Ok(date) = local.date().checked_add(days.days()) else {
                continue;
            };
            for time in [Time::midnight(), self.to.0] {
                ends.extend(date.to_datetime(time).to_zoned(local.time_zone().clone()));
            }
        }
        ends.sort();
        ends.into_iter()
            .find(|end| *end > local && !self.holds(end))
            .map(|end| UnixMicros::from(end.timestamp()))
    }

    /// Until when a message of `severity` is held that is routed `now`; `None` when it is not.
    pub fn holds_until(&self, severity: Severity, now: UnixMicros) -> Option<UnixMicros> {
        if severity >= self.passes {
            return None;
        }
        self.ends(now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn quiet(from: &str, to: &str) -> Quiet {
        Quiet {
            zone: "Europe/Berlin".to_owned(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            days: Vec::new(),
            passes: Severity::Critical,
        }
    }

    fn ends(quiet: &Quiet, now: &str) -> Option<String> {
        let now = UnixMicros::parse_rfc3339(now).unwrap();
        quiet.ends(now).map(|end| end.to_string())
    }

    #[test]
    fn the_night_ends_at_seven_by_the_clock_on_the_wall_whatever_happens_to_it() {
        let night = quiet("22:00", "07:00");
        for (now, end) in [
            // Winter: 22:00 is 21:00Z, 07:00 is 06:00Z.
            ("2026-01-10T20:59:59Z", None),
            ("2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T06:00:00Z", None),
            // The night in which the clock goes forward is an hour shorter …
            ("2026-03-28T21:00:00Z", Some("2026-03-29T05:00:00Z")),
            // … and the one in which it goes back an hour longer.
            ("2026-10-24T20:00:00Z", Some("2026-10-25T06:00:00Z")),
        ] {
            assert_eq!(ends(&night, now).as_deref(), end, "{now}");
        }
    }

    #[test]
    fn an_end_that_the_clock_jumps_over_is_the_jump() {
        // 02:30 does not exist on 2026-03-29: 02:00 becomes 03:00 at 01:00Z.
        let early = quiet("22:00", "02:30");
        let end =
            UnixMicros::parse_rfc3339(&ends(&early, "2026-03-29T00:30:00Z").unwrap()).unwrap();
        assert!(early.ends(end).is_none(), "it is over then");
        assert!(end >= UnixMicros::parse_rfc3339("2026-03-29T01:00:00Z").unwrap());
        assert!(end <= UnixMicros::parse_rfc3339("2026-03-29T01:30:00Z").unwrap());
    }

    #[test]
    fn weekends_join_the_nights_around_them() {
        let mut free = quiet("18:00", "08:00");
        free.days = vec![Day::Sat, Day::Sun];
        // Friday evening to Monday morning; 2026-11-27 is a Friday.
        assert_eq!(
            ends(&free, "2026-11-27T18:00:00Z").as_deref(),
            Some("2026-11-30T07:00:00Z")
        );
        let mut only_days = quiet("00:00", "00:00");
        only_days.days = vec![Day::Sun];
        assert_eq!(
            ends(&only_days, "2026-11-29T12:00:00Z").as_deref(),
            Some("2026-11-29T23:00:00Z")
        );
        assert_eq!(ends(&only_days, "2026-11-28T12:00:00Z"), None);
    }

    #[test]
    fn severity_decides_what_passes() {
        let mut night = quiet("22:00", "07:00");
        let now = UnixMicros::parse_rfc3339("2026-01-10T23:00:00Z").unwrap();
        assert!(night.holds_until(Severity::Error, now).is_some());
        assert!(night.holds_until(Severity::Critical, now).is_none());
        night.passes = Severity::Warning;
        assert!(night.holds_until(Severity::Warning, now).is_none());
        assert!(night.holds_until(Severity::Info, now).is_some());
    }

    #[test]
    fn endless_and_empty_ones_and_bad_zones_are_refused() {
        let mut all = quiet("22:00", "07:00");
        all.days = vec![
            Day::Mon,
            Day::Tue,
            Day::Wed,
            Day::Thu,
            Day::Fri,
            Day::Sat,
            Day::Sun,
        ];
        assert_eq!(all.check(), Err(QuietError::Endless));
        assert_eq!(quiet("07:00", "07:00").check(), Err(QuietError::Never));
        let mut nowhere = quiet("22:00", "07:00");
        nowhere.zone = "Mars/Olympus".to_owned();
        assert!(matches!(nowhere.check(), Err(QuietError::Zone(_))));
        assert_eq!(ends(&nowhere, "2026-01-10T23:00:00Z"), None);
        for bad in ["7:00", "24:00", "22.00", "", "22:60", "aa:bb"] {
            assert!(bad.parse::<WallTime>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever the zone, the hours and the moment: an end is ahead, not quiet, and within nine days.
        #[test]
        fn an_end_is_ahead_and_not_quiet(
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
            from in 0_i8..24, to in 0_i8..24, from_minute in 0_i8..60, to_minute in 0_i8..60,
            at in 1_700_000_000_i64..1_900_000_000,
        ) {
            let quiet = Quiet {
                zone: zone.to_owned(),
                from: WallTime(Time::new(from, from_minute, 0, 0).unwrap()),
                to: WallTime(Time::new(to, to_minute, 0, 0).unwrap()),
                days: vec![Day::Sun],
                passes: Severity::Critical,
            };
            let now = UnixMicros(at * 1_000_000);
            if let Some(end) = quiet.ends(now) {
                prop_assert!(end > now);
                prop_assert!(end.since(now) < 9 * 86_400 * 1_000_000);
                prop_assert!(quiet.ends(end).is_none());
            } else {
                prop_assert!(!quiet.holds(&now.timestamp().to_zoned(TimeZone::get(zone).unwrap())));
            }
        }
    }
}
