//! The time axis: ticks at round local times.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit, Zoned, ZonedRound};

/// A tick of the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTick {
    /// Where it stands.
    pub at: Timestamp,
    /// Its words.
    pub label: String,
}

#[derive(Clone, Copy)]
enum Step {
    Minutes(i64),
    Hours(i64),
    Days(i64),
    Months(i64),
    Years(i64),
}

/// From the finest to the coarsest, with the length in seconds by which one is chosen.
const STEPS: [(Step, i64); 19] = [
    (Step::Minutes(1), 60),
    (Step::Minutes(5), 300),
    (Step::Minutes(15), 900),
    (Step::Minutes(30), 1_800),
    (Step::Hours(1), 3_600),
    (Step::Hours(3), 10_800),
    (Step::Hours(6), 21_600),
    (Step::Hours(12), 43_200),
    (Step::Days(1), 86_400),
    (Step::Days(2), 172_800),
    (Step::Days(5), 432_000),
    (Step::Days(10), 864_000),
    (Step::Days(15), 1_296_000),
    (Step::Months(1), 2_629_746),
    (Step::Months(3), 7_889_238),
    (Step::Months(6), 15_778_476),
    (Step::Years(1), 31_556_952),
    (Step::Years(2), 63_113_904),
    (Step::Years(5), 157_784_760),
];

impl Step {
    fn span(self) -> Span {
        match self {
            Self::Minutes(n) => n.minutes(),
            Self::Hours(n) => n.hours(),
            Self::Days(n) => n.days(),
            Self::Months(n) => n.months(),
            Self::Years(n) => n.years(),
        }
    }

    /// The last round moment that is not after `at`.
    fn floor(self, at: &Zoned) -> Result<Zoned, jiff::Error> {
        let down = |unit, n: i64| {
            at.round(
                ZonedRound::new()
                    .smallest(unit)
                    .increment(n)
                    .mode(jiff::RoundMode::Trunc),
            )
        };
        match self {
            Self::Minutes(n) => down(Unit::Minute, n),
            Self::Hours(n) => down(Unit::Hour, n),
            Self::Days(1) => at.start_of_day(),
            // Counted from the first of the month, so that the axis says 1, 6, 11 …
            Self::Days(n) => {
                let n = i8::try_from(n).unwrap_or(1);
                let day = (at.day() - 1) / n * n + 1;
                at.with().day(day).build()?.start_of_day()
            }
            Self::Months(n) => {
                let n = i8::try_from(n).unwrap_or(1);
                let month = (at.month() - 1) / n * n + 1;
                at.with().day(1).month(month).build()?.start_of_day()
            }
            Self::Years(n) => {
                let n = i16::try_from(n).unwrap_or(1);
                at.with()
                    .year(at.year() / n * n)
                    .month(1)
                    .day(1)
                    .build()?
                    .start_of_day()
            }
        }
    }

    /// The next round moment. Steps of several days begin again with each month; a tick that
    /// would stand right before the first of the next is left out.
    fn next(self, at: &Zoned) -> Result<Zoned, jiff::Error> {
        let next = at.checked_add(self.span())?;
        match self {
            Self::Days(n) if n > 1 => {
                let first = at
                    .first_of_month()?
                    .checked_add(1.month())?
                    .start_of_day()?;
                let left = first.timestamp().as_second() - next.timestamp().as_second();
                if left < n * 86_400 / 2 {
                    Ok(first)
                } else {
                    next.start_of_day()
                }
            }
            Self::Days(_) | Self::Months(_) | Self::Years(_) => next.start_of_day(),
            Self::Minutes(_) | Self::Hours(_) => Ok(next),
        }
    }

    fn label(self, at: &Zoned) -> String {
        let midnight = at.hour() == 0 && at.minute() == 0;
        let format = match self {
            Self::Minutes(_) | Self::Hours(_) if !midnight => "%H:%M",
            Self::Months(_) => "%b %Y",
            Self::Years(_) => "%Y",
            _ => "%-d %b",
        };
        at.strftime(format).to_string()
    }
}

/// At most about `target` ticks within `[from, to]`, at round times of the zone. Days that the
/// zone makes 23 or 25 hours long keep their ticks at midnight.
#[must_use]
pub fn time_ticks(from: Timestamp, to: Timestamp, zone: &TimeZone, target: usize) -> Vec<TimeTick> {
    let seconds = to.as_second().saturating_sub(from.as_second());
    let target = i64::try_from(target.clamp(1, 40)).unwrap_or(6);
    let step = STEPS
        .iter()
        .find(|(_, length)| seconds / length <= target)
        .map_or(Step::Years(10), |(step, _)| *step);
    let start = from.to_zoned(zone.clone());
    let Ok(mut at) = step.floor(&start) else {
        return Vec::new();
    };
    let mut ticks = Vec::new();
    // The bound keeps a broken calendar from running on.
    for _ in 0..200 {
        let stamp = at.timestamp();
        if stamp > to {
            break;
        }
        if stamp >= from {
            ticks.push(TimeTick {
                at: stamp,
                label: step.label(&at),
            });
        }
        match step.next(&at) {
            Ok(next) if next > at => at = next,
            _ => break,
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn labels(from: &str, to: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let ticks = time_ticks(from.parse().unwrap(), to.parse().unwrap(), &zone, 7);
        ticks
            .into_iter()
            .map(|t| t.label)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn a_month_has_ticks_at_round_days() {
        assert_eq!(
            labels("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "UTC"),
            "1 Nov | 6 Nov | 11 Nov | 16 Nov | 21 Nov | 26 Nov | 1 Dec"
        );
    }

    #[test]
    fn a_day_has_ticks_at_round_hours_and_names_the_day() {
        assert_eq!(
            labels("2026-11-21T14:05:00Z", "2026-11-22T14:05:00Z", "UTC"),
            "18:00 | 22 Nov | 06:00 | 12:00"
        );
    }

    #[test]
    fn midnight_stays_midnight_over_a_change_of_clocks() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let from = "2026-10-23T22:00:00Z".parse().unwrap();
        let to = "2026-10-28T00:00:00Z".parse().unwrap();
        for tick in time_ticks(from, to, &zone, 7) {
            assert_eq!(tick.at.to_zoned(zone.clone()).hour(), 0, "{}", tick.label);
        }
    }

    #[test]
    fn years_say_the_year() {
        assert_eq!(
            labels("2020-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "UTC"),
            "2021 | 2022 | 2023 | 2024 | 2025 | 2026"
        );
    }

    proptest! {
        #[test]
        fn ticks_are_in_order_and_within(from in -1_000_000_000_i64..3_000_000_000, len in 1_i64..400_000_000, n in 1_usize..12) {
            let (from, to) = (Timestamp::from_second(from).unwrap(), Timestamp::from_second(from + len).unwrap());
            let zone = TimeZone::get("America/Sao_Paulo").unwrap();
            let ticks = time_ticks(from, to, &zone, n);
            prop_assert!(ticks.len() <= 200);
            prop_assert!(ticks.windows(2).all(|w| w[0].at < w[1].at));
            prop_assert!(ticks.iter().all(|t| t.at >= from && t.at <= to));
        }
    }
}
