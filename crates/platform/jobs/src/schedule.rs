//! Cron expressions with a zone.

use std::str::FromStr as _;

use croner::Cron;
use jiff::tz::TimeZone;
use sealwright_core::UnixMicros;
use sealwright_core::clock::MINUTE;

use crate::job::CatchUp;

/// A slot is missed when nobody looked at it for this long.
const MISSED: i64 = 2 * MINUTE;
/// Slots that are queued in one go; the rest follow with the next look.
const MOST_AT_ONCE: usize = 100;
/// Steps towards the latest missed slot: two years of hours, or two weeks of minutes; after a longer
/// pause an older slot is taken for the latest.
const MOST_STEPS: usize = 20_000;

/// When a job is due. Where the zone's clock goes forward, a fixed time that does not exist that day is
/// due at the first moment after the gap; where it goes back, a fixed time is due once, and an interval
/// (`0 * * * *`) in both of the repeated hours.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    text: String,
    zone: TimeZone,
    zone_name: String,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression.
    #[error("`{text}` is not a cron expression (minute hour day month weekday): {detail}")]
    Cron {
        /// As given.
        text: String,
        /// What the parser said.
        detail: String,
    },
    /// The zone.
    #[error("`{0}` is not a time zone of the IANA database, such as UTC or Europe/Berlin")]
    Zone(String),
}

impl Schedule {
    /// Reads a cron expression (five fields, or six with seconds in front) and the name of a zone.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let parsed = Cron::from_str(cron).map_err(|error| ScheduleError::Cron {
            text: cron.to_owned(),
            detail: error.to_string(),
        })?;
        let tz = TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        Ok(Self {
            cron: parsed,
            text: cron.to_owned(),
            zone: tz,
            zone_name: zone.to_owned(),
        })
    }

    /// The expression as given.
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// The zone's name as given.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first slot after `moment` (not at it); `None` when there is none within the calendar.
    pub fn next_after(&self, moment: UnixMicros) -> Option<UnixMicros> {
        let start = moment.timestamp().to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        let next = UnixMicros::from(next.timestamp());
        // A schedule that stands still would make a loop of its callers.
        (next > moment).then_some(next)
    }
}

impl Schedule {
    /// The slots from `next` (the first one that has not been looked at) to `now`, as `catch_up` wants them,
    /// and the slot to look at next.
    pub(crate) fn due(
        &self,
        catch_up: CatchUp,
        next: UnixMicros,
        now: UnixMicros,
    ) -> (Vec<UnixMicros>, Option<UnixMicros>) {
        if next > now {
            // A clock that ran ahead and was set back must not leave the job waiting for years: a slot
            // that comes earlier is taken, and a slot that had its run has one already.
            let earlier = self.next_after(now).map_or(next, |slot| slot.min(next));
            return (Vec::new(), Some(earlier));
        }
        if catch_up == CatchUp::All {
            let mut slots = Vec::new();
            let mut at = Some(next);
            while let Some(slot) = at.filter(|slot| *slot <= now && slots.len() < MOST_AT_ONCE) {
                slots.push(slot);
                at = self.next_after(slot);
            }
            return (slots, at);
        }
        let mut latest = next;
        for _ in 0..MOST_STEPS {
            match self.next_after(latest).filter(|slot| *slot <= now) {
                Some(slot) => latest = slot,
                None => break,
            }
        }
        let late = now.since(latest) > MISSED;
        let slots = if late && catch_up == CatchUp::None {
            Vec::new()
        } else {
            vec![latest]
        };
        (slots, self.next_after(now))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn slots(cron: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let schedule = Schedule::parse(cron, zone).unwrap();
        let end = UnixMicros::parse_rfc3339(to).unwrap();
        let mut at = UnixMicros::parse_rfc3339(from).unwrap();
        let mut found = Vec::new();
        while let Some(next) = schedule.next_after(at).filter(|next| *next < end) {
            found.push(next.to_string());
            at = next;
        }
        found
    }

    #[test]
    fn a_time_in_the_spring_gap_is_due_after_it() {
        assert_eq!(
            slots(
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                "2026-03-31T00:00:00Z"
            ),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_in_the_repeated_hour_is_due_once() {
        let found = slots(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
        );
        assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn every_hour_is_every_hour_on_a_day_of_25() {
        let found = slots(
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-24T21:59:59Z",
            "2026-10-25T23:00:00Z",
        );
        assert_eq!(found.len(), 25);
        let found = slots(
            "0 * * * *",
            "Europe/Berlin",
            "2026-03-28T22:59:59Z",
            "2026-03-29T22:00:00Z",
        );
        assert_eq!(found.len(), 23);
    }

    #[test]
    fn weekly_and_quarter_hours_in_odd_zones() {
        assert_eq!(
            slots(
                "0 18 * * FRI",
                "UTC",
                "2026-11-23T00:00:00Z",
                "2026-12-05T00:00:00Z"
            ),
            ["2026-11-27T18:00:00Z", "2026-12-04T18:00:00Z"]
        );
        assert_eq!(
            slots(
                "0 9 1 * *",
                "Asia/Kathmandu",
                "2026-11-23T00:00:00Z",
                "2026-12-05T00:00:00Z"
            ),
            ["2026-12-01T03:15:00Z"]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Schedule::parse("61 * * * *", "UTC").is_err());
        let error = Schedule::parse("0 2 * * *", "Europe/Atlantis").unwrap_err();
        assert!(error.to_string().contains("Europe/Atlantis"));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(cron in "\\PC{0,30}", zone in "[A-Za-z/]{0,20}") {
            let _ = Schedule::parse(&cron, &zone);
        }

        #[test]
        fn slots_are_later_than_the_moment(
            minute in 0u8..60, hour in 0u8..24, at in 0i64..4_000_000_000_000_000
        ) {
            for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"] {
                let schedule = Schedule::parse(&format!("{minute} {hour} * * *"), zone).unwrap();
                let next = schedule.next_after(UnixMicros(at)).unwrap();
                prop_assert!(next.0 > at);
                prop_assert!(next.0 - at <= 26 * 3_600_000_000);
            }
        }
    }
}
