//! When people work: the curve along which an hour of a trace is stretched over days.

use anyhow::Result;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use sealwright_core::UnixMicros;
use sealwright_core::clock::HOUR;

/// The activity of an hour of a working day, in hundredths of the busiest.
const WORKING_DAY: [u64; 24] = [
    10, 8, 7, 7, 8, 12, 22, 45, 80, 95, 100, 98, 82, 90, 98, 96, 88, 72, 50, 38, 30, 24, 18, 13,
];

/// The activity of a Saturday or Sunday, in hundredths of a working day's.
const WEEKEND: u64 = 35;

/// The activity of a region, hour by hour.
#[derive(Debug)]
pub(crate) struct Curve {
    from: UnixMicros,
    /// The activity before each hour, added up; one more than there are hours.
    sums: Vec<u64>,
}

impl Curve {
    /// The curve of a zone over `hours` hours from `from` on, which is a whole hour.
    pub(crate) fn new(zone: &str, from: UnixMicros, hours: usize) -> Result<Self> {
        let zone = TimeZone::get(zone)?;
        let mut sums = Vec::with_capacity(hours + 1);
        let mut sum = 0;
        sums.push(sum);
        for hour in 0..hours {
            let at = from.plus(i64::try_from(hour)? * HOUR).timestamp();
            let local = at.to_zoned(zone.clone());
            let weight = WORKING_DAY[usize::try_from(local.hour())? % 24];
            let weekend = matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
            sum += weight * if weekend { WEEKEND } else { 100 };
            sums.push(sum);
        }
        Ok(Self { from, sums })
    }

    /// The activity of the hours `first..first + count`, in ten-thousandths of as many busiest hours.
    pub(crate) fn activity(&self, first: usize, count: usize) -> u64 {
        let last = self.sums.len() - 1;
        let (a, b) = (first.min(last), (first + count).min(last));
        (self.sums[b] - self.sums[a]) / (count.max(1) as u64)
    }

    /// The moment at which the share `part / whole` of the activity of the hours `first..first + count` is over.
    pub(crate) fn moment(
        &self,
        (first, count): (usize, usize),
        part: i64,
        whole: i64,
    ) -> UnixMicros {
        let last = self.sums.len() - 1;
        let (a, b) = (
            self.sums[first.min(last)],
            self.sums[(first + count).min(last)],
        );
        // In 128 bits: an hour's microseconds times the activity of days is more than 64.
        let goal = i128::from(b - a) * i128::from(part) / i128::from(whole.max(1)) + i128::from(a);
        let hour = self.sums.partition_point(|sum| i128::from(*sum) <= goal);
        let hour = hour.saturating_sub(1).min(last.saturating_sub(1));
        let (low, high) = (self.sums[hour], self.sums[hour + 1]);
        let rest = (goal - i128::from(low)) * i128::from(HOUR);
        // The activity left inside the hour is spread evenly; the part of a unit comes from the share itself.
        let fine = i128::from(b - a) * i128::from(part) % i128::from(whole.max(1));
        let inside = (rest + fine * i128::from(HOUR) / i128::from(whole.max(1)))
            / i128::from((high - low).max(1));
        let inside = i64::try_from(inside).unwrap_or(0).clamp(0, HOUR - 1);
        self.from
            .plus(i64::try_from(hour).unwrap_or(0) * HOUR + inside)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_in_order_and_most_fall_into_business_hours() {
        // A Monday.
        let from = UnixMicros::parse_rfc3339("2026-03-02T00:00:00Z").unwrap();
        let curve = Curve::new("Europe/Dublin", from, 5 * 24).unwrap();
        let mut last = from;
        let mut busy = 0;
        for part in 0..1_000 {
            let at = curve.moment((0, 5 * 24), part, 1_000);
            assert!(at >= last, "{part}");
            last = at;
            let hour = at.since(at.floor_day()) / HOUR;
            busy += i64::from((8..18).contains(&hour));
        }
        assert!(last < from.plus(5 * 24 * HOUR));
        assert!((650..850).contains(&busy), "{busy}");
    }

    #[test]
    fn a_weekend_is_quiet() {
        let friday = UnixMicros::parse_rfc3339("2026-03-06T00:00:00Z").unwrap();
        let curve = Curve::new("UTC", friday, 48).unwrap();
        assert!(curve.activity(24, 24) * 2 < curve.activity(0, 24));
    }
}
